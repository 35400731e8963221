"""`send_output_raw`: the user writes into shared memory, nothing is copied (dora node-api, section 8)."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from dora.errors import NodeError
from dora.node.outputs import Output, encode_metadata
from dora.node.sample_buffer import SampleBuffer

_SENT = "Sample has already been sent"


class SampleHandler:
    """One message to be filled in place; `with` sends it at the end of the block.

    The memory belongs to the caller until `send`; afterwards it belongs to the readers, and no view of it may be
    left.  A handler that is dropped unsent sends nothing.
    """

    def __init__(self, output: Output, size: int, metadata: dict[str, Any] | None) -> None:
        self._output = output
        self._size = size
        self._encoded = encode_metadata(metadata)
        self._is_sent = False
        self._chunk = output.take_chunk(size)
        self._buffer = SampleBuffer(self._chunk.address, size, self._chunk)

    def __del__(self) -> None:
        buffer = getattr(self, "_buffer", None)
        if buffer is not None:
            buffer.invalidate()

    def __len__(self) -> int:
        """Size in bytes."""
        return self._size

    @property
    def view_count(self) -> int:
        """How many views (memoryviews, numpy arrays, ...) of the memory are alive."""
        return 0 if self._is_sent else self._buffer.view_count

    def as_buffer(self) -> SampleBuffer:
        """The buffer exporter, the same object each time: for `np.asarray`, `memoryview`, `struct.pack_into`.

        Raises:
            RuntimeError: the sample has been sent.
        """
        if self._is_sent:
            raise NodeError("Cannot access buffer: the sample has already been sent")
        return self._buffer

    def as_memoryview(self) -> memoryview:
        """A writable memoryview (format B); release it before `send`.

        Raises:
            RuntimeError: the sample has been sent.
        """
        return memoryview(self.as_buffer())

    def send(self) -> None:
        """Send the message.

        Raises:
            RuntimeError: it was sent before, or views are still open (release them and call again).
            BaseException: whatever interrupted the wait for room; the message can be sent again.
        """
        if self._is_sent:
            raise NodeError(_SENT)
        views = self._buffer.view_count
        if views:
            raise NodeError(
                f"Cannot send: {views} buffer view(s) are still open. "
                "Release all memoryview / numpy references before calling send()."
            )
        self._is_sent = True
        self._buffer.invalidate()
        try:
            self._output.send_chunk(self._chunk, self._size, self._encoded)
        except BaseException:
            if not self._chunk.is_sent:
                self._is_sent = False
                self._buffer.revalidate()
            raise

    def __enter__(self) -> SampleBuffer:
        return self.as_buffer()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            return
        try:
            self.send()
        except RuntimeError as failure:
            raise NodeError(f"Failed to send: {failure}") from None
