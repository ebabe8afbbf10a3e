"""Files that torch can write and no network of ours is made of: each is one line and exit 4."""

import io
import json
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dpt_cli.checkpoint.load import load_network
from dpt_cli.errors import CheckpointError
from dpt_cli.model.architectures import architecture_from_table
from front_door import FrontDoor
from published import CONFIGS, authors_checkpoint
from small_models import architecture, authors, files, pickled, safe

BIAS = "scratch.output_conv.0.bias"
WEIGHT = "scratch.output_conv.0.weight"


def with_tensor(tensor: Any, name: str = BIAS) -> bytes:
    return pickled({**authors("depth"), name: tensor})


def repacked(
    content: bytes, change: Callable[[str, bytes], bytes] | None = None, **how: Any
) -> bytes:
    """Return a zip file written anew, by default compressed, its members changed."""
    stream = io.BytesIO()
    options = {"compression": zipfile.ZIP_DEFLATED, "compresslevel": 1, **how}
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(stream, "w", **options) as new,
    ):
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, change(name, data) if change else data)
    return stream.getvalue()


def _claim_in_safetensors() -> bytes:
    content = files("depth")["dpt.safetensors"]
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    name = next(name for name in header if name != "__metadata__")
    header[name]["shape"], header[name]["data_offsets"] = [30_000_000_000], [0, 120_000_000_000]
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def _claim_in_pickle(save_zip: bool) -> bytes:
    """Return a file whose one storage is said to hold 30 billion numbers."""
    stream = io.BytesIO()
    torch.save(
        {**authors("depth"), BIAS: torch.arange(12345.0)},
        stream,
        _use_new_zipfile_serialization=save_zip,
    )
    small, large = pickle.dumps(12345, 2)[2:-1], pickle.dumps(30_000_000_000, 2)[2:-1]
    if not save_zip:
        return stream.getvalue().replace(small, large)
    return repacked(stream.getvalue(), lambda _, data: data.replace(small, large), compression=0)


def _bomb() -> bytes:
    """Return a compressed file that would unpack to a hundred times the network."""
    zeros = torch.zeros(10_000_000)
    return repacked(with_tensor(zeros[:16]))


def _nested_keys() -> bytes:
    """Return a pickle whose one key takes years to hash."""
    nest = b")" + b"\x94" + b"h\x00h\x00\x86\x94h\x01h\x01\x86\x94"
    for depth in range(2, 60):
        nest += b"h" + bytes([depth]) + b"h" + bytes([depth]) + b"\x86\x94"
    pkl = b"\x80\x04" + nest + b"0" * 60 + b"}" + b"h\x3a" + b"K\x01s."
    return _zip_of(pkl)


