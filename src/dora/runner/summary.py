"""Gathers what the block at the end says: outcomes with their commands and last lines, and messages per input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from dora.dataflow.descriptor import BACKPRESSURE, DROP_OLDEST
from dora.runner.effects import Route
from dora.runner.launch import Launcher
from dora.runner.logs import NodeLog
from dora.runner.outcomes import Cascaded, InputCounts, Outcome
from dora.runner.state.routes import is_runner_sender
from dora.transport.counters import CountersPage


def complete(outcome: Outcome, launcher: Launcher, log: NodeLog | None) -> Outcome:
    """The outcome with what only the acting side knows; what a consequence printed says nothing about the cause."""
    shows_tail = not isinstance(outcome.ending, Cascaded)
    return replace(
        outcome,
        command=launcher.commands.get(outcome.node, ""),
        interpreter=launcher.interpreter(outcome.node),
        stderr_tail=tuple(log.stderr_tail()) if log is not None and shows_tail else (),
        log_file=str(log.file.path) if log is not None else None,
    )


def complete_all(outcomes: Sequence[Outcome], launcher: Launcher, logs: Mapping[str, NodeLog]) -> tuple[Outcome, ...]:
    """`complete` for each."""
    return tuple(complete(outcome, launcher, logs.get(outcome.node)) for outcome in outcomes)


def input_counts(routes: Sequence[Route], page: CountersPage) -> tuple[InputCounts, ...]:
    """What happened on every input that another node feeds, or what it prints; the nodes have ended.

    What a reader of log lines has not taken at the end is no loss: the log files have it, and such inputs never close.
    """
    found = []
    for route in routes:
        counts = page.edge(route.slot)
        left = 0 if is_runner_sender(route.sender) else counts.sent - counts.dropped - counts.taken
        found.append(
            InputCounts(
                node=route.reader,
                input=route.input,
                sent=counts.sent,
                dropped=counts.dropped,
                undelivered=max(0, left),
                queue_size=route.queue_size,
                policy=BACKPRESSURE if route.is_lossless else DROP_OLDEST,
            )
        )
    return tuple(found)
