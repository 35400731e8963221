"""The one tree of errors, sorted by who can mend it.

Strategy: an exception carries fields, its text is made from them, and the text says what was
expected, what was found, where, and how to mend it.  Nothing here imports anything but the
standard library, so that every process can load it.
"""

from __future__ import annotations


class DoraError(Exception):
    """Base of everything that dora itself raises on purpose."""


class DescriptorError(DoraError):
    """The dataflow file is wrong; its author can mend it.

    Attributes:
        problems: every problem of the file, in file order, one line each.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class NodeError(DoraError, RuntimeError):
    """A node's own code or process is at fault (also a RuntimeError, as dora-rs raises)."""


class ConnectionLost(DoraError):
    """The other side of a link is gone."""


class ProtocolError(DoraError):
    """The two sides of a link do not understand each other: ours to mend."""


class ResourceError(DoraError):
    """The machine refused something: file descriptors, pipes, memory, disk."""
