"""Recognise a weights file's format and list its tensors by name."""

import pickle
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from dpt_cli.checkpoint.pickle_names import RefusedError
from dpt_cli.checkpoint.pickled_file import read_pickles, read_zip
from dpt_cli.checkpoint.safetensors_file import read_safetensors
from dpt_cli.checkpoint.stored import Contents, DamageError, OddTensor, StoredTensor
from dpt_cli.errors import CheckpointError

_ZIP_MAGIC = b"PK\x03\x04"
# The opcode that starts a pickle of protocol 2 to 5, as torch wrote before 1.6.
_PICKLE_MAGIC = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
# Errors that damaged bytes may cause: a damaged pickle can contain any instruction.
DAMAGE = (
    *(DamageError, zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, EOFError, OSError),
    *(ValueError, LookupError, TypeError, AttributeError, AssertionError, ArithmeticError),
    *(MemoryError, pickle.PickleError),
)
_MAX_REASON_CHARACTERS = 200


def read_contents(path: Path, file: BinaryIO) -> Contents:
    """Return the tensors of a safetensors file or a file of `torch.save` by name, not yet read.

    The format is recognised by the content, not by the file's name.

    Raises:
        CheckpointError: The file is damaged, or holds more than tensors.
    """
    file.seek(0)
    head = file.read(16)
    # A safetensors file starts with the length of its JSON header.
    is_safetensors = head[8:9] == b"{"
    if not is_safetensors and not head.startswith((_ZIP_MAGIC, *_PICKLE_MAGIC)):
        begin = f"it begins with {head!r}" if head else "it is empty"
        raise CheckpointError(f"{path} is not a weights file: {begin}")
    try:
        if is_safetensors:
            return read_safetensors(file)
        content = read_zip(file) if head.startswith(_ZIP_MAGIC) else read_pickles(file)
    except RefusedError as error:
        raise CheckpointError(
            f"{path} is refused: it is no plain file of tensors (it wants to run {error})"
        ) from error
    except DAMAGE as error:
        raise damaged(path, error, is_safetensors=is_safetensors) from error
    # The authors' training checkpoints keep the network beside the optimizer.
    if isinstance(content, dict) and "model" in content and "optimizer" in content:
        content = content["model"]
    is_state_dict = isinstance(content, dict) and all(
        isinstance(name, str) and isinstance(value, StoredTensor | OddTensor)
        for name, value in content.items()
    )
    if not is_state_dict:
        raise CheckpointError(f"{path} holds no dictionary of tensors")
    return dict(content)


def damaged(path: Path, error: BaseException, *, is_safetensors: bool = False) -> CheckpointError:
    """Return the error for a damaged file, in one line."""
    what = (
        "is a damaged safetensors file" if is_safetensors else "is not a weights file, or damaged"
    )
    reason = re.split(r"\n|\. ", str(error) or type(error).__name__)[0]
    return CheckpointError(f"{path} {what}: {reason[:_MAX_REASON_CHARACTERS]}")
