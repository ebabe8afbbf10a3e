"""Conversions on disk: only what was written is used, damage is mended once, nobody's is deleted.

Each test converts a small network, so that one test tries several kinds of damage.
"""

import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

import dpt_cli
from dpt_cli.checkpoint.integrity import converted_path
from dpt_cli.engine.openvino.compiled import COMPILED_FOLDER
from dpt_cli.engine.openvino.engine import OpenVinoEngine
from dpt_cli.engine.openvino.files import MODEL_FILE, RECORD_FILE, WEIGHTS_FILE
from dpt_cli.engine.openvino.keep import seal, write_durably
from dpt_cli.errors import ConversionError
from dpt_cli.predict.conversion import load_openvino
from dpt_cli.predict.conversion_place import Loaded
from front_door import FrontDoor, picture
from loopback_hub import sha256_of
from small_models import files

pytestmark = pytest.mark.usefixtures("openvino")

_posix = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")


def run(dpt: FrontDoor, engine: str = "openvino", code: int = 0) -> Result:
    words = ("depth", dpt.photograph(), "--format", "npy", "--device", "cpu", "--force")
    return dpt(*words, "-o", "out", "--engine", engine, code=code)


def values(dpt: FrontDoor) -> np.ndarray:
    array: np.ndarray = np.load(dpt.desk / "out" / "photo_depth.npy")
    return array


def about(result: Result) -> list[str]:
    """Return the lines about conversions."""
    words = ("onver", "ompiled", "torch:")
    return [line for line in result.stderr.splitlines() if any(word in line for word in words)]


def _depth_folder(dpt: FrontDoor) -> Path:
    spec = dpt_cli.load("small", registry=dpt.registry, engine="torch", device="cpu").spec
    digest = sha256_of(files("depth")["model.safetensors"])
    return converted_path(digest, spec.architecture)


@pytest.fixture
def folder(dpt: FrontDoor, conversions: Path) -> Path:
    """Return a conversion of this test's own, with what was compiled of it."""
    shared = _depth_folder(dpt)
    if not shared.is_dir():
        run(dpt)
    link = shared.parent
    link.unlink()
    shutil.copytree(conversions, link)
    return link / shared.name


