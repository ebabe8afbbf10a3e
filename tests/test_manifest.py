"""The memory of an output folder: what is skipped, what is not ours, and what a kill leaves."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import dpt_cli
from dpt_cli.errors import InputError, OutputError
from dpt_cli.formats.files import is_temporary
from dpt_cli.photos.source import Stamp, stamp_of
from dpt_cli.pipeline.manifest import LOCK_NAME, MANIFEST_NAME, Decision, Manifest, Recipe

SETTINGS: dict[str, Any] = {"colormap": "inferno", "overlay": False, "percentiles": [2, 98]}
RECIPE = Recipe(SETTINGS, "large", "ab" * 32)
FACTS = {"network_hw": [384, 512], "device": "cpu", "range": [0.5, 7.25], "unit": None}
PART = ".a_depth.png.123-0123abcd.dpt-part"


class Desk:
    """One photograph, its two outputs, and the folder they go to."""

    def __init__(self, root: Path, name: str = "a") -> None:
        self.photograph = root / f"{name}.jpg"
        self.folder = root / "out"
        self.outputs = {
            "color": self.folder / "sub" / f"{name}_depth.png",
            "npy": self.folder / "sub" / f"{name}_depth.npy",
        }
        self.photograph.write_bytes(b"a photograph")

    @property
    def manifest(self) -> Path:
        return self.folder / MANIFEST_NAME

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.manifest.read_bytes().splitlines()]

    def write_outputs(self) -> None:
        for path in self.outputs.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"made as {path.suffix}".encode())

    def stamps(self) -> dict[str, Stamp]:
        return {kind: stamp_of(path) for kind, path in self.outputs.items()}

    def claim(self, manifest: Manifest) -> None:
        """Claim the outputs and give them their names, as a run would."""
        self.write_outputs()
        manifest.begin(self.photograph, self.outputs, self.stamps())

    def record(self, manifest: Manifest, recipe: Recipe = RECIPE) -> None:
        stamp = stamp_of(self.photograph)
        manifest.done(self.photograph, stamp, self.outputs, self.stamps(), recipe, FACTS)

    def make(self, recipe: Recipe = RECIPE) -> None:
        """Do the photograph, as a run would."""
        with Manifest(self.folder) as manifest:
            self.claim(manifest)
            self.record(manifest, recipe)

    def decide(self, recipe: Recipe = RECIPE, *, read_only: bool = False) -> Decision:
        with Manifest(self.folder, read_only=read_only) as manifest:
            return manifest.decide(self.photograph, self.outputs, recipe)

    def fail(self) -> None:
        with Manifest(self.folder) as manifest:
            manifest.failed(self.photograph, "not an image")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def touch(path: Path) -> None:
    """Give a file another time of change."""
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000_007))


def edit(path: Path) -> None:
    """Change a file's content, not its size; its time changes too."""
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
    touch(path)


def edit_unseen(path: Path) -> None:
    """Change a file's content and neither size nor time: to notice, all would have to be read."""
    status = path.stat()
    edit(path)
    os.utime(path, ns=(0, status.st_mtime_ns))


def grow_in_no_time(path: Path) -> None:
    status = path.stat()
    grow(path)
    os.utime(path, ns=(0, status.st_mtime_ns))


def nothing(desk: Desk) -> None:
    pass


def move_output(desk: Desk) -> None:
    desk.outputs = desk.outputs | {"color": desk.folder / "other_depth.png"}


def swap_formats(desk: Desk) -> None:
    desk.outputs = {"npy": desk.outputs["color"], "color": desk.outputs["npy"]}


def other_photograph(desk: Desk) -> None:
    twin = desk.photograph.with_name("twin.jpg")
    desk.photograph.rename(twin)
    desk.photograph = twin


def other_content_elsewhere(desk: Desk) -> None:
    other_photograph(desk)
    edit(desk.photograph)


def through_a_link(desk: Desk) -> None:
    link = desk.photograph.with_name("link.jpg")
    link.symlink_to(desk.photograph)
    desk.photograph = link


def a_pipe_instead(desk: Desk) -> None:
    desk.outputs["npy"].unlink()
    os.mkfifo(desk.outputs["npy"])


