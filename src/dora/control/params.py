"""Keys and values of parameters, checked before anything is sent."""

from __future__ import annotations

from typing import Any

from dora.control.failures import ControlError
from dora.messages import api
from dora.messages.params import ParamFault, check_key, text_of


def checked_key(key: str) -> str:
    """The key, or a `ControlError` that says what is wrong with it."""
    try:
        check_key(key)
    except ParamFault as fault:
        raise _wrong(fault) from None
    return key


def checked_text(value: Any) -> str:
    """The value as JSON text, or a `ControlError` that says what is wrong with it."""
    try:
        return text_of(value)
    except ParamFault as fault:
        raise _wrong(fault) from None


def _wrong(fault: ParamFault) -> ControlError:
    return ControlError(api.Problem(code=api.WRONG_REQUEST, message=str(fault)))
