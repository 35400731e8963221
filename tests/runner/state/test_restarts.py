"""When a node is started again (dora yaml-spec, Restart policy)."""

from __future__ import annotations

import pytest

from dora.dataflow.descriptor import RestartPolicy
from dora.runner.state.restarts import GiveUp, Restart, RestartBudget

SECOND_NS = 1_000_000_000


def decide(policy: RestartPolicy, exits: list[tuple[float, bool]]) -> list[float | str | None]:
    """The delay in seconds after each exit (at that second, a failure or not), "gives up", or None."""
    budget = RestartBudget(policy)
    found: list[float | str | None] = []
    for at_s, is_failure in exits:
        decision = budget.decide(round(at_s * SECOND_NS), is_failure=is_failure)
        if isinstance(decision, Restart):
            found.append(decision.delay_ns / SECOND_NS)
        else:
            found.append("gives up" if isinstance(decision, GiveUp) else None)
    return found


@pytest.mark.parametrize(
    ("when", "expected"), [("never", [None, None]), ("on-failure", [None, 0.0]), ("always", [0.0, 0.0])]
)
def test_the_policy_says_after_which_exits(when: str, expected: list[float | None]) -> None:
    assert decide(RestartPolicy(when), [(0, False), (1, True)]) == expected


def test_the_delay_doubles_up_to_its_maximum() -> None:
    policy = RestartPolicy("always", delay_s=0.2, max_delay_s=1.0)
    assert decide(policy, [(second, True) for second in range(5)]) == [0.2, 0.4, 0.8, 1.0, 1.0]


def test_the_doubling_ends_after_sixteen_times() -> None:
    delays = decide(RestartPolicy("always", delay_s=0.001), [(second, True) for second in range(20)])
    assert delays[-1] == delays[-2] == 65.536


def test_the_budget_ends_the_restarts() -> None:
    assert decide(RestartPolicy("always", 2), [(0, True)] * 4) == [0.0, 0.0, "gives up", "gives up"]


def test_a_new_window_brings_a_new_budget_and_a_new_delay() -> None:
    policy = RestartPolicy("always", 1, delay_s=0.2, window_s=0.1)
    assert decide(policy, [(0.6 * number, True) for number in range(5)]) == [0.2] * 5


def test_a_window_that_is_not_over_does_not() -> None:
    policy = RestartPolicy("always", 1, delay_s=0.2, window_s=10)
    assert decide(policy, [(0, True), (9, True), (10.5, True)]) == [0.2, "gives up", 0.2]
