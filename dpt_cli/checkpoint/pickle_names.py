"""The instructions and names that a pickled checkpoint may use, and what each means here.

No name stands for a function of torch. Ours only record what a file claims. Every other name, and
every instruction that could call or change something else, is refused.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, BinaryIO, ClassVar

import torch

from dpt_cli.checkpoint.stored import DamageError, OddTensor, Storage, StoredTensor

StorageOf = Callable[[str, torch.dtype, int], Storage]
"""Finds a storage by its key, data type and number of elements."""

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}
_ODD = {
    "_rebuild_sparse_tensor": "sparse",
    "_rebuild_sparse_csr_tensor": "sparse",
    "_rebuild_qtensor": "quantised",
    "_rebuild_nested_tensor": "nested",
    "_rebuild_meta_tensor_no_storage": "meta",
    "_rebuild_wrapper_subclass": "wrapped",
    "_rebuild_device_tensor_from_numpy": "device",
    "_rebuild_device_tensor_from_cpu_tensor": "device",
}
# Further names that odd tensors refer to, by their beginnings. They become words, never used.
_WORDS = ("torch.per_", "torch.Q", "torch.strided", "torch.sparse_", "torch.nn.parameter.")
_CALLED_WORDS = ("torch.serialization._get_layout", "torch.device")


class RefusedError(Exception):
    """A name that no file of tensors needs; the message is the name."""


class _Typed(tuple[Storage, torch.dtype]):
    """A storage and its claimed data type."""

    __slots__ = ()


def _tensor(storage: Any, first: Any, shape: Any, stride: Any, *_rest: Any) -> StoredTensor:
    if not (isinstance(storage, _Typed) and isinstance(shape, tuple) and isinstance(stride, tuple)):
        raise DamageError("a tensor is made of something else than a storage")
    return StoredTensor(storage[1], shape, stride, first, storage[0])


def _tensor_of_kind(
    storage: Any, first: Any, shape: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *_: Any
) -> StoredTensor:
    if not (isinstance(storage, _Typed) and isinstance(dtype, torch.dtype)):
        raise DamageError("a tensor is made of something else than a storage")
    return _tensor(_Typed((storage[0], dtype)), first, shape, stride)


def _wrapped(tensor: Any, *_rest: Any) -> Any:
    return tensor


def _rebuilt(builder: Any, _kind: Any, arguments: Any, *_state: Any) -> Any:
    if builder not in (_tensor, _tensor_of_kind, _wrapped):
        raise DamageError("a tensor is made by something else than a tensor's maker")
    return builder(*arguments)


def _odd(kind: str) -> Callable[..., OddTensor]:
    return lambda *_arguments: OddTensor(kind)


def _word(*_arguments: Any) -> str:
    return "a word"


def _empty_table() -> OrderedDict[Any, Any]:
    return OrderedDict()


_NAMES: dict[str, Any] = {
    "collections.OrderedDict": _empty_table,
    "torch.Size": tuple,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_kind,
    "torch._utils._rebuild_parameter": _wrapped,
    "torch._utils._rebuild_parameter_with_state": _wrapped,
    "torch._tensor._rebuild_from_type_v2": _rebuilt,
    "torch.Tensor": "a word",
    **{f"torch._utils.{name}": _odd(kind) for name, kind in _ODD.items()},
    **{f"torch.{name}": dtype for name, dtype in _STORAGES.items()},
    "torch.storage.UntypedStorage": torch.uint8,
    **dict.fromkeys(_CALLED_WORDS, _word),
}
# Instructions that create objects of classes, or allocate memory that a file merely claims to need.
_FORBIDDEN = (
    *(pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.EXT1, pickle.EXT2),
    *(pickle.EXT4, pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
)


class TensorUnpickler(pickle._Unpickler):
    """Python's own unpickler in Python, reduced to dictionaries, lists, numbers, words and tensors.

    The C version believes a file that claims a memo of billions of entries.
    """

    stack: list[Any]  # of the base class
    pop_mark: Callable[[], list[Any]]
    dispatch: ClassVar[dict[int, Callable[..., Any]]] = {
        code: action
        for code, action in pickle._Unpickler.dispatch.items()
        if bytes([code]) not in _FORBIDDEN
    }

    def __init__(self, file: BinaryIO, storage_of: StorageOf) -> None:
        super().__init__(file)
        self._storage_of = storage_of

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name stands for.

        Raises:
            RefusedError: The name is not in the table.
        """
        full = f"{module}.{name}"
        if full in _NAMES:
            return _NAMES[full]
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if full.startswith(_WORDS):
            return "a word"
        raise RefusedError(full)

    def persistent_load(self, pid: Any) -> _Typed:
        """Return the storage a file refers to."""
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage"):
            raise DamageError("it refers to something else than a storage")
        _, dtype, key, _location, count, *view = pid
        if isinstance(dtype, str):  # of a tensor that is noted as odd
            return _Typed((Storage("odd", 0, 0), torch.uint8))
        is_sound = isinstance(dtype, torch.dtype) and isinstance(key, str) and type(count) is int
        if not is_sound or count < 0 or view not in ([], [None]):
            raise DamageError("a storage is described in a way that cannot be")
        return _Typed((self._storage_of(key, dtype, count), dtype))

    def _ignore_state(self) -> None:
        # torch attaches `_metadata` to a state dict. Nothing here reads it.
        self.stack.pop()
        if not isinstance(self.stack[-1], OrderedDict):
            raise DamageError("it changes something else than a table")

    def _set_items(self) -> None:
        items = self.pop_mark()
        self._set(items)

    def _set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def _set(self, items: list[Any]) -> None:
        table, keys = self.stack[-1], items[0::2]
        # Hashing deeply nested tuples as keys could take years.
        if not isinstance(table, dict) or not all(type(it) in (str, int, bytes) for it in keys):
            raise DamageError("a table has keys that are no names")
        table.update(zip(keys, items[1::2], strict=True))

    dispatch[pickle.BUILD[0]] = _ignore_state
    dispatch[pickle.SETITEM[0]] = _set_item
    dispatch[pickle.SETITEMS[0]] = _set_items
    for _code in (pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET):
        del dispatch[_code[0]]
