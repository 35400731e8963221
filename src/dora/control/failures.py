"""What goes wrong between a client and the service."""

from __future__ import annotations

from typing import Final

from dora.errors import DoraError
from dora.messages import api


class ControlError(DoraError):
    """A request was not done.

    Attributes:
        code: a word of `dora.messages.api`, such as `UNKNOWN_DATAFLOW`.
        hint: what to do about it, or "".
        problems: what is wrong with a dataflow file, one line each.
    """

    def __init__(self, problem: api.Problem) -> None:
        super().__init__(problem.message)
        self.code: Final = problem.code
        self.hint: Final = problem.hint
        self.problems: Final = problem.problems


class NoServiceError(ControlError):
    """There is no service where one was expected."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(api.Problem(code=api.NO_ANSWER, message=message, hint=hint))
