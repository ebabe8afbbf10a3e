"""A Hugging Face Hub and a release server on 127.0.0.1, for tests of downloads.

Answers the requests of huggingface_hub 2.4 through HF_ENDPOINT, and fails in the ways servers do.
"""

import hashlib
import io
import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import BinaryIO, Self, TypedDict, Unpack
from urllib.parse import unquote

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Request:
    """What one client asked.

    Attributes:
        method: `HEAD` or `GET`.
        path: Path of the address, unquoted.
        range: The Range header, or "".
        authorization: The Authorization header, or "".
    """

    method: str
    path: str
    range: str
    authorization: str


class Faults(TypedDict, total=False):
    """How a file's server misbehaves, or varies.

    Attributes:
        corrupt: Send the middle byte flipped; the ETag stays right.
        truncate: Break off every answer at this position of the file [bytes].
        drop_once: Break off the first answer at this position, then never again [bytes].
        status: Answer everything with this status.
        error_code: The Hub's X-Error-Code along with it.
        no_ranges: Send the whole file whatever Range was asked.
        redirect: Send the client to another host for the content, as the Hub does.
        location: Send the client to this address.
        busy: Answer so many requests with 503 before the first that is served.
        retry_after: Send this Retry-After with every failure.
        commit: The commit announced, whatever the revision.
        endless: Send bytes for ever, without saying how many.
    """

    corrupt: bool
    truncate: int
    drop_once: int
    status: int
    error_code: str
    no_ranges: bool
    redirect: bool
    location: str
    busy: int
    retry_after: str
    commit: str
    endless: bool


@dataclass(frozen=True)
class Served:
    """One file, what is said of it, and how its server misbehaves."""

    content: bytes | Path
    sha256: str
    size: int
    etag: str
    commit: str
    faults: Faults

    @classmethod
    def of(cls, content: bytes | Path, etag: str, commit: str, faults: Faults) -> Self:
        """Hash and measure the content; without an ETag its SHA-256 is one, as at the Hub."""
        if isinstance(content, bytes):
            sha256, size = sha256_of(content), len(content)
        else:
            with content.open("rb") as stream:
                sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
                size = stream.seek(0, io.SEEK_END)
        return cls(content, sha256, size, etag or sha256, commit, faults)

    def open(self) -> BinaryIO:
        """Return the content as a stream."""
        if isinstance(self.content, Path):
            return self.content.open("rb")
        return io.BytesIO(self.content)


@lru_cache(maxsize=32)
def sha256_of(content: bytes) -> str:
    """Return a hash, remembered, as many tests serve the same bytes."""
    return hashlib.sha256(content).hexdigest()