def fewer_formats(desk: Desk) -> None:
    desk.outputs = {"npy": desk.outputs["npy"]}


def more_formats(desk: Desk) -> None:
    desk.outputs = desk.outputs | {"pfm": desk.folder / "a.pfm"}


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"!")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (nothing, "skip"),
        (lambda desk: touch(desk.photograph), "skip"),
        (lambda desk: touch(desk.outputs["npy"]), "skip"),
        (lambda desk: edit(desk.photograph), "do"),
        (lambda desk: grow(desk.photograph), "do"),
        (lambda desk: grow_in_no_time(desk.photograph), "do"),
        (lambda desk: edit_unseen(desk.photograph), "skip"),
        (lambda desk: desk.photograph.unlink(), "do"),
        (lambda desk: edit(desk.outputs["npy"]), "edited"),
        (lambda desk: grow(desk.outputs["npy"]), "edited"),
        (lambda desk: edit_unseen(desk.outputs["npy"]), "skip"),
        (lambda desk: desk.outputs["npy"].unlink(), "do"),
        (lambda desk: desk.outputs["color"].write_bytes(b""), "edited"),
        (a_pipe_instead, "edited"),
        (move_output, "do"),
        (swap_formats, "do"),
        (fewer_formats, "skip"),
        (more_formats, "do"),
        (other_photograph, "skip"),
        (other_content_elsewhere, "do"),
        (through_a_link, "skip"),
        (Desk.fail, "skip"),
        (lambda desk: desk.manifest.unlink(), "foreign"),
    ],
)
def test_a_photograph_is_done_again_when_it_or_an_output_changed(
    desk: Desk, change: Callable[[Desk], object], expected: Decision
) -> None:
    desk.make()
    change(desk)
    assert desk.decide() == expected


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        (replace(RECIPE, settings=dict(reversed(SETTINGS.items()))), "skip"),
        (replace(RECIPE, settings=SETTINGS | {"percentiles": (2, 98)}), "skip"),
        (replace(RECIPE, weights="another name of the same"), "skip"),
        (replace(RECIPE, weights_sha256="cd" * 32), "do"),
        (replace(RECIPE, settings=SETTINGS | {"colormap": "magma"}), "do"),
        (replace(RECIPE, settings=SETTINGS | {"overlay": 0}), "do"),
        (replace(RECIPE, settings=SETTINGS | {"width": 640}), "do"),
        (replace(RECIPE, settings={}), "skip"),
    ],
)
def test_a_photograph_is_done_again_with_other_settings_or_weights(
    desk: Desk, recipe: Recipe, expected: Decision
) -> None:
    desk.make()
    assert desk.decide(recipe) == expected


def test_options_count_only_for_their_format(desk: Desk) -> None:
    made = replace(RECIPE, options={"color": {"range": 1}, "npy": {}})
    desk.make(made)
    assert desk.decide(made) == "skip"
    other = replace(RECIPE, options={"color": {"range": 2}, "npy": {}})
    assert desk.decide(other) == "do"
    fewer_formats(desk)
    assert desk.decide(other) == "skip"


def test_a_photograph_done_through_a_link_is_known_by_its_real_path(desk: Desk) -> None:
    real = desk.photograph
    through_a_link(desk)
    desk.make()
    desk.photograph = real
    assert desk.decide() == "skip"
    assert {line["input"]["path"] for line in desk.lines()} == {os.path.realpath(real)}


def test_the_last_recipe_counts(desk: Desk) -> None:
    other = replace(RECIPE, weights_sha256="cd" * 32)
    desk.make()
    desk.make(other)
    assert (desk.decide(), desk.decide(other)) == ("do", "skip")


def test_two_commands_into_one_folder_do_not_undo_each_other(desk: Desk) -> None:
    labels = replace(RECIPE, weights="segmentation", weights_sha256="cd" * 32)
    desk.make()
    depth, desk.outputs = desk.outputs, {"color": desk.folder / "a_labels.png"}
    desk.make(labels)
    assert desk.decide(labels) == "skip"
    desk.outputs = depth
    assert desk.decide() == "skip"


