"""Which dataflow is meant: an id, the beginning of one, a name, or the file of what runs (dora cli, section 2.4).

Strategy: what runs goes before what is over; of several that are over under one name, the latest is meant.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from dora.errors import DoraError
from dora.hints import did_you_mean
from dora.messages import api

_SHORTEST_PREFIX: Final = 4
_MOST_LISTED: Final = 10


class ChoiceError(DoraError):
    """No dataflow, or more than one, is meant.

    Attributes:
        code: `messages.api.UNKNOWN_DATAFLOW` or `AMBIGUOUS`.
        hint: what to do about it.
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code: Final = code
        self.hint: Final = hint

    @property
    def problem(self) -> api.Problem:
        """What the API says of it."""
        return api.Problem(code=self.code, message=str(self), hint=self.hint)


def choose(dataflows: Sequence[api.DataflowInfo], wanted: str) -> api.DataflowInfo:
    """The one that `wanted` means.

    Args:
        dataflows: running ones first, then those that are over, the latest first.

    Raises:
        ChoiceError: none, or several.
    """
    for found in dataflows:
        if wanted in (found.id, found.name) and wanted:
            return found
    by_file = [found for found in dataflows if _is_named_by_file(found, wanted)]
    if len(by_file) == 1:
        return by_file[0]
    if by_file:
        raise ChoiceError(
            api.AMBIGUOUS,
            f"{len(by_file)} dataflows of {wanted.strip('()')} are running:\n{listed(by_file)}",
            "use a name or an id",
        )
    starts = [found for found in dataflows if len(wanted) >= _SHORTEST_PREFIX and found.id.startswith(wanted.lower())]
    if len(starts) == 1:
        return starts[0]
    if starts:
        raise ChoiceError(api.AMBIGUOUS, f"`{wanted}` is the beginning of {len(starts)} ids:\n{listed(starts)}")
    raise _unknown(dataflows, wanted)


def choose_running(dataflows: Sequence[api.DataflowInfo]) -> api.DataflowInfo:
    """The only one that runs.

    Raises:
        ChoiceError: none does, or several do.
    """
    running = [found for found in dataflows if found.state not in api.ENDED]
    if len(running) == 1:
        return running[0]
    if not running:
        raise ChoiceError(api.UNKNOWN_DATAFLOW, "no dataflow is running", "start one with `dora start FILE`")
    raise ChoiceError(
        api.AMBIGUOUS,
        f"{len(running)} dataflows are running, say which is meant:\n{listed(running)}",
        "name it, or use its id",
    )


def listed(dataflows: Sequence[api.DataflowInfo]) -> str:
    """One line each, for a message."""
    lines = [f"  {found.id}  {shown_name(found)}" for found in dataflows[:_MOST_LISTED]]
    if len(dataflows) > _MOST_LISTED:
        lines.append(f"  and {len(dataflows) - _MOST_LISTED} more")
    return "\n".join(lines)


def shown_name(found: api.DataflowInfo) -> str:
    """Its name; of one in somebody's terminal, its file."""
    return found.name or f"({os.path.basename(found.file)})"


def _is_named_by_file(found: api.DataflowInfo, wanted: str) -> bool:
    """Of what runs the file says enough; one in somebody's terminal has no other name, and stands so in lists."""
    if found.state in api.ENDED:
        return False
    return wanted in (found.file, os.path.basename(found.file), shown_name(found))


def _unknown(dataflows: Sequence[api.DataflowInfo], wanted: str) -> ChoiceError:
    names = [found.name for found in dataflows if found.name]
    running = [found for found in dataflows if found.state not in api.ENDED]
    message = f"there is no dataflow `{wanted}`"
    if running:
        message += f"; running are:\n{listed(running)}"
    else:
        message += ", and none is running"
    hint = did_you_mean(wanted, names) or "`dora list` shows all that are known"
    return ChoiceError(api.UNKNOWN_DATAFLOW, message, hint)
