"""The few C functions that the data path calls, with and without the GIL.

Strategy: `os.read` and its kin release the GIL, and with one busy Python thread beside it every such
call can wait a switch interval (5 ms by default; 322 us per message were measured).  The same functions
through `ctypes.PyDLL` keep the GIL.  So with a second thread everything that cannot block goes through `PyDLL`; only
copies of 64 KiB and more (`memmove_released`) and the wait itself release it.  Without one the `os` functions are
used, which touch less code: at 200 Hz every call starts with cold caches.
"""

from __future__ import annotations

import _thread
import ctypes
import errno
import os
from collections.abc import Callable
from typing import Any, Final

_held = ctypes.PyDLL(None, use_errno=True)
_released = ctypes.CDLL(None, use_errno=True)

PROT_READ: Final = 1
PROT_WRITE: Final = 2
_MAP_SHARED: Final = 1
_MAP_NORESERVE: Final = 0x4000
MADV_REMOVE: Final = 9
_MADV_DONTDUMP: Final = 16
FIONREAD: Final = 0x541B
F_SETPIPE_SZ: Final = 1031
RELEASE_GIL_FROM: Final = 64 * 1024
"""copies of at least that many bytes release the GIL"""


def _declare(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    function = library[name]
    function.restype = result
    function.argtypes = arguments
    return function


_address = ctypes.c_void_p
_size = ctypes.c_size_t
read: Final[Callable[[int, int, int], int]] = _declare(_held, "read", ctypes.c_ssize_t, ctypes.c_int, _address, _size)
"""read(fd, address, size): bytes read, 0 at EOF, -1 with `ctypes.get_errno()`"""
write: Final[Callable[[int, Any, int], int]] = _declare(
    _held, "write", ctypes.c_ssize_t, ctypes.c_int, ctypes.c_char_p, _size
)
"""write(fd, bytes, size)"""
ioctl: Final[Callable[[int, int, int], int]] = _declare(
    _held, "ioctl", ctypes.c_int, ctypes.c_int, ctypes.c_ulong, _address
)
memmove_held: Final[Callable[[int, Any, int], int]] = _declare(_held, "memmove", _address, _address, _address, _size)
memmove_released: Final[Callable[[int, Any, int], int]] = _declare(
    _released, "memmove", _address, _address, _address, _size
)
madvise: Final[Callable[[int, int, int], int]] = _declare(_held, "madvise", ctypes.c_int, _address, _size, ctypes.c_int)
string_at: Final = ctypes.string_at
_mmap = _declare(
    _released, "mmap", _address, _address, _size, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_longlong
)
_munmap = _declare(_released, "munmap", ctypes.c_int, _address, _size)
_MAP_FAILED: Final = ctypes.c_void_p(-1).value


thread_count: Final[Callable[[], int]] = _thread._count
"""Python threads besides the main one: with none, `os.read` and `os.write` are the faster way (no GIL to lose)"""


PIECE_BYTES: Final = 4096


def read_some(fd: int, scratch_at: int) -> bytes | None:
    """Up to `PIECE_BYTES` of a non-blocking pipe, `b""` at EOF, None: nothing there.

    `scratch_at` is the address of as many bytes that no other thread uses: `read` keeps the GIL, but the interpreter
    may switch threads right behind it.
    """
    if thread_count():
        got = read(fd, scratch_at, PIECE_BYTES)
        return string_at(scratch_at, got) if got >= 0 else None
    try:
        return os.read(fd, PIECE_BYTES)
    except BlockingIOError:
        return None


def write_words(fd: int, words: bytes) -> bool:
    """Write a few words to a non-blocking pipe, all or none (at most PIPE_BUF bytes); False: it is full or gone."""
    if thread_count():
        return write(fd, words, len(words)) == len(words)
    try:
        return os.write(fd, words) == len(words)
    except OSError:
        return False


def copy(target: int, source: int, size: int) -> None:
    """Copy `size` bytes between two addresses; large copies let other threads run."""
    (memmove_held if size < RELEASE_GIL_FROM else memmove_released)(target, source, size)


def map_shared(fd: int, size: int, *, writable: bool) -> int:
    """Map a memfd and return the address; `mmap.mmap` is not used because it keeps a duplicate of the fd.

    The mapping stays out of core dumps: three sparse 64 GiB maps and a SIGSEGV took 84 s and wrote 24 GB.

    Raises:
        OSError: the kernel refused (address space limits: see `DORA_ARENA_BYTES`).
    """
    protection = PROT_READ | PROT_WRITE if writable else PROT_READ
    address = _mmap(None, size, protection, _MAP_SHARED | _MAP_NORESERVE, fd, 0)
    if address is None or address == _MAP_FAILED:
        code = ctypes.get_errno()
        hint = " (limits: `ulimit -v`; DORA_ARENA_BYTES asks for less)" if code == errno.ENOMEM else ""
        raise OSError(code, f"cannot map {size} bytes of shared memory: {os.strerror(code)}{hint}")
    madvise(address, size, _MADV_DONTDUMP)
    return int(address)


def view_of(address: int, size: int) -> memoryview:
    """Mapped memory as a memoryview of format B: slices of it copy small pieces faster than a foreign call."""
    return memoryview((ctypes.c_char * size).from_address(address)).cast("B")


def unmap(address: int, size: int) -> None:
    """Undo `map_shared`."""
    _munmap(address, size)
