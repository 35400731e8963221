"""Timers as text: `dora/timer/<unit>/<value>` (dora dataflow-yaml, section 7.1)."""

from __future__ import annotations

import re
from typing import Final

from dora.dataflow.descriptor import TimerSource
from dora.dataflow.report import shown

PREFIX: Final = "dora/timer"
UNITS: Final = {"secs": 10**9, "millis": 10**6, "micros": 10**3, "nanos": 1}
ALL_UNITS: Final = (*UNITS, "hz")
EXAMPLES: Final = "write for instance dora/timer/millis/100 or dora/timer/hz/30"

_LONGEST_NS: Final = 2**62
_WHOLE: Final = re.compile(r"[0-9]{1,30}")
_DECIMAL: Final = re.compile(r"(?:[0-9]{1,30}(?:\.[0-9]*)?|\.[0-9]{1,30})(?:[eE][-+]?[0-9]{1,4})?")


def is_timer(text: str) -> bool:
    """The text names a timer, rightly or wrongly."""
    return text == PREFIX or text.startswith(PREFIX + "/")


def parse_timer(text: str) -> TimerSource | str:
    """The timer, or what is wrong with the text."""
    parts = text.split("/")[2:]
    if len(parts) != 2 or not all(parts):
        return f"a timer is dora/timer/<unit>/<value>; {EXAMPLES}"
    unit, value = parts
    if unit not in ALL_UNITS:
        return f"a timer has one of the units {', '.join(ALL_UNITS)}, found {shown(unit)}; {EXAMPLES}"
    period_ns = _period_of_rate(value) if unit == "hz" else _period_of_count(value, UNITS[unit])
    if isinstance(period_ns, str):
        return period_ns
    if period_ns < 1:
        return f"expected a timer with a period of at least 1 ns, found {shown(f'{unit}/{value}')}; {EXAMPLES}"
    if period_ns > _LONGEST_NS:
        return f"expected a timer with a period below 146 years, found {shown(f'{unit}/{value}')}"
    return TimerSource(period_ns, canonical(round(period_ns)))


def canonical(period_ns: int) -> str:
    """The timer's text with the coarsest unit that is exact."""
    unit, factor = next((unit, factor) for unit, factor in UNITS.items() if period_ns % factor == 0)
    return f"{PREFIX}/{unit}/{period_ns // factor}"


def _period_of_count(value: str, factor: int) -> int | str:
    if not _WHOLE.fullmatch(value):
        text = f"expected a whole number after the unit, found {shown(value)}"
        exact = float(value) * factor if _DECIMAL.fullmatch(value) else 0.0
        close = f"did you mean '{canonical(round(exact))}'?" if 1 <= exact <= _LONGEST_NS else EXAMPLES
        return f"{text}; {close}"
    return int(value) * factor


def _period_of_rate(value: str) -> float | str:
    rate = float(value) if _DECIMAL.fullmatch(value) else 0.0
    if not 0 < rate < float("inf"):
        return f"expected a number above 0 after hz, found {shown(value)}"
    period_ns = min(1e9 / rate, 2.0**63) if rate <= 1e9 else 0.0
    return int(period_ns) if period_ns.is_integer() else period_ns  # 30 Hz are no whole nanoseconds
