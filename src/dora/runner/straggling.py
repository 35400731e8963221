"""Finds nodes that go on although nothing can come any more (dora yaml-spec, section 17, straggler watchdog).

Strategy: a node that was told that all its inputs are closed may still have work to do, so it is left alone while
anybody sends anything; when nothing was sent for the whole time, and no source is left, it is a straggler.
A node with `finish_grace_secs` has a time of its own, kept by the rules.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from dora import env
from dora.errors import DescriptorError
from dora.runner.state.times import NS_PER_S

DEFAULT_S: Final = 120
_NEVER: Final = ("off", "disabled")


def patience_s(environ: Mapping[str, str]) -> int | None:
    """How long stragglers may take; None: for ever.

    Raises:
        DescriptorError: the variable is neither a number of seconds nor `off`.
    """
    stated = environ.get(env.FINISH_DRAIN_GRACE_SECS, "").strip()
    if not stated:
        return DEFAULT_S
    if stated.lower() in _NEVER:
        return None
    if not stated.isdecimal():
        text = f"{env.FINISH_DRAIN_GRACE_SECS} is {stated!r}: expected whole seconds, or `off`"
        raise DescriptorError([text])
    return int(stated)


class StragglerWatch:
    """Looks now and then whether anything is still sent."""

    def __init__(self, patience_s: int | None) -> None:
        self.patience_s: Final = patience_s
        self._seen: object = None
        self._since_ns = 0

    def forget(self) -> None:
        """Nobody ran for a while: begin anew."""
        self._seen = None

    def look(self, stragglers: Sequence[str], sent: int, now_ns: int) -> bool:
        """Whether these have had time enough; `sent`: messages of the whole dataflow so far."""
        seen = (tuple(stragglers), sent)
        if seen != self._seen:
            self._seen = seen
            self._since_ns = now_ns
        if not stragglers or self.patience_s is None:
            return False
        return now_ns - self._since_ns >= self.patience_s * NS_PER_S
