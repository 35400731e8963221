"""`SampleBuffer` for Python 3.10 and 3.11, where only C types can export a buffer.  Goes when 3.11 goes.

Strategy: `PyType_FromSpecWithBases` makes a type whose buffer slots are those of `pickle.PickleBuffer`; its instances
have the same layout (object head, Py_buffer, weak reference list), which is checked at import.  The slot for
releasing does nothing, but without it numpy would keep no view that counts.  The type of a buffer that was sent has
`PyObject_IsTrue` for a getbuffer slot: it takes the object, leaves the other arguments alone, and fails with what the
type's `__bool__` raises.  ctypes callbacks are no alternative: an exception inside one is a SystemError, and a
signal there is a crash.
"""

from __future__ import annotations

import ctypes
import pickle
import sys
from ctypes import POINTER, c_char_p, c_int, c_uint, c_void_p, py_object
from typing import Any, Final

from dora.node.sample_memory import PROBE_ADDRESS, memory_view, refuse, refuse_array

_HEAD_BYTES: Final = 16
_VIEW_BYTES: Final = 80
_LAYOUT_BYTES: Final = _HEAD_BYTES + _VIEW_BYTES + 8
_OBJ_AT: Final = _HEAD_BYTES + 8
_FULL_RW: Final = 0x11D
_GETBUFFER: Final = 1
_RELEASEBUFFER: Final = 2
_BASETYPE: Final = (1 << 18) | (1 << 10)

if pickle.PickleBuffer.__basicsize__ != _LAYOUT_BYTES or object.__basicsize__ != _HEAD_BYTES:
    raise NotImplementedError("send_output_raw needs CPython 3.11 or newer: this build lays out buffers differently")


class _Slot(ctypes.Structure):
    _fields_ = [("slot", c_int), ("function", c_void_p)]


class _Spec(ctypes.Structure):
    _fields_ = [
        ("name", c_char_p),
        ("basicsize", c_int),
        ("itemsize", c_int),
        ("flags", c_uint),
        ("slots", POINTER(_Slot)),
    ]


_api = ctypes.PyDLL(None)
_type_from_spec = _api.PyType_FromSpecWithBases
_type_from_spec.restype = py_object
_type_from_spec.argtypes = [POINTER(_Spec), py_object]
_get_slot = _api.PyType_GetSlot
_get_slot.restype = c_void_p
_get_slot.argtypes = [py_object, c_int]
_get_buffer = _api.PyObject_GetBuffer
_get_buffer.argtypes = [py_object, c_void_p, c_int]
_release_buffer = _api.PyBuffer_Release
_release_buffer.argtypes = [c_void_p]
_release_buffer.restype = None
_specs: list[object] = []


def _make_type(name: bytes, size: int, getbuffer: int, base: type) -> Any:
    releasebuffer = _get_slot(pickle.PickleBuffer, _RELEASEBUFFER)
    slots = (_Slot * 3)(_Slot(_GETBUFFER, getbuffer), _Slot(_RELEASEBUFFER, releasebuffer), _Slot(0, None))
    spec = _Spec(name, size, 0, _BASETYPE, slots)
    _specs.append((slots, spec))  # the type keeps pointers into them
    return _type_from_spec(ctypes.byref(spec), (base,))


_Exporter: Any = _make_type(b"dora.SampleExporter", _LAYOUT_BYTES, _get_slot(pickle.PickleBuffer, _GETBUFFER), object)


class SampleBuffer(_Exporter):  # type: ignore[misc]  # made at run time
    """The memory of a message that is not sent yet: a buffer exporter, and how many look at it."""

    __slots__ = ("__weakref__", "_view")

    def __init__(self, address: int, size: int, owner: object) -> None:
        self._view = memory_view(address, size, owner)
        _get_buffer(self._view, id(self) + _HEAD_BYTES, _FULL_RW)

    @property
    def view_count(self) -> int:
        """How many views (memoryviews, numpy arrays, ...) are alive; `send` and the end of `with` need 0."""
        return sys.getrefcount(self._view) - _OWN_REFERENCES

    def invalidate(self) -> None:
        """No new views from now on."""
        self.__class__ = _Dead

    def revalidate(self) -> None:
        """The send failed: views may be taken again."""

    def __del__(self, release: Any = _release_buffer, word: Any = c_void_p) -> None:
        if word.from_address(id(self) + _OBJ_AT).value:
            release(id(self) + _HEAD_BYTES)


_OWN_REFERENCES = 0
_OWN_REFERENCES = SampleBuffer(PROBE_ADDRESS, 0, None).view_count
_refusing: Final = ctypes.cast(ctypes.pythonapi.PyObject_IsTrue, c_void_p).value or 0
_Dead: Any = _make_type(b"dora.SampleBufferInvalid", SampleBuffer.__basicsize__, _refusing, SampleBuffer)
_Dead.__array__ = refuse_array
_Dead.__bool__ = refuse
_Dead.invalidate = lambda self: None
_Dead.revalidate = lambda self: setattr(self, "__class__", SampleBuffer)
