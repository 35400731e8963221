"""What nodes do, from looks at their counters."""

from __future__ import annotations

import msgspec
import pytest

from dora.cli.activity import Activity, as_json
from dora.messages import api
from dora.runs.usage import DiskBytes

MB = 10**6


def flow(*sent: int) -> api.DataflowInfo:
    """A dataflow whose only node has a timer, and an input for each number of messages."""
    inputs = [api.InputInfo(id="tick", source="dora/timer/millis/10")]
    inputs += [
        api.InputInfo(
            id=f"in{number}", source="a/out", queue_size=10, sent=count, dropped=3, taken=2, waiting=count - 5
        )
        for number, count in enumerate(sent)
    ]
    node = api.NodeInfo(
        id="b",
        state="running",
        dataflow="uuid",
        pid=7,
        cpu_percent=12.5,
        memory_bytes=88_400_000,
        restarts=1,
        inputs=inputs,
    )
    return api.DataflowInfo(id="uuid", name="demo", file="/f.yml", state="running", nodes=[node])


@pytest.mark.parametrize(
    ("looks", "expected"),
    [
        ([(0.0, [5])], [None]),
        ([(0.0, [5]), (2.0, [25])], [10.0]),
        ([(0.0, [5]), (2.0, [25]), (3.0, [25])], [0.0]),
        ([(0.0, [25]), (2.0, [5])], [None]),
        ([(0.0, [25]), (2.0, [5]), (3.0, [6])], [1.0]),
        ([(0.0, [5]), (0.0, [25])], [None]),
        ([(0.0, [5]), (1.0, [6, 9])], [1.0, None]),
    ],
)
def test_a_rate_is_what_was_sent_since_the_last_look(
    looks: list[tuple[float, list[int]]], expected: list[float | None]
) -> None:
    activity = Activity(None)
    for now_s, sent in looks:
        found = activity.note([flow(*sent)], now_s)
    assert [one.rate_hz for one in found[0].inputs] == [None, *expected]


def test_a_node_sums_what_its_inputs_say() -> None:
    activity = Activity(None)
    activity.note([flow(6, 7)], 0.0)
    (node,) = activity.note([flow(8, 10)], 1.0)
    assert (node.waiting, node.dropped, node.rate_hz) == (3 + 5, 6, 5.0)


def test_disk_use_is_that_between_two_looks() -> None:
    counts = iter([DiskBytes(0, 5 * MB), DiskBytes(2 * MB, 6 * MB)])
    activity = Activity(lambda pid: next(counts))
    activity.note([flow()], 0.0)
    (node,) = activity.note([flow()], 2.0)
    assert (node.disk_read_mb_s, node.disk_write_mb_s) == (1.0, 0.5)


def test_disk_use_of_a_process_that_is_gone_is_not_known() -> None:
    (node,) = Activity(lambda pid: None).note([flow()], 0.0)
    assert (node.disk_read_mb_s, node.disk_write_mb_s) == (None, None)


def test_json_has_the_form_of_the_original_and_the_inputs() -> None:
    activity = Activity(lambda pid: DiskBytes(0, 0))
    activity.note([flow(6)], 0.0)
    assert as_json(activity.note([flow(8)], 1.0)[0]) == {
        "dataflow_id": "uuid",
        "dataflow_name": "demo",
        "node_id": "b",
        "metrics": {
            "pid": 7,
            "cpu_usage": 12.5,
            "memory_mb": 88.4,
            "disk_read_mb_s": 0.0,
            "disk_write_mb_s": 0.0,
            "restart_count": 1,
            "status": "running",
            "broken_inputs": [],
            "pending_messages": 3,
        },
        "network": {"bytes_sent": 0, "messages_sent": 0, "messages_received": 2},
        "inputs": [
            {"id": "tick", "source": "dora/timer/millis/10"},
            {
                "id": "in0",
                "source": "a/out",
                "queue_size": 10,
                "queue_depth": 3,
                "sent": 8,
                "dropped": 3,
                "taken": 2,
                "rate_hz": 2.0,
            },
        ],
    }


def test_what_a_node_has_sent_is_counted_at_its_readers_and_a_failed_one_breaks_their_inputs() -> None:
    info = flow(8)
    sender = api.NodeInfo(id="a", state="failed", dataflow="uuid", restarts=0)
    reader = msgspec.structs.replace(info.nodes[0], inputs=[msgspec.structs.replace(info.nodes[0].inputs[1], bytes=64)])
    found = Activity(None).note([msgspec.structs.replace(info, nodes=[sender, reader])], 0.0)
    first, second = map(as_json, found)
    assert first["network"] == {"bytes_sent": 64, "messages_sent": 8, "messages_received": 0}
    assert second["metrics"]["broken_inputs"] == ["in0"]
