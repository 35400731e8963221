"""Durations on the command line: `30` (seconds), `500ms`, `10s`, `5m`, `1h30m`, `2d` (dora cli, section 2.5)."""

from __future__ import annotations

import re
from typing import Any, Final

import click

_UNITS_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ms|s|m|h|d)", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+", re.ASCII)


class Duration(click.ParamType):  # type: ignore[type-arg] # generic in the stubs of some versions only
    """Seconds as a float."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read `value`; a usage error if it is no duration."""
        if isinstance(value, (int, float)):
            return float(value)
        text = str(value).strip().lower()
        if _NUMBER.fullmatch(text):
            return float(text)
        if not text or _PART.sub("", text):
            self.fail(f"{value!r} is not a duration such as 30, 500ms, 10s, 5m or 1h30m", param, ctx)
        return sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text))


DURATION: Final = Duration()
