"""The start barrier: every node that is wired to anything can receive before any of them may send.

Strategy: it opens once, when the last member is ready, or at once when a stop releases those who wait; or it
fails once, when a member has ended for good while another one is still expected.
"""

from __future__ import annotations

from collections.abc import Iterable


class Barrier:
    """Who is waited for.

    Attributes:
        is_open: nodes may run.
        failed_by: the node that made the start impossible, or None.
    """

    def __init__(self, members: Iterable[str]) -> None:
        self._missing = dict.fromkeys(members)
        self.is_open = not self._missing
        self.failed_by: str | None = None

    @property
    def is_decided(self) -> bool:
        """Open or failed."""
        return self.is_open or self.failed_by is not None

    @property
    def waited_for(self) -> list[str]:
        """Members that are not ready, in file order; nothing once it is decided."""
        return [] if self.is_decided else list(self._missing)

    def is_member(self, node: str) -> bool:
        """Whether the start still waits for that node."""
        return node in self._missing

    def note_ready(self, node: str) -> bool:
        """That node can receive; True if this opens the barrier."""
        self._missing.pop(node, None)
        return self._open_if_complete()

    def note_not_ready(self, node: str) -> None:
        """A ready node ended while the others were still expected, and will be started again."""
        if not self.is_decided:
            self._missing[node] = None

    def note_ended(self, node: str, others_alive: bool) -> bool:
        """That node ended for good before the start; True if the start has failed by it.

        A program that is alone never had to connect: then nothing failed.
        """
        if others_alive and not self.is_decided:
            self.failed_by = node
        return self.failed_by == node

    def note_left(self, node: str) -> bool:
        """That node was taken out by the user, which is no failure of the start; True if this opens the barrier."""
        return self.note_ready(node)

    def release(self) -> None:
        """A stop came: nobody waits any longer."""
        if self.failed_by is None:
            self.is_open = True

    def _open_if_complete(self) -> bool:
        if self._missing or self.is_decided:
            return False
        self.is_open = True
        return True
