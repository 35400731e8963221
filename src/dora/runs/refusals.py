"""What a runner's refusal, its silence or its absence is for the user of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dora.messages import api
from dora.messages import runner_daemon as messages
from dora.runs.framing import RunnerRefused

_CODES: Final[Mapping[str, str]] = {
    messages.UNKNOWN_NODE: api.UNKNOWN_NODE,
    messages.UNKNOWN_OUTPUT: api.UNKNOWN_OUTPUT,
    messages.UNKNOWN_INPUT: api.UNKNOWN_INPUT,
    messages.WRONG_NODE: api.WRONG_NODE,
    messages.WRONG_VERSION: api.WRONG_VERSION,
    messages.BUSY: api.NO_ANSWER,
}


def refusal(error: RunnerRefused) -> api.Problem:
    """The problem; where a text was wrong, each of its problems is a line of its own."""
    code = _CODES.get(error.code, api.NOT_POSSIBLE)
    if error.code != messages.WRONG_NODE:
        return api.Problem(code=code, message=str(error))
    first, *problems = str(error).split("\n")
    return api.Problem(code=code, message=first, problems=problems)


def not_running(info: api.DataflowInfo) -> api.Problem:
    """It has ended, and what was asked needs its runner."""
    return api.Problem(code=api.NOT_RUNNING, message=f"`{info.called}` is not running any more ({info.state})")


def not_ended(info: api.DataflowInfo) -> api.Problem:
    """It was stopped, and its grace is over."""
    hint = f"`dora stop --force {info.called}`"
    return api.Problem(code=api.NO_ANSWER, message=f"`{info.called}` has not ended yet", hint=hint)