def test_formats_made_one_after_the_other_count_together(desk: Desk) -> None:
    both = desk.outputs
    for kind, path in both.items():
        desk.outputs = {kind: path}
        desk.make()
        os.utime(path, ns=(0, 0))
    desk.outputs = both
    assert desk.decide() == "skip"
    edit(desk.outputs["color"])
    assert desk.decide() == "edited"


def test_an_output_taken_over_by_another_photograph_is_its_now(tmp_path: Path) -> None:
    first, second = Desk(tmp_path), Desk(tmp_path, "b")
    second.outputs = first.outputs
    edit(second.photograph)
    first.make()
    second.make()
    assert (first.decide(), second.decide()) == ("foreign", "skip")


def test_a_failed_photograph_is_tried_again(desk: Desk) -> None:
    desk.fail()
    assert desk.decide() == "do"


def test_a_photograph_changed_before_its_record_is_done_again(desk: Desk) -> None:
    with Manifest(desk.folder) as manifest:
        stamp = stamp_of(desk.photograph)
        desk.write_outputs()
        edit(desk.photograph)
        manifest.done(desk.photograph, stamp, desk.outputs, desk.stamps(), RECIPE, FACTS)
    assert desk.decide() == "do"


def test_what_was_just_done_is_known_at_once(desk: Desk) -> None:
    with Manifest(desk.folder) as manifest:
        desk.write_outputs()
        desk.record(manifest)
        assert manifest.decide(desk.photograph, desk.outputs, RECIPE) == "skip"


def dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("place", [Path.touch, Path.mkdir, dangling_link])
def test_what_no_record_names_is_foreign(desk: Desk, place: Callable[[Path], None]) -> None:
    desk.outputs["npy"].parent.mkdir(parents=True)
    place(desk.outputs["npy"])
    assert desk.decide() == "foreign"


def test_outputs_of_a_run_that_was_killed_before_the_record_are_ours(desk: Desk) -> None:
    with Manifest(desk.folder) as manifest:
        desk.claim(manifest)
    assert desk.decide() == "do"


def test_outputs_changed_after_a_run_was_killed_are_not_ours(desk: Desk) -> None:
    with Manifest(desk.folder) as manifest:
        desk.claim(manifest)
    edit(desk.outputs["npy"])
    assert desk.decide() == "edited"


def test_old_outputs_under_a_new_claim_are_ours(desk: Desk) -> None:
    desk.make()
    other = {
        kind: {**stamp, "sha256": "0" * 64, "size": 1} for kind, stamp in desk.stamps().items()
    }
    with Manifest(desk.folder) as manifest:
        manifest.begin(desk.photograph, desk.outputs, other)
    assert desk.decide(replace(RECIPE, weights_sha256="cd" * 32)) == "do"


def test_a_claim_does_not_undo_what_was_made(desk: Desk) -> None:
    desk.make()
    with Manifest(desk.folder) as manifest:
        manifest.begin(desk.photograph, desk.outputs, desk.stamps())
    assert desk.decide() == "skip"


def test_the_keys_of_a_line_are_these(desk: Desk) -> None:
    desk.make()
    desk.fail()
    path = os.path.realpath(desk.photograph)
    names = {"color": "sub/a_depth.png", "npy": "sub/a_depth.npy"}
    begun, done, failed = desk.lines()
    files = {kind: stamp_of(output) for kind, output in desk.outputs.items()}
    assert begun == {
        "state": "begun",
        "outputs": names,
        "input": {"path": path},
        "files": files,
        "schema": 1,
    }
    assert done == {
        "state": "done",
        "outputs": names,
        "input": {
            "path": path,
            "size": 12,
            "mtime_ns": desk.photograph.stat().st_mtime_ns,
            # printf 'a photograph' | sha256sum
            "sha256": "a249e87e1e6113da81cdd8a154c222283fbcceff6dd3727a63bf97eee562dfb3",
        },
        "files": files,
        "settings": SETTINGS,
        "weights": "large",
        "weights_sha256": "ab" * 32,
        "facts": FACTS,
        "dpt": dpt_cli.__version__,
        "written_bytes": 2,
        "schema": 1,
    }
    assert failed == {
        "state": "failed",
        "outputs": {},
        "input": {"path": path},
        "error": "not an image",
        "schema": 1,
    }


