"""The one block at the end of a run: who failed first and why, who followed, what was dropped, where the logs are.

Strategy: pure text from `RunSummary`.  The words of the reasons are those of dora-rs (dora cli, section 3.1),
because people search for them; its source locations and stack traces are left out.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from dora.runner.outcomes import (
    Cascaded,
    Ending,
    Exited,
    InputCounts,
    KilledAfterGrace,
    KilledByRunner,
    Outcome,
    RunSummary,
    Signalled,
    SpawnFailed,
    StartAborted,
)
from dora.runner.stderr_excerpt import excerpt

RULE: Final = "-" * 81
MOST_FAILURES: Final = 5
MOST_INPUTS: Final = 20
MOST_FOLLOWERS: Final = 10
_NO_INPUT: Final = "a node has nobody who types; make it `path: dynamic` and start it in a terminal of its own"
_HINTS: Final = {"bdb.BdbQuit": _NO_INPUT, "EOFError: EOF when reading a line": _NO_INPUT}
"""by how the last line on stderr begins"""


def final_report(summary: RunSummary, *, is_quiet: bool = False) -> str:
    """The text for stderr, without a last line end; "" when there is nothing to say.

    Args:
        is_quiet: say nothing unless the run failed.
    """
    failed = [outcome for outcome in summary.outcomes if outcome.is_failure]
    if not failed and summary.failure is None:
        return "" if is_quiet else "\n".join(_message_lines(summary))
    roots, followers = _split(failed)
    lines = ["Dataflow failed:"]
    if summary.failure is not None:
        lines += ["", summary.failure]
    for outcome in roots[:MOST_FAILURES]:
        lines += ["", *_failure_lines(outcome)]
    if len(roots) > MOST_FAILURES:
        lines += ["", f"These failed as well, later: {_names(roots[MOST_FAILURES:])}."]
    if followers:
        lines += ["", f"As a consequence these ended, too: {_names(followers)}."]
    rest = _message_lines(summary)
    if summary.log_dir is not None:
        rest.append(f"Log files of all nodes: {summary.log_dir}")
    return "\n".join([*lines, "", *rest] if rest else lines)


def reason(ending: Ending) -> str:
    """Why a node ended, as the end of the sentence "Node `x` failed: "."""
    return _REASONS[type(ending)](ending)


def signal_name(signum: int) -> str:
    """SIGSEGV and so on; "signal 35" where a number has no name."""
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"


def drop_lines(inputs: Sequence[InputCounts]) -> list[str]:
    """One line per input that lost messages, the worst first."""
    lossy = sorted(
        (counts for counts in inputs if counts.dropped or counts.undelivered),
        key=lambda counts: (-counts.dropped, -counts.undelivered, counts.node, counts.input),
    )
    lines = [_drop_line(counts) for counts in lossy[:MOST_INPUTS]]
    if len(lossy) > MOST_INPUTS:
        rest = lossy[MOST_INPUTS:]
        dropped, undelivered = sum(c.dropped for c in rest), sum(c.undelivered for c in rest)
        lines.append(f"and on {len(rest)} more inputs: {dropped} dropped, {undelivered} undelivered")
    return lines


def _drop_line(counts: InputCounts) -> str:
    where = f"{counts.sent} on {counts.node}/{counts.input} (queue_size {counts.queue_size}, {counts.policy})"
    if not counts.dropped:
        return f"undelivered {counts.undelivered} of {where}"
    return f"dropped {counts.dropped} of {where}" + (
        f", undelivered {counts.undelivered}" if counts.undelivered else ""
    )


def _message_lines(summary: RunSummary) -> list[str]:
    lines = drop_lines(summary.inputs)
    if summary.skipped_console_lines:
        lines.append(f"{summary.skipped_console_lines} lines were not shown here; the log files have them")
    if summary.lost_log_lines:
        lines.append(f"{summary.lost_log_lines} lines are missing in the log files: the disk refused them")
    return lines


def _split(failed: Sequence[Outcome]) -> tuple[list[Outcome], list[Outcome]]:
    """Root causes and their consequences, each in order of time; never no root."""
    ordered = sorted(failed, key=lambda outcome: outcome.ended_ns)
    roots = [outcome for outcome in ordered if not isinstance(outcome.ending, Cascaded)] or ordered[:1]
    return roots, [outcome for outcome in ordered if outcome not in roots]


def _failure_lines(outcome: Outcome) -> list[str]:
    tail = excerpt(outcome.stderr_tail)
    head = f"Node `{outcome.node}` failed: {reason(outcome.ending)}"
    if outcome.restarts:
        head += f" (after {outcome.restarts} restart{'s' if outcome.restarts > 1 else ''})"
    lines = [head + (" with stderr output:" if tail else "")]
    if tail:
        lines += [RULE, *tail, RULE]
    details = [
        ("command", outcome.command),
        ("interpreter", outcome.interpreter),
        ("ran for", None if outcome.ran_s is None else f"{outcome.ran_s:.1f} s"),
        ("log file", outcome.log_file),
        ("hint", next((hint for end, hint in _HINTS.items() if tail and tail[-1].startswith(end)), None)),
    ]
    return lines + [f"  {name + ':':<13}{value}" for name, value in details if value]


def _names(outcomes: Sequence[Outcome]) -> str:
    names = [f"`{outcome.node}`" for outcome in outcomes[:MOST_FOLLOWERS]]
    if len(outcomes) > MOST_FOLLOWERS:
        names.append(f"{len(outcomes) - MOST_FOLLOWERS} more")
    return ", ".join(names)


def _before(was_connected: bool) -> str:
    return "" if was_connected else " before connecting to dora"


def _spawn_failure(ending: SpawnFailed) -> str:
    if ending.errno is None or os.strerror(ending.errno) in ending.message:
        return f"failed to spawn node: {ending.message}"
    return f"failed to spawn node: {ending.message}: {os.strerror(ending.errno)}"


_REASONS: Final[Mapping[type, Callable[[Any], str]]] = {
    Exited: lambda ending: f"exited with code {ending.code}{_before(ending.was_connected)}",
    Signalled: lambda ending: f"exited because of signal {signal_name(ending.signum)}{_before(ending.was_connected)}",
    KilledAfterGrace: lambda ending: (
        "node was killed by dora because it didn't react to a stop message in time "
        f"({signal_name(ending.signum)} after {ending.waited_s:.0f} s)"
    ),
    SpawnFailed: _spawn_failure,
    KilledByRunner: lambda ending: ending.reason,
    Cascaded: lambda ending: f"ended because node `{ending.because_of}` exited before connecting to dora",
    StartAborted: lambda ending: "was stopped while it was starting",
}