class LoopbackHub:
    """A server that lives as long as its `with` block.

    Attributes:
        requests: Every request so far, in order.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._files: dict[str, Served] = {}
        self._server = _Server(self._files, self.requests)
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Return the address to give as HF_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def gets(self, name: str = "") -> list[Request]:
        """Return the GET requests whose path holds `name`."""
        return [item for item in self.requests if item.method == "GET" and name in item.path]

    def add(
        self,
        repo: str,
        revision: str,
        file: str,
        content: bytes | Path,
        *,
        repo_type: str = "model",
        etag: str = "",
        **faults: Unpack[Faults],
    ) -> str:
        """Serve a file of a repository, instead of the one served there before.

        Args:
            repo: Repository id.
            revision: Commit or reference; a reference gets a commit made from its name.
            file: File name within the repository.
            content: Bytes, or a file read from disk piece by piece.
            repo_type: `model`, `space` or `dataset`.
            etag: ETag announced; the content's SHA-256 unless given.
            **faults: See `Faults`.

        Returns:
            The content's SHA-256.
        """
        prefix = "" if repo_type == "model" else f"{repo_type}s/"
        commit = revision if re.fullmatch("[0-9a-f]{40}", revision) else commit_of(revision)
        served = Served.of(content, etag, commit, faults)
        self._files[f"/{prefix}{repo}/resolve/{revision}/{file}"] = served
        return served.sha256

    def add_release(self, file: str, content: bytes | Path, **faults: Unpack[Faults]) -> str:
        """Serve a file under a plain address, and return that address."""
        self._files[f"/releases/{file}"] = Served.of(content, "opaque", "", faults)
        return f"{self.url}/releases/{file}"


def commit_of(reference: str) -> str:
    """Return the commit (40 hex digits) at which a reference stands."""
    return hashlib.sha1(reference.encode(), usedforsecurity=False).hexdigest()


@contextmanager
def refused_url() -> Iterator[str]:
    """Yield an address that nothing listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound and never listening: taken, yet it refuses
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, files: dict[str, Served], log: list[Request]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files = files
        self.log = log
        self.dropped: set[str] = set()
        self.num_asked: Counter[str] = Counter()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hangs up is part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body go apart: else 40 ms an answer
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(self.path)
        asked_range = self.headers.get("Range", "")
        authorization = self.headers.get("Authorization", "")
        self.server.log.append(Request(self.command, path, asked_range, authorization))
        elsewhere = path.startswith("/cdn/")
        served = self.server.files.get(path.removeprefix("/cdn"))
        if served is None:
            self._fail(404, self._missing(path))
        elif "status" in served.faults:
            self._fail(served.faults["status"], served.faults.get("error_code", ""), served)
        elif self.server.num_asked[path] < served.faults.get("busy", 0):
            self.server.num_asked[path] += 1
            self._fail(503, "", served)
        elif "location" in served.faults and with_body:
            self.send_response(302)
            self.send_header("Location", served.faults["location"])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif served.faults.get("endless") and with_body:
            self._send_for_ever()
        elif served.faults.get("redirect") and not elsewhere:
            self.send_response(302)
            # `localhost` is another host than 127.0.0.1 to the client, as the Hub's CDN is.
            port = self.server.server_port
            self.send_header("Location", f"http://localhost:{port}/cdn{self.path}")
            self._hub_headers(served)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._send(served, asked_range, with_body)

    def _missing(self, path: str) -> str:
        """Say as the Hub does what is missing: the repository, the revision or the file."""
        if "/resolve/" not in path:
            return ""
        repo, _, rest = path.partition("/resolve/")
        if not any(known.startswith(f"{repo}/resolve/") for known in self.server.files):
            return "RepoNotFound"
        folder = f"{repo}/resolve/{rest.split('/')[0]}/"
        revision_is_known = any(known.startswith(folder) for known in self.server.files)
        return "EntryNotFound" if revision_is_known else "RevisionNotFound"

    def _send_for_ever(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        while True:
            self.wfile.write(bytes(CHUNK_BYTES))

    def _fail(self, status: int, error_code: str, served: Served | None = None) -> None:
        self.send_response(status)
        if served and "retry_after" in served.faults:
            self.send_header("Retry-After", served.faults["retry_after"])
        if error_code:
            self.send_header("X-Error-Code", error_code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _hub_headers(self, served: Served) -> None:
        if served.commit:
            self.send_header("X-Repo-Commit", served.faults.get("commit", served.commit))
            self.send_header("X-Linked-Etag", f'"{served.etag}"')
            self.send_header("X-Linked-Size", str(served.size))
        self.send_header("ETag", f'"{served.etag}"')

    def _send(self, served: Served, asked_range: str, with_body: bool) -> None:
        begin = 0
        with_ranges = not served.faults.get("no_ranges")
        if with_ranges and (match := re.fullmatch(r"bytes=(\d+)-", asked_range)):
            begin = int(match[1])
            if begin >= served.size:
                self._fail(416, "")
                return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{served.size - 1}/{served.size}")
        if with_ranges:
            self.send_header("Accept-Ranges", "bytes")
        self._hub_headers(served)
        self.send_header("Content-Length", str(served.size - begin))
        self.end_headers()
        if with_body:
            end = served.faults.get("truncate", served.size)
            if "drop_once" in served.faults and self.path not in self.server.dropped:
                self.server.dropped.add(self.path)
                end = served.faults["drop_once"]
            self._send_bytes(served, begin, min(end, served.size))

    def _send_bytes(self, served: Served, begin: int, end: int) -> None:
        flipped = served.size // 2 if served.faults.get("corrupt") else -1
        with served.open() as stream:
            stream.seek(begin)
            position = begin
            while position < end:
                piece = bytearray(stream.read(min(CHUNK_BYTES, end - position)))
                if position <= flipped < position + len(piece):
                    piece[flipped - position] ^= 0xFF
                self.wfile.write(piece)
                position += len(piece)
        if end < served.size:
            self.close_connection = True
