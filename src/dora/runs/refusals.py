"""What a runner's refusal is for the user of the API."""

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
