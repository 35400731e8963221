"""A writable view of memory that counts who looks at it, and refuses new views once the memory is given away.

Strategy: from Python 3.12 on a class can export a buffer itself (PEP 688).  Before that, `sample_buffer_abi.py` makes a
type from C slots.  Both export one private memoryview again and again: its reference count is the number of
live views, which stays right when a signal handler raises in the middle; counting by hand in
`__release_buffer__` does not.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Final

from dora.node.sample_memory import GONE, memory_view, refuse_array

if sys.version_info >= (3, 12):
    import pickle

    class SampleBuffer:
        """The memory of a message that is not sent yet: a buffer exporter and nothing else."""

        __slots__ = ("__weakref__", "_exporter", "_is_gone", "_view")

        def __init__(self, address: int, size: int, owner: object) -> None:
            self._view = memory_view(address, size, owner)
            self._exporter = pickle.PickleBuffer(self._view)
            self._is_gone = False

        def __buffer__(self, flags: int) -> memoryview:
            if self._is_gone:
                raise BufferError(GONE)
            return memoryview(self._exporter)

        # Without it numpy would keep an address into the memory, but no view that counts.  It need do nothing, and must
        # not be Python code: what a signal handler raises in there (Ctrl-C) would be printed and forgotten.
        __release_buffer__ = staticmethod(id)

        def __array__(self, *args: object, **kwargs: object) -> Any:
            if self._is_gone:
                refuse_array(self)
            import numpy  # only when numpy asks

            return numpy.frombuffer(self, numpy.uint8)

        def invalidate(self) -> None:
            """No new views from now on."""
            self._is_gone = True

        def revalidate(self) -> None:
            """The send failed: views may be taken again."""
            self._is_gone = False

else:
    from dora.node.sample_buffer_abi import SampleBuffer as SampleBuffer


def view_count(buffer: SampleBuffer) -> int:
    """How many views of it are alive (memoryviews, numpy arrays, ...)."""
    return sys.getrefcount(buffer._view) - _OWN_REFERENCES


_OWN_REFERENCES = 0
_probe_memory: Final = ctypes.create_string_buffer(8)
_OWN_REFERENCES = view_count(SampleBuffer(ctypes.addressof(_probe_memory), 8, None))