def _zip_of(pkl: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", pkl)
    return stream.getvalue()


def _memo_of_billions() -> bytes:
    return _zip_of(b"\x80\x02]r\xff\xff\xff\x7f.")


def _duplicate_members() -> bytes:
    stream = io.BytesIO(pickled(authors("depth")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(stream, "a") as archive:
            archive.writestr("archive/data/0", bytes(64))
    return stream.getvalue()


def _transformers_with(**changed: torch.Tensor) -> bytes:
    whole = torch.load(io.BytesIO(files("depth")["pytorch_model.bin"]), weights_only=True)
    prefix = "dpt.encoder.layer.0.attention.attention."
    return pickled(whole | {f"{prefix}{key.replace('_', '.')}": it for key, it in changed.items()})


def _quantised() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.ones(16), 0.1, 0, torch.qint8)


def _sparse_csr() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.ones(4, 4).to_sparse_csr()


def _nested() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nested.nested_tensor([torch.ones(8), torch.ones(8)])


ODD: dict[str, tuple[Callable[[], bytes], str]] = {
    "int8": (lambda: with_tensor(torch.ones(16, dtype=torch.int8)), "int8 where float32"),
    "uint8": (lambda: with_tensor(torch.ones(16, dtype=torch.uint8)), "uint8 where float32"),
    "int64": (lambda: with_tensor(torch.ones(16, dtype=torch.int64)), "int64 where float32"),
    "bool": (lambda: with_tensor(torch.ones(16, dtype=torch.bool)), "bool where float32"),
    "complex": (lambda: with_tensor(torch.ones(16, dtype=torch.cfloat)), "complex64 where"),
    "float8": (lambda: with_tensor(torch.ones(16).to(torch.float8_e4m3fn)), "float8_e4m3fn where"),
    "int8 safetensors": (
        lambda: safe({**authors("depth"), BIAS: torch.ones(16, dtype=torch.int8)}),
        "int8 where float32",
    ),
    "sparse": (lambda: with_tensor(torch.ones(16).to_sparse()), "is a sparse tensor"),
    "sparse csr": (lambda: with_tensor(_sparse_csr()), "is a sparse tensor"),
    "quantised": (lambda: with_tensor(_quantised()), "is a quantised tensor"),
    "nested": (lambda: with_tensor(_nested()), "is a nested tensor"),
    "meta": (lambda: with_tensor(torch.ones(16, device="meta")), "is a meta tensor"),
    "no axes": (lambda: with_tensor(torch.tensor(1.0)), "() instead of (16,)"),
    "too many axes": (lambda: with_tensor(torch.ones(16, 1, 1)), "(16, 1, 1) instead of (16,)"),
    "nothing": (lambda: with_tensor(torch.ones(0)), "(0,) instead of (16,)"),
    "query of no axes": (
        lambda: _transformers_with(query_weight=torch.tensor(1.0)),
        "cannot be joined",
    ),
    "key of another width": (
        lambda: _transformers_with(key_weight=torch.ones(48, 47)),
        "cannot be joined",
    ),
    "value of another height": (
        lambda: _transformers_with(value_weight=torch.ones(47, 48)),
        "of another shape",
    ),
    "NaN": (lambda: with_tensor(torch.full((16,), torch.nan)), "head.conv1.bias holds NaN"),
    "infinity": (lambda: with_tensor(torch.full((16,), -torch.inf)), "head.conv1.bias holds NaN"),
    "beyond float32": (
        lambda: with_tensor(torch.full((16,), 1e300, dtype=torch.float64)),
        "head.conv1.bias holds NaN or infinity",
    ),
    "expanded far": (lambda: with_tensor(torch.ones(1).expand(2**40)), "1 of another shape"),
    "120 GB safetensors": (_claim_in_safetensors, "damaged safetensors"),
    "120 GB zip": (lambda: _claim_in_pickle(True), "bytes instead of 120000000000"),
    "120 GB pickle": (lambda: _claim_in_pickle(False), "is said to take 120000000000"),
    "zip bomb": (_bomb, "compressed tensors are said to take"),
    "keys hashed for years": (_nested_keys, "keys that are no names"),
    "a memo of billions": (_memo_of_billions, "holds no dictionary of tensors"),
    "two members of one name": (_duplicate_members, "two of its members have one name"),
    "another compression": (
        lambda: repacked(pickled(authors("depth")), compression=zipfile.ZIP_BZIP2),
        "neither stored nor deflated",
    ),
    "same parameter twice": (
        lambda: pickled({**authors("depth"), "head.conv1.bias": torch.ones(16)}),
        "are the same parameter",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_checkpoint_is_refused_in_one_line(tmp_path: Path, case: str) -> None:
    content, words = ODD[case]
    path = tmp_path / "odd.pt"
    path.write_bytes(content())
    with pytest.raises(CheckpointError) as caught:
        load_network(path, architecture_from_table(architecture("depth")))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", ["int8", "120 GB zip", "NaN"])
def test_an_odd_checkpoint_is_one_line_and_exit_4(dpt: FrontDoor, case: str) -> None:
    content, words = ODD[case]
    dpt.photograph("a.png")
    given = dpt.written()
    weights = dpt.weights("odd.pt", content())
    result = dpt("depth", "a.png", "-o", "out", "--weights", weights, code=4)
    *_, error = result.stderr.splitlines()
    assert error.startswith("Error: ")
    assert words in error
    assert "Traceback" not in result.output
    assert dpt.written() == given


def test_a_flipped_bit_in_a_compressed_file_is_found(tmp_path: Path) -> None:
    content = bytearray(repacked(pickled(authors_checkpoint("small-vit-depth"))))
    for begin in range(len(content) // 3, len(content) * 2 // 3, 997):
        content[begin] ^= 1
    path = tmp_path / "flipped.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        load_network(path, CONFIGS["small-vit-depth"])


def test_a_compressed_file_gives_the_same_network(tmp_path: Path) -> None:
    whole = pickled(authors_checkpoint("small-vit-depth"))
    (tmp_path / "plain.pt").write_bytes(whole)
    (tmp_path / "deflated.pt").write_bytes(repacked(whole))
    plain, deflated = (
        load_network(tmp_path / name, CONFIGS["small-vit-depth"]).state_dict()
        for name in ("plain.pt", "deflated.pt")
    )
    for name, tensor in plain.items():
        assert torch.equal(tensor, deflated[name]), name


VIEWS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "channels last": lambda it: it.contiguous(memory_format=torch.channels_last),
    "transposed": lambda it: it.transpose(0, 3).contiguous().transpose(0, 3),
    "part of a larger one": lambda it: torch.stack([it, it, -it], dim=1)[:, 1],
    "parameter": torch.nn.Parameter,
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("save_zip", [True, False])
def test_a_tensor_that_is_a_view_of_another_is_read_right(
    tmp_path: Path, view: str, save_zip: bool
) -> None:
    checkpoint = authors_checkpoint("small-vit-depth")
    path = tmp_path / "view.pt"
    viewed = {**checkpoint, WEIGHT: VIEWS[view](checkpoint[WEIGHT])}
    torch.save(viewed, path, _use_new_zipfile_serialization=save_zip)
    loaded = load_network(path, CONFIGS["small-vit-depth"]).state_dict()
    assert torch.equal(loaded["head.conv1.weight"], checkpoint[WEIGHT])


def test_tensors_lie_where_torchs_kernels_give_the_same_bits(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "a.safetensors"
    # An odd length in front of every tensor: in the file none lies at a multiple of 64 bytes.
    save_file(authors_checkpoint("small-vit-depth"), path, {"pad": "x" * 21})
    loaded = load_network(path, CONFIGS["small-vit-depth"]).state_dict()
    assert {tensor.data_ptr() % 64 for tensor in loaded.values() if tensor.numel() > 16} == {0}


def test_random_damage_is_never_a_foreign_exception(tmp_path: Path) -> None:
    config = CONFIGS["small-vit-depth"]
    checkpoint = authors_checkpoint("small-vit-depth")
    stream = io.BytesIO()
    torch.save(checkpoint, stream, _use_new_zipfile_serialization=False)
    random = np.random.default_rng(0)
    path = tmp_path / "damaged"
    messages: list[str] = []
    for whole in (pickled(checkpoint), stream.getvalue(), safe(checkpoint)):
        for _ in range(25):
            content = bytearray(whole)
            # Where names and shapes lie, and anywhere.
            for place in (
                random.integers(0, 3000, 3).tolist() + random.integers(0, len(whole), 3).tolist()
            ):
                content[place] = int(random.integers(256))
            path.write_bytes(content)
            try:
                load_network(path, config)
            except CheckpointError as error:
                messages.append(str(error))
    assert messages
    assert not [message for message in messages if "\n" in message]
