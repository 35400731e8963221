"""GPU tensors between processes without a copy: a handle travels as a message, the memory stays where it is.

    buffer, metadata = torch_to_ipc_buffer(tensor)          # sender: keep `tensor` until the receiver is done
    node.send_output("image", buffer, metadata)

    handle = ipc_buffer_to_ipc_handle(event["value"], event["metadata"])
    with open_ipc_handle(handle, event["metadata"]) as tensor:   # receiver, another process, same GPU
        ...

Strategy: the CUDA driver (libcuda) is called through ctypes, in PyTorch's own context; the runtime library is not,
because its name changes with every version.  A handle names a whole allocation, and PyTorch puts many tensors into
one, so the metadata carries the offset, and shape, strides and offset are checked against the allocation before a
tensor is made of them.  Nothing here loads CUDA or PyTorch before a function is called.

metadata key    meaning
shape           elements per dimension
strides         bytes per step in each dimension
dtype           numpy type string such as `<f4`; `|V2` and the like where numpy has none
torch_dtype     only then: the name of the type in PyTorch, such as `bfloat16`
size            bytes of the tensor
offset          bytes from the begin of the allocation
device          index of the GPU
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from dora import arrow

__all__ = ["IpcHandle", "ipc_buffer_to_ipc_handle", "open_ipc_handle", "torch_to_ipc_buffer"]

HANDLE_BYTES: Final = 64
_LIBRARY: Final = "libcuda.so.1"
_LAZY_PEER_ACCESS: Final = 1
_MOST_DIMENSIONS: Final = 64
_LARGEST: Final = 1 << 62
_TYPE_STRINGS: Final = {
    "bool": "|b1", "uint8": "|u1", "int8": "|i1", "uint16": "<u2", "int16": "<i2", "uint32": "<u4", "int32": "<i4",
    "uint64": "<u8", "int64": "<i8", "float16": "<f2", "float32": "<f4", "float64": "<f8", "complex64": "<c8",
    "complex128": "<c16",
}  # fmt: skip
"""type in PyTorch -> its numpy type string"""
_TYPE_NAMES: Final = {text: name for name, text in _TYPE_STRINGS.items()}


class Layout(NamedTuple):
    """Where the elements of a tensor lie; all sizes in bytes, except `shape`.

    Attributes:
        extent: from the first byte of the tensor to behind its last.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    type_name: str
    item_size: int
    offset: int
    extent: int
    device: int


def torch_to_ipc_buffer(tensor: Any) -> tuple[Any, dict[str, Any]]:
    """The handle of a CUDA tensor's memory, to be sent with `send_output(output_id, *torch_to_ipc_buffer(tensor))`.

    Waits for the work that is queued on the GPU, so the receiver sees the tensor as it is now.

    Args:
        tensor: a torch.Tensor on a GPU; keep it, unchanged, until the receiver is done with it.

    Returns:
        (int8 array of 64 elements, metadata).

    Raises:
        TypeError: it is not a tensor.
        ValueError: it is not on a GPU, or not dense.
        RuntimeError: CUDA refused; memory of `expandable_segments` or `cudaMallocAsync` cannot be shared, for one.
    """
    if not hasattr(tensor, "is_cuda") or not hasattr(tensor, "data_ptr"):
        raise TypeError(f"expected a torch.Tensor, found {type(tensor).__name__}")
    if not tensor.is_cuda:
        raise ValueError(f"tensor must be on a CUDA device (it is on {tensor.device}; move it with .cuda())")
    if tensor.layout != (torch := _torch()).strided or tensor.is_conj() or tensor.is_neg():
        raise ValueError("tensor must be dense and hold its own values: call to_dense(), resolve_conj(), resolve_neg()")
    item_size = tensor.element_size()
    name = str(tensor.dtype).removeprefix("torch.")
    metadata: dict[str, Any] = {
        "shape": tuple(tensor.shape),
        "strides": tuple(stride * item_size for stride in tensor.stride()),
        "dtype": _TYPE_STRINGS.get(name, f"|V{item_size}"),
        "size": tensor.numel() * item_size,
        "offset": 0,
        "device": tensor.device.index,
    }
    if name not in _TYPE_STRINGS:
        metadata["torch_dtype"] = name
    if not tensor.numel():
        return arrow.int8_array(bytes(HANDLE_BYTES)), metadata
    with torch.cuda.device(tensor.device):
        torch.cuda.current_stream().synchronize()
        base, _ = _driver().address_range(tensor.data_ptr())
        handle = _driver().export(base)
    metadata["offset"] = tensor.data_ptr() - base
    return arrow.int8_array(handle), metadata