@pytest.fixture
def copied(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a conversion copied rather than made, which takes seconds; the rest is as it is."""
    whole = shutil.copytree(folder, tmp_path / "whole")

    def copy(_spec: object, _weights: Path, work: Path, of: Any, notify: Any) -> Loaded:
        notify("Converting")
        part = work / "fp32"
        part.mkdir()
        for name in (MODEL_FILE, WEIGHTS_FILE):
            shutil.copyfile(whole / name, part / name)
        conversion = seal(part, of)
        return OpenVinoEngine(conversion, notify), conversion

    monkeypatch.setattr("dpt_cli.predict.conversion._export", copy)


def flip(path: Path) -> None:
    """Change 50 bits of a file in place; its size and times stay."""
    status = path.stat()
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    for index in range(50):
        content[(index * 7919 + len(content) // 2) % len(content)] ^= 1 << (index % 8)
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def blob_of(folder: Path) -> Path:
    (blob,) = (folder / COMPILED_FOLDER).glob("*.blob")
    return blob


def test_a_conversion_that_is_used_again_says_nothing(dpt: FrontDoor, folder: Path) -> None:
    assert about(run(dpt)) == []


def test_flipped_bits_change_no_number(dpt: FrontDoor, folder: Path, copied: None) -> None:
    run(dpt)
    expected = values(dpt)
    flip(blob_of(folder))
    (line,) = about(run(dpt))
    assert "compiled again" in line and "SHA-256" in line
    np.testing.assert_array_equal(values(dpt), expected)
    # Without what was compiled the network itself is read.
    shutil.rmtree(folder / COMPILED_FOLDER)
    flip(folder / WEIGHTS_FILE)
    lines = about(run(dpt))
    assert "damaged" in lines[0] and WEIGHTS_FILE in lines[0]
    np.testing.assert_array_equal(values(dpt), expected)
    assert about(run(dpt)) == []


def _no_json(folder: Path) -> None:
    (folder / RECORD_FILE).write_text('{"of": ')


def _other_json(folder: Path) -> None:
    (folder / RECORD_FILE).write_text(json.dumps({"of": 3, "files": {MODEL_FILE: [], "x": None}}))


def _no_facts(folder: Path) -> None:
    record = json.loads((folder / RECORD_FILE).read_bytes())
    record["files"] = dict.fromkeys(record["files"], "?")
    (folder / RECORD_FILE).write_text(json.dumps(record))


def _no_weights(folder: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()


def _fifo_for_record(folder: Path) -> None:
    (folder / RECORD_FILE).unlink()
    os.mkfifo(folder / RECORD_FILE)


def _link_for_weights(folder: Path) -> None:
    path = folder.parent / "weights"
    (folder / WEIGHTS_FILE).rename(path)
    (folder / WEIGHTS_FILE).symlink_to(path)


def _file_in_its_place(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("not a folder")


def _link_in_its_place(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


def _dangling_link(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to("nowhere")


_DAMAGE = (
    *(_no_json, _other_json, _no_facts, _no_weights, _fifo_for_record, _link_for_weights),
    *(_file_in_its_place, _link_in_its_place, _dangling_link),
)


@_posix
def test_any_damage_is_mended_once_with_a_line(dpt: FrontDoor, folder: Path, copied: None) -> None:
    run(dpt)
    expected = values(dpt)
    for damage in _DAMAGE:
        damage(folder)
        lines = about(run(dpt))
        again = [line for line in lines if "again" in line]
        assert len(again) == 1, (damage.__name__, lines)
        np.testing.assert_array_equal(values(dpt), expected)
        assert folder.is_dir() and not folder.is_symlink()
    assert about(run(dpt)) == []
    # A link's target is not removed with it.
    assert (folder.with_name("elsewhere") / WEIGHTS_FILE).is_file()
    assert {path.name for path in folder.parent.iterdir()} >= {folder.name, "weights"}
    assert not list(folder.parent.glob(f"{folder.name}.*"))


@_posix
@pytest.mark.parametrize("mode", [0o664, 0o646, "owner"], ids=str)
def test_a_record_that_others_may_write_is_neither_used_nor_removed(
    dpt: FrontDoor, folder: Path, copied: None, mode: int | str
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if isinstance(mode, int):
        (folder / RECORD_FILE).chmod(mode)
        result = run(dpt)
        assert f"{folder.name}-{os.geteuid()}" in {path.name for path in folder.parent.iterdir()}
    elif os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    else:
        os.chown(folder / RECORD_FILE, 12345, 12345)
        result = run(dpt)
    assert any("Converting" in line for line in about(result))
    assert {path: path.read_bytes() for path in before} == before
    # The user's own serves from now on.
    assert about(run(dpt)) == []


def test_a_conversion_of_other_weights_under_that_name_is_not_used(
    dpt: FrontDoor, folder: Path, copied: None
) -> None:
    record = json.loads((folder / RECORD_FILE).read_bytes())
    record["of"]["weights"] = record["of"]["weights"][:16] + "0" * 48
    (folder / RECORD_FILE).write_text(json.dumps(record))
    assert any("again" in line for line in about(run(dpt)))


def _below_a_file(home: Path) -> None:
    home.write_text("a file")


def _below_a_dangling_link(home: Path) -> None:
    home.symlink_to(home.with_name("nowhere") / "deeper")


@_posix
@pytest.mark.parametrize("spoil", [_below_a_file, _below_a_dangling_link])
def test_without_a_place_to_keep_it_openvino_converts_for_now_and_auto_takes_torch(
    dpt: FrontDoor, home: Path, tmp_path: Path, copied: None, spoil: Callable[[Path], None]
) -> None:
    words = ("depth", dpt.photograph(), "--weights", dpt.weights(), "--format", "npy")
    shutil.rmtree(home, ignore_errors=True)
    spoil(home)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(temporary))
        result = dpt(*words, "-o", "openvino", "--engine", "openvino")
    assert "device: cpu (OpenVINO), fp32" in result.stderr
    assert sum("for this run alone" in line for line in result.stderr.splitlines()) == 1
    assert not list(temporary.iterdir())
    result = dpt(*words, "-o", "auto", "--engine", "auto", "--device", "cpu")
    assert "device: cpu, fp32" in result.stderr
    assert sum("Using torch" in line for line in result.stderr.splitlines()) == 1
    one, two = (np.load(dpt.desk / out / "photo_depth.npy") for out in ("openvino", "auto"))
    # Another order of float32 roundings.
    assert np.linalg.norm(one - two) <= 1e-5 * np.linalg.norm(two)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
@pytest.mark.parametrize("engine", ["openvino", "auto"])
def test_a_full_or_read_only_disk_ends_no_run(
    dpt: FrontDoor,
    folder: Path,
    copied: None,
    engine: str,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fail as late as may be, when the last file of the conversion is written there."""
    shutil.rmtree(folder)
    others = sorted(folder.parent.iterdir())

    def fail(path: Path, content: bytes) -> None:
        if folder.parent in path.parents:
            raise OSError(code, os.strerror(code), str(path))
        write_durably(path, content)

    monkeypatch.setattr("dpt_cli.engine.openvino.keep.write_durably", fail)
    assert os.strerror(code) in run(dpt, engine).stderr
    assert sorted(folder.parent.iterdir()) == others


def test_what_cannot_be_read_is_left_alone(
    dpt: FrontDoor, folder: Path, copied: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def fail(path: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr("dpt_cli.engine.openvino.files.read_record", fail)
    assert os.strerror(errno.EIO) in run(dpt).stderr
    assert {path: path.read_bytes() for path in before} == before


def test_what_openvino_cannot_run_is_reported_and_not_made_again(
    dpt: FrontDoor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}

    def fail(*_: object, **_options: object) -> None:
        raise RuntimeError("Exception from src/plugin.cpp:1:\nno such instruction")

    monkeypatch.setattr("dpt_cli.engine.openvino.engine.compile_network", fail)
    assert "no such instruction" in run(dpt, code=1).stderr
    result = run(dpt, "auto")
    assert any("Using torch" in line for line in result.stderr.splitlines())
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_conversion_that_differs_from_torch_is_not_kept(
    dpt: FrontDoor, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dpt_cli.engine.openvino import export as openvino_export

    export = openvino_export.export

    def spoil(network: object, config: object, folder: Path) -> None:
        # One convolution of the head, a tenth of a percent off.
        network.head.get_parameter("conv2.weight").mul_(1.001)  # type: ignore[attr-defined]
        export(network, config, folder)  # type: ignore[arg-type]

    monkeypatch.setattr("dpt_cli.engine.openvino.export.export", spoil)
    result = run(dpt, "auto")
    assert "differs from torch" in result.stderr
    assert "device: cpu, fp32" in result.stderr
    assert not list((home / "dpt" / "converted").iterdir())


def test_threads_share_a_predictor(dpt: FrontDoor, conversions: Path) -> None:
    predictor = dpt_cli.load("small", registry=dpt.registry, device="cpu", engine="openvino")
    pictures = [picture(64, 64, seed) for seed in range(4)]
    expected = [predictor(rgb).values for rgb in pictures]
    wrong: list[object] = []

    def work(index: int) -> None:
        try:
            for _ in range(10):
                np.testing.assert_array_equal(predictor(pictures[index]).values, expected[index])
        except BaseException as error:  # noqa: BLE001  # whatever it is, the test tells
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_error_without_a_place_names_the_place(dpt: FrontDoor, home: Path) -> None:
    predictor = dpt_cli.load("small", registry=dpt.registry, device="cpu", engine="torch")
    shutil.rmtree(home, ignore_errors=True)
    home.write_text("a file")
    weights = dpt.weights()
    digest = sha256_of(weights.read_bytes())
    with pytest.raises(ConversionError, match=str(home)):
        load_openvino(predictor.spec, weights, digest, "fp32", lambda _line: None, must_keep=True)


_SIXTY_SHAPES = """
import sys
import numpy as np
import dpt_cli

def resident_mb():
    (line,) = (line for line in open("/proc/self/status") if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024

engine = dpt_cli.load("tiny", device="cpu", engine="openvino").engine
rng = np.random.default_rng(0)
for number in range(60):
    shape = (1, 3, 192 + 16 * (number % 8), 192 + 16 * (number // 8))
    engine(rng.standard_normal(shape, dtype=np.float32))
    if number == 19:
        before = resident_mb()
print(resident_mb() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_new_shapes_do_not_keep_memory_for_ever(tmp_path: Path) -> None:
    printed = subprocess.run(
        [sys.executable, "-c", _SIXTY_SHAPES],
        env={**os.environ, "HF_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # Seen: 45 MB, of which larger inputs need some; 170 MB with OpenVINO's own bound.
    assert float(printed) < 90