@pytest.mark.parametrize(
    "name",
    ["사진 é", "two\nlines\r", "bytes \udcff\udc80", "quote \" ' \\", "-n", "\u2028", "😀"],
)
def test_any_name_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    desk = Desk(tmp_path, name)
    desk.make()
    assert desk.decide() == "skip"
    assert desk.lines()[1]["input"]["path"] == os.path.realpath(desk.photograph)


def test_a_kill_at_any_byte_of_the_last_line_costs_that_line_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two thousand syncs take seconds, and nothing here reads what a disk holds.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    first, last = Desk(tmp_path), Desk(tmp_path, "é")
    fewer_formats(first)
    fewer_formats(last)
    first.make()
    num_whole = first.manifest.stat().st_size
    last.make()
    whole = first.manifest.read_bytes()
    num_begun = whole.index(b"\n", num_whole) + 1
    for length in range(num_whole, len(whole) + 1):
        # Truncated in place, ext4 would push it to the disk on closing.
        first.manifest.unlink()
        first.manifest.write_bytes(whole[:length])
        with Manifest(first.folder) as manifest:
            assert manifest.decide(first.photograph, first.outputs, RECIPE) == "skip"
            # The end of the line may be missing, nothing else.
            is_done, is_begun = length >= len(whole) - 1, length >= num_begun - 1
            expected = "skip" if is_done else "do" if is_begun else "foreign"
            assert manifest.decide(last.photograph, last.outputs, RECIPE) == expected
            last.record(manifest)
        assert last.decide(read_only=True) == "skip"


NAMED = b'"outputs": {"npy": "sub/a_depth.npy"}'
GARBAGE = [
    b"\n",
    b"\0" * 4096,
    b"\xff\xfe\n",
    b"null\n",
    b'{"state": "done", "outputs": ' + b"[" * 100_000 + b', "schema": 1}\n',
    b'{"state": "done", "outputs": ' + b"9" * 5000 + b', "schema": 1}\n',
    b'{"state": "done", "outputs": {"npy": 3}, "schema": 1}\n',
    b'{"state": "done", "outputs": {"npy": {}}, "schema": 1}\n',
    b'{"state": "done", "outputs": ["sub/a_depth.npy"], "schema": 1}\n',
    b'{"state": "done", ' + NAMED + b', "schema": 2}\n',
    b'{"state": "done", ' + NAMED + b', "input": {"schema": 1}}\n',
    b'{"state": "done", ' + NAMED + b"\n",
    b'"state": "done", "schema": 1}\n',
]


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_between_lines_is_passed_over(desk: Desk, garbage: bytes) -> None:
    desk.make()
    begun, done = desk.manifest.read_bytes().splitlines(keepends=True)
    desk.manifest.write_bytes(begun + done + garbage)
    assert desk.decide() == "skip"
    between = garbage.rstrip() + b"\n"
    desk.manifest.write_bytes(between + begun + between + done)
    assert desk.decide() == "skip"


def test_a_manifest_saved_with_other_line_ends_is_read(desk: Desk) -> None:
    desk.make()
    desk.manifest.write_bytes(desk.manifest.read_bytes().replace(b"\n", b"\r\n"))
    assert desk.decide() == "skip"


@pytest.mark.parametrize("key", ["input", "files", "settings", "weights_sha256"])
@pytest.mark.parametrize("value", [None, {}, [], "text"])
def test_a_record_without_its_keys_skips_nothing(desk: Desk, key: str, value: object) -> None:
    desk.make()
    record = desk.lines()[1] | {key: value}
    desk.manifest.write_text(f"{json.dumps(record)}\n")
    # Without their stamps it is unknown whether dpt wrote the outputs.
    assert desk.decide() == ("edited" if key == "files" else "do")


