"""What running nodes have not been given yet, because the machine had no descriptors for it.

Strategy: a node that runs must not suffer from a want of descriptors in the runner.  What cannot be done about its
edges now waits, and all that is to be done about them later waits behind it, so that the node hears everything in
order.  It is tried again at every turn of the loop.  One message says so, and the next one only when nothing is owed
any more.  When the run of the node ends, what it was not given is undone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

from dora.errors import ResourceError

Act = Callable[[], None]


class _Owed(NamedTuple):
    act: Act
    undo: Act | None


class Arrears:
    """What is owed to each node; `tell` takes the text of the one message, and the node."""

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self._tell: Final = tell
        self._owed: Final[dict[str, deque[_Owed]]] = {}

    def __bool__(self) -> bool:
        """Whether there is anything to try again."""
        return bool(self._owed)

    def is_behind(self, node: str) -> bool:
        """Whether something is owed to that node."""
        return node in self._owed

    def do(self, node: str, act: Act, undo: Act | None = None) -> None:
        """Do it now, or when there are descriptors for it, behind what else is owed to that node."""
        if node in self._owed:
            self._owed[node].append(_Owed(act, undo))
            return
        try:
            act()
        except (ResourceError, OSError) as error:
            if not self._owed:
                self._tell(f"{describe_want(error)}: new connections of running nodes wait until it can be done", node)
            self._owed[node] = deque([_Owed(act, undo)])

    def try_again(self) -> None:
        """Do what can be done now."""
        for node in list(self._owed):
            owed = self._owed[node]
            try:
                while owed and self._owed.get(node) is owed:  # to tell a node may show that its link is gone
                    owed[0].act()
                    owed.popleft()
            except (ResourceError, OSError):
                continue
            if not owed:
                self._owed.pop(node, None)

    def forget(self, node: str) -> None:
        """That run of the node is over."""
        for owed in self._owed.pop(node, ()):
            if owed.undo is not None:
                owed.undo()


def describe_want(error: Exception) -> str:
    """What could not be done, and which limit to raise."""
    if isinstance(error, OSError):
        return f"cannot connect a node: {error.strerror} (limit: `ulimit -n`)"
    return str(error)
