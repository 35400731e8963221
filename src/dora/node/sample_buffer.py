"""A writable view of memory that counts who looks at it, and refuses new views once the memory is given away.

Strategy: from Python 3.12 on a class can export a buffer itself (PEP 688).  Before that, `sample_buffer_abi.py` makes a
type from C slots.  Both export one private memoryview again and again: its reference count is the number of
live views, which stays right when a signal handler raises in the middle; counting by hand in
`__release_buffer__` does not.
"""

from __future__ import annotations

import sys
from typing import Any

from dora.node.sample_memory import GONE, PROBE_ADDRESS, memory_view, refuse_array

if sys.version_info >= (3, 12):
    import pickle

    class SampleBuffer:
        """The memory of a message that is not sent yet: a buffer exporter, and how many look at it."""

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

        @property
        def view_count(self) -> int:
            """How many views (memoryviews, numpy arrays, ...) are alive; `send` and the end of `with` need 0."""
            return sys.getrefcount(self._view) - _OWN_REFERENCES

        def invalidate(self) -> None:
            """No new views from now on."""
            self._is_gone = True

        def revalidate(self) -> None:
            """The send failed: views may be taken again."""
            self._is_gone = False

    _OWN_REFERENCES = 0
    _OWN_REFERENCES = SampleBuffer(PROBE_ADDRESS, 0, None).view_count

else:
    from dora.node.sample_buffer_abi import SampleBuffer as SampleBuffer
