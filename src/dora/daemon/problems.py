"""Why a request was not done, on its way from where that is noticed to the HTTP answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from dora.errors import ConnectionLost, DoraError, ProtocolError
from dora.messages import api
from dora.runs.choosing import ChoiceError
from dora.runs.framing import RunnerRefused
from dora.runs.refusals import refusal

STATUS: Final[Mapping[str, int]] = {
    api.WRONG_REQUEST: 400,
    api.WRONG_TOKEN: 401,
    api.UNKNOWN_DATAFLOW: 404,
    api.UNKNOWN_NODE: 404,
    api.UNKNOWN_OUTPUT: 404,
    api.UNKNOWN_INPUT: 404,
    api.UNKNOWN_PARAM: 404,
    api.AMBIGUOUS: 409,
    api.NAME_TAKEN: 409,
    api.NOT_RUNNING: 409,
    api.NOT_POSSIBLE: 409,
    api.START_FAILED: 422,
    api.WRONG_NODE: 422,
    api.WRONG_VERSION: 426,
    api.INTERNAL: 500,
    api.NO_ANSWER: 504,
}
"""code of a problem -> HTTP status"""


class ApiError(DoraError):
    """A request that is not done."""

    def __init__(self, code: str, message: str, hint: str = "", problems: list[str] | None = None) -> None:
        super().__init__(message)
        self.problem: Final = api.Problem(code=code, message=message, hint=hint, problems=problems or [])

    @classmethod
    def of(cls, problem: api.Problem) -> ApiError:
        """The error of a problem that is known already."""
        return cls(problem.code, problem.message, problem.hint, problem.problems)


def problem_of(error: DoraError) -> api.Problem:
    """The problem that an error of ours is for the user."""
    if isinstance(error, ApiError):
        return error.problem
    if isinstance(error, ChoiceError):
        return error.problem
    if isinstance(error, RunnerRefused):
        return refusal(error)
    if isinstance(error, ConnectionLost | ProtocolError):
        return api.Problem(
            code=api.NO_ANSWER, message=str(error), hint="try again; `dora list` shows whether it still runs"
        )
    return api.Problem(code=api.INTERNAL, message=str(error))