@pytest.mark.parametrize(
    "data", [b'{"image": "a.jpg"}\n', b'{"state": "done", "schema": 2}\n', b"alias ls=ls\n"]
)
def test_a_manifest_of_somebody_else_is_left_alone(desk: Desk, data: bytes) -> None:
    desk.folder.mkdir()
    desk.manifest.write_bytes(data)
    with pytest.raises(OutputError, match=r"manifest\.jsonl is not a manifest"):
        desk.make()
    assert desk.manifest.read_bytes() == data


@pytest.mark.parametrize("torn", [b"", b'{"state": "beg', b"\0" * 100, b"\n"])
def test_what_a_power_cut_leaves_of_the_first_line_is_no_obstacle(desk: Desk, torn: bytes) -> None:
    desk.folder.mkdir()
    desk.manifest.write_bytes(torn)
    desk.make()
    assert desk.decide() == "skip"


@pytest.mark.parametrize("name", [MANIFEST_NAME, LOCK_NAME])
@pytest.mark.parametrize("kind", ["link", "dangling link", "hard link", "pipe", "folder"])
@pytest.mark.parametrize("read_only", [False, True])
def test_what_is_not_the_folders_own_file_is_neither_followed_nor_waited_for(
    desk: Desk, name: str, kind: str, read_only: bool
) -> None:
    desk.folder.mkdir()
    there, mine = desk.folder / name, desk.folder.with_name("mine")
    if kind != "dangling link":
        mine.write_bytes(b"export PATH\n")
    if kind == "pipe":
        os.mkfifo(there)
    elif kind == "folder":
        there.mkdir()
    elif kind == "hard link":
        os.link(mine, there)
    else:
        there.symlink_to(mine)
    if read_only and name == LOCK_NAME:
        assert desk.decide(read_only=True) == "do"
        return
    with pytest.raises(OutputError, match=name):
        desk.decide(read_only=read_only)
    assert not mine.exists() or mine.read_bytes() == b"export PATH\n"
    assert os.path.lexists(there)


@contextmanager
def killed(desk: Desk) -> Iterator[Manifest]:
    """Open a manifest and leave it as a kill would: without a farewell."""
    with Manifest(desk.folder) as manifest:
        yield manifest
        left = desk.manifest.read_bytes()
    desk.manifest.write_bytes(left)


def test_a_photograph_that_was_being_read_when_a_run_died_is_remembered(desk: Desk) -> None:
    calm = desk.photograph.with_name("calm.jpg")
    for number in range(3):
        with killed(desk) as manifest:
            assert manifest.num_deaths(desk.photograph) == number
            assert manifest.num_deaths(calm) == 0
            manifest.reading(calm)
            manifest.failed(calm, "no")
            manifest.reading(desk.photograph)
    with Manifest(desk.folder) as manifest:
        desk.claim(manifest)
        desk.record(manifest)
    with Manifest(desk.folder) as manifest:
        assert manifest.num_deaths(desk.photograph) == 0


def test_a_run_that_ends_early_by_itself_blames_nobody_and_forgets_nobody(desk: Desk) -> None:
    calm = desk.photograph.with_name("calm.jpg")
    with killed(desk) as manifest:
        manifest.reading(desk.photograph)
    with suppress(KeyboardInterrupt), Manifest(desk.folder) as manifest:
        manifest.reading(calm)
        raise KeyboardInterrupt
    with Manifest(desk.folder) as manifest:
        assert manifest.num_deaths(calm) == 0
        assert manifest.num_deaths(desk.photograph) == 1