def ipc_buffer_to_ipc_handle(handle_buffer: Any, metadata: Mapping[str, Any]) -> IpcHandle:
    """The handle that was received.

    Args:
        handle_buffer: the `value` of the event: an int8 array of 64 elements; also uint8, and bytes.
        metadata: the `metadata` of the event.

    Raises:
        ValueError: it is no handle, or the metadata describes no tensor.
    """
    return IpcHandle(_handle_bytes(handle_buffer), layout_of(metadata))


class IpcHandle:
    """GPU memory of another process; `open` maps it into this one.  Not for threads at the same time."""

    def __init__(self, handle: bytes, layout: Layout) -> None:
        self._handle = handle
        self._layout = layout
        self._base = 0

    def open(self) -> int:
        """Map the memory; returns the address of the tensor on the GPU.

        Raises:
            RuntimeError: CUDA is not there, or refused: the sender is gone, or it is this very process.
            ValueError: the tensor that the metadata describes does not lie inside the memory.
        """
        if self._base:
            raise RuntimeError("this IPC handle is open already; close it first")
        layout, driver = self._layout, _driver()
        with _on_device(layout.device):
            base = driver.open(self._handle)
            try:
                _, size = driver.address_range(base)
                check_inside(layout, size)
            except BaseException:
                driver.close(base)
                raise
        self._base = base
        return base + layout.offset

    def close(self) -> None:
        """Unmap the memory; tensors over it must not be used any more.  Again: nothing happens."""
        base, self._base = self._base, 0
        if base:
            with _on_device(self._layout.device):
                _driver().close(base)


