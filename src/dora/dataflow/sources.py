"""Where an input comes from, as text (dora dataflow-yaml, section 7): an output, a timer, log entries."""

from __future__ import annotations

from typing import Final

from dora.dataflow.descriptor import LogsSource, OutputSource, Source, TimerSource
from dora.dataflow.report import Place, Report, shown
from dora.dataflow.schema import LOG_LEVELS
from dora.dataflow.timers import is_timer, parse_timer
from dora.ids import data_id_fault, node_id_fault

_LOGS: Final = "dora/logs"
EXPECTED: Final = "expected <node>/<output>, dora/timer/<unit>/<value> or dora/logs"


def read_source(text: str, at: Place, subject: str, report: Report) -> Source | None:
    """The source that `text` names; None after a report.

    A text without `/` is taken as a node: that it needs an output is said when it is known which ones there are.
    """
    source = _parse(text, report)
    if not isinstance(source, str):
        return source
    report.error(at, f"{subject}: {source}")
    return None


def source_text(source: Source) -> str:
    """The text that names a source, in canonical form."""
    if isinstance(source, TimerSource):
        return source.text
    if isinstance(source, OutputSource):
        return f"{source.node}/{source.output}"
    return "/".join(part for part in (_LOGS, source.level, source.node) if part is not None)


def _parse(text: str, report: Report) -> Source | str:
    if is_timer(text):
        return parse_timer(text)
    if text == _LOGS or text.startswith(_LOGS + "/"):
        return _parse_logs(text, report)
    if text.startswith("dora/"):
        hint = report.suggest(text.split("/")[1], ("timer", "logs"), name="dora/ has")
        return f"{EXPECTED}, found {shown(text)}; {hint}"
    return _parse_output(text)


def _parse_output(text: str) -> OutputSource | str:
    node, slash, output = text.partition("/")
    fault = node_id_fault(node) or (data_id_fault(output) if slash else None)
    if fault is not None:
        return f"{EXPECTED}, found {shown(text)}: {fault}"
    return OutputSource(node, output)


def _parse_logs(text: str, report: Report) -> LogsSource | str:
    parts = text.split("/")[2:]
    if len(parts) > 2 or not all(parts):
        return f"expected dora/logs, dora/logs/<level> or dora/logs/<level>/<node>, found {shown(text)}"
    level = parts[0].lower() if parts else None
    if level is not None and level not in LOG_LEVELS:
        hint = report.suggest(level, LOG_LEVELS)
        return f"expected one of the levels {', '.join(LOG_LEVELS)}, found {shown(parts[0])}; {hint}"
    return LogsSource(level, parts[1] if len(parts) > 1 else None)
