"""Download one address to one file, with limits on size, waiting time and redirects.

No other module makes HTTP requests by itself. A partial file is continued. Only the length is
checked here.
"""

import ipaddress
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urljoin, urlsplit

from huggingface_hub import constants

from dpt_cli.errors import FetchError

if TYPE_CHECKING:
    from httpx2 import Response

Advance = Callable[[int], object]
"""Advances a progress bar by the bytes that arrived."""

MAX_BYTES = 16 * 10**9  # ten times the largest published file, for sources without a size
MAX_WAIT_S = 10.0
_MAX_HOPS = 5
NUM_RETRIES = 2  # if the server is busy, before the first byte
_NUM_RESUMES = 5  # consecutive reconnections without a new byte
_MAX_RESUMES = 100
BUSY = (408, 429, 502, 503, 504)
_RANGE_NOT_SATISFIABLE = 416


def require_https(url: str, beginning: str = "") -> None:
    """Refuse an address that is not https, or that points to this machine or its local link.

    Args:
        url: The address.
        beginning: The first address, if redirects led here. Where that one is http or local, this
            one may be too.

    Raises:
        FetchError: The address must not be requested.
    """
    first = beginning or url
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise FetchError(f"{url} is no https address")
    if parts.scheme == "http" and urlsplit(first).scheme != "http":
        raise FetchError(f"{first} leads to {url}, which is not https")
    if _is_local(parts.hostname) and not _is_local(urlsplit(first).hostname or ""):
        raise FetchError(f"{first} leads to {url}, an address of this machine or its own link")


def _is_local(host: str) -> bool:
    host = host.rstrip(".")
    if host == "localhost" or host.endswith((".localhost", ".local")):
        return True
    try:
        address: ipaddress.IPv4Address | ipaddress.IPv6Address
        # 127.1, 0x7f.1 and 2130706433 all connect to 127.0.0.1.
        address = ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_link_local or mapped.is_unspecified


def download(url: str, part: Path, size: int | None, headers: dict[str, str] | None = None) -> None:
    """Append the missing bytes to a file.

    Args:
        url: The address.
        part: The file; its content counts as the beginning.
        size: The final length [bytes], if known.
        headers: Headers to send; credentials go only to the first host.

    Raises:
        FetchError: The file is longer than `size`, or a redirect is refused.
        Exception: An error of the HTTP library or the disk.
    """
    import httpx2

    limit = MAX_BYTES if size is None else size
    with part.open("ab") as stream, _progress(part, size, stream.tell()) as advance:
        if size is not None and stream.tell() == size:
            return
        resumes_left = _NUM_RESUMES
        for _ in range(_MAX_RESUMES):
            before = stream.tell()
            try:
                with _answer(url, headers or {}, before) as response:
                    _append(response, stream, limit, advance)
            except (httpx2.TimeoutException, httpx2.RemoteProtocolError, httpx2.ReadError):
                resumes_left = resumes_left - 1 if stream.tell() == before else _NUM_RESUMES
                if resumes_left <= 0:
                    raise
                time.sleep(1)
            else:
                return
    raise FetchError(f"the connection broke off {_MAX_RESUMES} times")


def _append(response: "Response", stream: BinaryIO, limit: int, advance: Advance) -> None:
    if response.status_code == _RANGE_NOT_SATISFIABLE:
        return  # the server has no more bytes; the hash shows whether the file is whole
    if response.status_code == 200 and stream.tell():
        stream.truncate(0)  # the server ignored the range and starts from the beginning
        stream.seek(0)
    announced = response.headers.get("Content-Length", "")
    if announced.isdecimal() and stream.tell() + int(announced) > limit:
        raise FetchError(f"it is longer than {limit} bytes; not downloaded")
    for piece in response.iter_raw(constants.DOWNLOAD_CHUNK_SIZE):
        if stream.tell() + len(piece) > limit:
            raise FetchError(f"it is longer than {limit} bytes; stopped there")
        stream.write(piece)
        stream.flush()
        advance(len(piece))


@contextmanager
def _answer(url: str, headers: dict[str, str], begin: int) -> "Iterator[Response]":
    """Yield the response to a GET; follow safe redirects, and retry if the server is busy."""
    from huggingface_hub import get_session
    from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]  # lazy

    asked = {**headers, "Accept-Encoding": "identity"}
    if begin:
        asked["Range"] = f"bytes={begin}-"
    here, num_hops, num_retries = url, 0, 0
    while True:
        with get_session().stream(
            "GET",
            here,
            headers=asked,
            timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
            follow_redirects=False,
        ) as response:
            if response.status_code in BUSY and num_retries < NUM_RETRIES:
                wait_s = patience(response, num_retries)
            elif response.is_redirect:
                if num_hops == _MAX_HOPS:
                    raise FetchError(f"{url} is redirected more than {_MAX_HOPS} times")
                there = urljoin(here, response.headers["Location"])
                require_https(there, url)
                if urlsplit(there).netloc != urlsplit(here).netloc:
                    asked = {k: v for k, v in asked.items() if k.lower() != "authorization"}
                here, num_hops = there, num_hops + 1
                continue
            else:
                if response.status_code != _RANGE_NOT_SATISFIABLE:
                    hf_raise_for_status(response)
                yield response
                return
        time.sleep(wait_s)
        num_retries += 1


def patience(response: "Response", num_retries: int) -> float:
    """Return how long to wait for a busy server [s].

    Raises:
        FetchError: The server asks for a wait longer than `MAX_WAIT_S`.
    """
    told = response.headers.get("Retry-After", "").strip()
    if not told:
        return float(1 + num_retries)
    if not told.isdecimal() or float(told) > MAX_WAIT_S:
        raise FetchError(
            f"the server answered {response.status_code} {response.reason_phrase}, and to ask "
            f"again after {told[:40]!r}; we wait {MAX_WAIT_S:.0f} s at most"
        )
    return float(told)


@contextmanager
def _progress(part: Path, size: int | None, begin: int) -> Iterator[Advance]:
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]  # lazy

    with (
        tqdm(  # type: ignore[no-untyped-call]
            total=size,
            initial=begin,
            unit="B",
            unit_scale=True,
            desc=part.name[:40],
            name="huggingface_hub.http_get",
            disable=None,  # unless stderr is a terminal
        ) as bar
    ):
        yield bar.update