def test_a_write_cut_short_by_a_full_disk_is_told_and_the_next_line_is_whole(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Manifest(desk.folder) as manifest:
        desk.write_outputs()
        file = manifest._file

        class Full:
            def write(self, data: bytes) -> int:
                return file.write(data[:100])

        monkeypatch.setattr(manifest, "_file", Full())
        with pytest.raises(OutputError, match="the disk is full"):
            manifest.failed(desk.photograph, "first")
        monkeypatch.setattr(manifest, "_file", file)
        manifest.failed(desk.photograph, "second")
    assert json.loads(desk.manifest.read_bytes().splitlines()[1])["error"] == "second"


def test_threads_share_a_manifest(tmp_path: Path) -> None:
    desks = [Desk(tmp_path, f"photograph {number}") for number in range(8)]

    def work(desk: Desk, manifest: Manifest) -> None:
        desk.write_outputs()
        for _ in range(20):
            manifest.begin(desk.photograph, desk.outputs, desk.stamps())
            desk.record(manifest)

    with Manifest(desks[0].folder) as manifest:
        threads = [threading.Thread(target=work, args=(desk, manifest)) for desk in desks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(desks[0].lines()) == 8 * 20 * 2
    assert {desk.decide(read_only=True) for desk in desks} == {"skip"}


@contextmanager
def other_run(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Hold the folder in a process of its own."""
    code = (
        "import sys, pathlib; from dpt_cli.pipeline.manifest import Manifest\n"
        "with Manifest(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, os.fspath(folder)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        if process.poll() is None:
            process.communicate()


def test_a_second_run_is_refused_until_the_first_has_ended(desk: Desk) -> None:
    with other_run(desk.folder):
        with pytest.raises(OutputError, match=r"another dpt is writing into .*/out"):
            desk.make()
        assert desk.manifest.read_bytes() == b""
    desk.make()


def test_kill_9_frees_the_folder(desk: Desk) -> None:
    with other_run(desk.folder) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        desk.make()


def test_a_dry_run_may_look_while_another_run_writes(desk: Desk) -> None:
    desk.make()
    with other_run(desk.folder):
        assert desk.decide(read_only=True) == "skip"


def test_a_dry_run_touches_nothing(desk: Desk) -> None:
    assert desk.decide(read_only=True) == "do"
    assert not desk.folder.exists()


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    with Manifest(tmp_path / "x" / "y"):
        assert (tmp_path / "x" / "y" / MANIFEST_NAME).is_file()


def test_a_file_system_without_locks_is_used_unlocked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with Manifest(desk.folder) as manifest:
        part = desk.folder / PART
        part.touch()
        assert (manifest.is_locked, manifest.sweep(is_temporary)) == (False, 0)
        assert part.exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "file" / "out"
    folder.parent.touch()
    with (
        pytest.raises(OutputError, match=f"cannot write into {folder}: Not a directory"),
        Manifest(folder),
    ):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into every folder")
def test_a_read_only_folder_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"), Manifest(tmp_path):
        pass


def test_a_refused_folder_is_not_left_locked(desk: Desk) -> None:
    desk.folder.mkdir()
    desk.manifest.mkdir()
    with pytest.raises(OutputError, match=r"manifest\.jsonl: Is a directory"):
        desk.make()
    desk.manifest.rmdir()
    desk.make()


def test_a_folder_removed_under_the_run_is_told(desk: Desk) -> None:
    with Manifest(desk.folder) as manifest:
        desk.folder.rename(desk.folder.with_name("gone"))
        with pytest.raises(OutputError, match=r"cannot write .*: No such file"):
            manifest.begin(desk.photograph, desk.outputs, {})


def test_a_pipe_has_no_stamp(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(InputError, match=r"pipe\.jpg: .*not a file"):
        stamp_of(tmp_path / "pipe.jpg")


def test_temporary_files_are_swept_wherever_they_lie(desk: Desk, tmp_path: Path) -> None:
    desk.make()
    folders = [desk.folder, desk.folder / "sub", desk.folder / "bytes \udcff" / "deep"]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / PART).touch()
    with Manifest(desk.folder) as manifest:
        assert manifest.sweep(is_temporary) == 3
    assert not list(tmp_path.rglob("*.dpt-part"))
    assert desk.decide() == "skip"


def test_sweeping_follows_no_link_and_leaves_other_output_folders(
    desk: Desk, tmp_path: Path
) -> None:
    elsewhere, below = tmp_path / "elsewhere" / PART, desk.folder / "below" / PART
    for part in (elsewhere, below):
        part.parent.mkdir(parents=True)
        part.touch()
    (desk.folder / "link").symlink_to(elsewhere.parent)
    (below.parent / LOCK_NAME).touch()
    with Manifest(desk.folder) as manifest:
        assert manifest.sweep(is_temporary) == 0
    assert elsewhere.exists()
    assert below.exists()
