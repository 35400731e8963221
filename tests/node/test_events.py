"""Events are dicts; a few absent keys read as None (design.md, section 10)."""

from __future__ import annotations

import datetime
import json
import pickle
from typing import Any

import pytest

from dora.node import events

STOP = events.stop("MANUAL")


@pytest.mark.parametrize("key", ["value", "metadata", "error"])
def test_absent_value_metadata_and_error_read_as_none(key: str) -> None:
    assert STOP[key] is None


def test_absent_id_reads_as_none() -> None:
    assert events.error("what")["id"] is None


@pytest.mark.parametrize("key", ["Value", "data", "timestamp", 0])
def test_another_absent_key_is_an_error(key: Any) -> None:
    with pytest.raises(KeyError):
        STOP[key]


def test_reading_an_absent_key_does_not_add_it() -> None:
    event = events.stop("MANUAL")
    event["value"]
    assert "value" not in event
    assert (event.get("value", 5), len(event), sorted(event)) == (5, 3, ["id", "kind", "type"])


def test_event_is_a_dict() -> None:
    assert isinstance(STOP, dict)
    assert json.loads(json.dumps(STOP)) == STOP == pickle.loads(pickle.dumps(STOP))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (events.input_event("in", 5, {"a": 1}), {"type": "INPUT", "id": "in", "value": 5, "metadata": {"a": 1}}),
        (events.input_closed("in"), {"type": "INPUT_CLOSED", "id": "in"}),
        (events.stop("ALL_INPUTS_CLOSED"), {"type": "STOP", "id": "ALL_INPUTS_CLOSED"}),
        (events.error("why"), {"type": "ERROR", "error": "why"}),
        (events.node_restarted("camera"), {"type": "NODE_RESTARTED", "id": "camera"}),
        (
            events.node_failed("camera", "exit code 1", ["a", "b"]),
            {
                "type": "NODE_FAILED",
                "id": "camera",
                "value": {"source_node_id": "camera", "error": "exit code 1", "affected_input_ids": ["a", "b"]},
            },
        ),
    ],
    ids=lambda value: value.get("type") if isinstance(value, events.Event) else "",
)
def test_event_has_exactly_its_keys(event: events.Event, expected: dict[str, Any]) -> None:
    assert dict(event) == {**expected, "kind": "dora"}


@pytest.mark.parametrize("microseconds", [0, 1, 999_999, 250_001])
def test_instant_is_exact_to_the_microsecond(microseconds: int) -> None:
    time_ns = 1_715_949_001 * 1_000_000_000 + microseconds * 1_000
    found = events.instant_of(time_ns)
    assert found == datetime.datetime(2024, 5, 17, 12, 30, 1, microseconds, datetime.timezone.utc)