@contextlib.contextmanager
def open_ipc_handle(ipc_handle: IpcHandle, metadata: Mapping[str, Any]) -> Iterator[Any]:
    """The tensor behind a handle: `with open_ipc_handle(handle, metadata) as tensor`.

    The tensor is the sender's memory: what one writes the other sees.  It is valid inside the block only; `clone()`
    what is to be kept.

    Args:
        metadata: the `metadata` of the event that the handle came with.

    Raises:
        ValueError: the metadata describes no tensor, or one that does not lie inside the memory.
        RuntimeError: CUDA is not there, or refused.
    """
    layout = layout_of(metadata)
    torch = _torch()
    kind = _torch_type(torch, layout)
    strides = [stride // layout.item_size for stride in layout.strides]
    if not layout.extent:
        yield torch.empty_strided(layout.shape, strides, dtype=kind, device=f"cuda:{layout.device}")
        return
    address = ipc_handle.open()
    try:
        memory = torch.as_tensor(_Memory(address, layout.extent), device=f"cuda:{layout.device}")
        if memory.data_ptr() != address:
            raise RuntimeError(f"this PyTorch ({torch.__version__}) copies foreign GPU memory, expected it to share it")
        yield memory.view(kind).as_strided(layout.shape, strides)
        with torch.cuda.device(layout.device):
            torch.cuda.current_stream().synchronize()  # what was started on the tensor must not outlive its memory
    finally:
        ipc_handle.close()


class _Memory:
    """GPU memory in the form that PyTorch takes (CUDA array interface, version 3)."""

    def __init__(self, address: int, size: int) -> None:
        self.__cuda_array_interface__ = {
            "shape": (size,), "typestr": "|u1", "data": (address, False), "strides": None, "version": 3,
        }  # fmt: skip


# -- what the metadata says --------------------------------------------------------------------------------------


def layout_of(metadata: Mapping[str, Any]) -> Layout:
    """The layout that metadata describes.

    Raises:
        ValueError: it describes none; the text says which key is wrong.
    """
    shape, strides = _numbers(metadata, "shape"), _numbers(metadata, "strides")
    if len(shape) != len(strides):
        raise ValueError(f"expected as many strides as dimensions, found shape {shape} and strides {strides}")
    name, item_size = _item_type(metadata)
    wrong = [stride for stride in strides if stride % item_size]
    if wrong:
        raise ValueError(f"expected strides in multiples of {item_size} bytes ({name}), found {strides}")
    offset, device = _number(metadata, "offset", 0), _number(metadata, "device", 0)
    if offset % item_size:
        raise ValueError(f"expected an offset in multiples of {item_size} bytes ({name}), found {offset}")
    reach = sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    extent = 0 if 0 in shape else reach + item_size
    if extent > _LARGEST:
        raise ValueError(f"shape {shape} with strides {strides} is larger than any memory")
    return Layout(shape, strides, name, item_size, offset, extent, device)


def check_inside(layout: Layout, size: int) -> None:
    """Whether the tensor lies inside an allocation of that size.

    Raises:
        ValueError: it does not.
    """
    if layout.offset + layout.extent > size:
        raise ValueError(
            f"a tensor of shape {layout.shape}, strides {layout.strides} and offset {layout.offset} needs "
            f"{layout.offset + layout.extent} bytes, but the sender's memory has {size}"
        )


def _numbers(metadata: Mapping[str, Any], key: str) -> tuple[int, ...]:
    found = metadata.get(key)
    if not isinstance(found, Sequence) or isinstance(found, (str, bytes)) or len(found) > _MOST_DIMENSIONS:
        raise ValueError(f"metadata {key!r}: expected a list of integers, found {found!r}")
    return tuple(_checked(entry, key) for entry in found)


def _number(metadata: Mapping[str, Any], key: str, default: int) -> int:
    return _checked(metadata.get(key, default), key)


def _checked(value: Any, key: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _LARGEST:
        raise ValueError(f"metadata {key!r}: expected an integer, 0 or more, found {value!r}")
    return value


def _item_type(metadata: Mapping[str, Any]) -> tuple[str, int]:
    text, name = metadata.get("dtype"), metadata.get("torch_dtype")
    if isinstance(text, str) and text in _TYPE_NAMES:
        return _TYPE_NAMES[text], int(text[2:])
    if isinstance(text, str) and text[:2] == "|V" and text[2:] in ("1", "2", "4", "8") and isinstance(name, str):
        return name, int(text[2:])
    known = ", ".join(_TYPE_NAMES)
    raise ValueError(f"metadata 'dtype': expected one of {known}, or |V2 with a torch_dtype, found {text!r}, {name!r}")


def _handle_bytes(buffer: Any) -> bytes:
    values = buffer.to_pylist() if hasattr(buffer, "to_pylist") else buffer
    if not isinstance(values, (bytes, bytearray, list)) or len(values) != HANDLE_BYTES:
        size = len(values) if hasattr(values, "__len__") else "no"
        raise ValueError(f"expected an int8 array of {HANDLE_BYTES} elements, found {type(buffer).__name__} of {size}")
    if not all(isinstance(value, int) and -128 <= value <= 255 for value in values):
        raise ValueError(f"expected an int8 array without nulls, found {buffer!r}")
    return bytes(value & 0xFF for value in values)


# -- PyTorch and the driver --------------------------------------------------------------------------------------


def _torch() -> Any:
    try:
        torch = importlib.import_module("torch")
    except ImportError as error:
        raise RuntimeError(f"dora.cuda needs PyTorch with CUDA, which cannot be imported: {error}") from error
    if not torch.cuda.is_available():
        built = f"torch {torch.__version__}, built for CUDA {torch.version.cuda}"
        raise RuntimeError(f"dora.cuda needs a GPU, but torch.cuda.is_available() is False ({built})")
    return torch


def _torch_type(torch: Any, layout: Layout) -> Any:
    kind = getattr(torch, layout.type_name, None)
    if not isinstance(kind, torch.dtype):
        raise ValueError(f"this PyTorch ({torch.__version__}) has no type {layout.type_name!r}")
    size = torch.empty(0, dtype=kind).element_size()
    if size != layout.item_size:
        raise ValueError(f"expected elements of {layout.item_size} bytes, but torch.{layout.type_name} has {size}")
    return kind


@contextlib.contextmanager
def _on_device(index: int) -> Iterator[None]:
    """Make PyTorch's context of that GPU the current one of this thread: the driver's calls refer to it."""
    torch = _torch()
    count = torch.cuda.device_count()
    if index >= count:
        raise RuntimeError(f"the tensor is on GPU {index}, but this process sees {count} (CUDA_VISIBLE_DEVICES)")
    with torch.cuda.device(index):
        torch.cuda.current_stream().synchronize()
        yield


class _Handle(ctypes.Structure):
    _fields_ = (("reserved", ctypes.c_char * HANDLE_BYTES),)


class _Driver:
    """The functions of libcuda that are needed; every failure is a RuntimeError with CUDA's own words."""

    def __init__(self) -> None:
        try:
            self._library = ctypes.CDLL(_LIBRARY)
        except OSError as error:
            raise RuntimeError(f"dora.cuda needs the CUDA driver library {_LIBRARY}: {error}") from error
        self._library.cuIpcOpenMemHandle_v2.argtypes = (ctypes.c_void_p, _Handle, ctypes.c_uint)
        for name in ("cuMemGetAddressRange_v2", "cuIpcGetMemHandle", "cuIpcCloseMemHandle"):
            self._library[name].restype = ctypes.c_int

    def address_range(self, address: int) -> tuple[int, int]:
        """Begin and size of the allocation that an address lies in."""
        base, size = ctypes.c_uint64(), ctypes.c_size_t()
        arguments = (ctypes.byref(base), ctypes.byref(size), ctypes.c_uint64(address))
        self._check("cuMemGetAddressRange", self._library.cuMemGetAddressRange_v2(*arguments))
        return base.value, size.value

    def export(self, base: int) -> bytes:
        """The handle of an allocation."""
        handle = _Handle()
        code = self._library.cuIpcGetMemHandle(ctypes.byref(handle), ctypes.c_uint64(base))
        self._check("cuIpcGetMemHandle", code)
        return bytes(handle)

    def open(self, handle: bytes) -> int:
        """Map an allocation of another process; returns its address here."""
        base = ctypes.c_uint64()
        given = _Handle.from_buffer_copy(handle)
        code = self._library.cuIpcOpenMemHandle_v2(ctypes.byref(base), given, _LAZY_PEER_ACCESS)
        self._check("cuIpcOpenMemHandle", code, "is the sender still alive, and another process than this?")
        return base.value

    def close(self, base: int) -> None:
        """Unmap it."""
        self._check("cuIpcCloseMemHandle", self._library.cuIpcCloseMemHandle(ctypes.c_uint64(base)))

    def _check(self, function: str, code: int, hint: str = "") -> None:
        if not code:
            return
        text = ctypes.c_char_p()
        self._library.cuGetErrorString(code, ctypes.byref(text))
        why = text.value.decode() if text.value else "unknown error"
        raise RuntimeError(f"{function} failed: {why} (CUDA error {code}){'; ' if hint else ''}{hint}")


@functools.lru_cache(1)
def _driver() -> _Driver:
    return _Driver()
