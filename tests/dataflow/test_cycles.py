"""Cycles that nothing starts are warned about; others are left alone."""

from __future__ import annotations

import pytest

from dataflow.conftest import Problems

HINT = "nothing starts this cycle; add a timer to one of them, or let one send before it receives"


def nodes(*inputs: str) -> str:
    """Nodes a, b, c ... with these inputs, all with the output `o`."""
    named = zip("abcdef", inputs, strict=False)
    lines = [f"- {{id: {name}, path: x.py, outputs: [o], inputs: {each}}}" for name, each in named]
    return "\n".join(["nodes:", *lines])


def test_node_that_reads_only_itself_is_warned_about(warnings: Problems) -> None:
    assert warnings(nodes("{i: a/o}")) == [f"2:37: node 'a' is fed by itself alone: {HINT}"]


def test_cycle_is_named_in_the_direction_of_the_messages(warnings: Problems) -> None:
    (found,) = warnings(nodes("{i: c/o}", "{i: a/o}", "{i: b/o}"))
    assert found == f"2:37: nodes 'a' -> 'b' -> 'c' -> 'a' are fed by each other alone: {HINT}"


def test_each_cycle_is_warned_about_once(warnings: Problems) -> None:
    found = warnings(nodes("{i: b/o}", "{i: a/o, j: b/o}", "{i: d/o}", "{i: c/o}"))
    assert [line.partition(" are fed")[0] for line in found] == [
        "2:37: nodes 'a' -> 'b' -> 'a'",
        "4:37: nodes 'c' -> 'd' -> 'c'",
    ]


STARTED = [
    nodes("{i: b/o, t: dora/timer/secs/1}", "{i: a/o}"),
    nodes("{i: b/o, l: dora/logs}", "{i: a/o}"),
    nodes("{i: b/o}", "{i: a/o, j: c/o}", "{}"),
    nodes("{i: b/o}", "{i: a/o}").replace("path: x.py", "path: dynamic", 1),
    nodes("{i: a/p}").replace("outputs", "send_stdout_as: p, outputs"),
    nodes("{i: b/o}", "{}"),
    nodes("{t: dora/timer/secs/1}", "{i: a/o}", "{i: b/o, j: c/o}"),
]


@pytest.mark.parametrize("text", STARTED)
def test_cycle_with_a_beginning_is_left_alone(warnings: Problems, text: str) -> None:
    assert warnings(text) == []


def test_long_cycle_is_shortened(warnings: Problems) -> None:
    lines = [
        f"- {{id: n{at}, path: x.py, outputs: [o], inputs: {{i: n{at - 1 if at else 99}/o}}}}" for at in range(100)
    ]
    (found,) = warnings("\n".join(["nodes:", *lines]))
    assert "nodes 'n0' -> 'n1' -> 'n2' -> 'n3' -> 'n4' -> 'n5' -> ... -> 'n0' are fed" in found
