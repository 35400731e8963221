"""The dataflow of the chaos command: all restart policies, queue policies and kinds of nodes, 64 B to 40 MB."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from end_to_end.running import Flow

NODES = Path(__file__).parent / "nodes"
CAMERA_BYTES, MAP_BYTES = 4_000_000, 40_000_000
TIMEOUT_S = 2.5
"""of the map, which comes once a second"""
LOSSLESS, DROPPING, DEFAULT, SIBLING = "backpressure", "drop_oldest", "", "sibling"


class Feed(NamedTuple):
    """An input: where it comes from and how it is queued.

    Attributes:
        node, output: as journals name them (an operator is `<node>-<operator>`).
    """

    node: str
    output: str
    policy: str = DEFAULT
    queue_size: int = 10
    timeout_s: float = 0.0

    def as_yaml(self) -> dict[str, Any]:
        """As in a dataflow file."""
        node, _, operator = self.node.partition("-")
        stated: dict[str, Any] = {"source": f"{node}/{operator}/{self.output}" if operator else f"{node}/{self.output}"}
        if self.policy:
            stated |= {"queue_policy": self.policy, "queue_size": self.queue_size}
        if self.timeout_s:
            stated["input_timeout"] = self.timeout_s
        return stated


class Role(NamedTuple):
    """A node.

    Attributes:
        sizes: bytes of a message by output.
        timer: source of its input `tick`.
        env: what its program is told.
        policy: of restarts; "dynamic" for a node that the command starts itself.
    """

    policy: str
    sizes: Mapping[str, int]
    feeds: Mapping[str, Feed]
    timer: str = ""
    env: Mapping[str, str] = {}
    keys: Mapping[str, Any] = {}


ROLES: dict[str, Role] = {
    "camera": Role("always", {"frame": CAMERA_BYTES}, {}, "dora/timer/millis/33"),
    "joints": Role("on-failure", {"state": 100}, {}, env={"CHAOS_RATE_HZ": "200"}),
    "mapper": Role("on-failure", {"map": MAP_BYTES}, {}, "dora/timer/secs/1", keys={"restart_delay": 0.1}),
    "relay": Role(
        "always",
        {"pose": 100},
        {"state": Feed("joints", "state", LOSSLESS, 20), "cmd": Feed("teleop", "cmd", LOSSLESS, 5)},
        env={"CHAOS_FORWARDS": "state"},
    ),
    "model": Role(
        "on-failure",
        {"boxes": 1000},
        {"frame": Feed("camera", "frame", DROPPING, 1)},
        env={"CHAOS_FORWARDS": "frame", "CHAOS_WORK_MS": "100", "CHAOS_KEEPS": "3"},
        keys={"restart_delay": 0.05, "max_restart_delay": 0.2, "restart_window": 1.0},
    ),
    "fusion": Role(
        "on-failure",
        {"fused": 8000},
        {
            "pose": Feed("relay", "pose", LOSSLESS, 50),
            "map": Feed("mapper", "map", DROPPING, 2),
            "boxes": Feed("model", "boxes"),
        },
        env={"CHAOS_FORWARDS": "pose"},
        keys={"max_restarts": 10_000, "health_check_timeout": 20.0},
    ),
    "logger": Role(
        "always",
        {},
        {"state": Feed("joints", "state", DROPPING, 10)},
        env={"CHAOS_WORK_MS": "10", "CHAOS_FORWARDS": ""},
    ),
    "plot": Role("dynamic", {}, {"state": Feed("joints", "state", DROPPING, 10)}),
    "teleop": Role("dynamic", {"cmd": 64}, {}, env={"CHAOS_RATE_HZ": "50"}),
    "once": Role("never", {"mark": 64}, {}, "dora/timer/millis/50"),
    "tx": Role("never", {"beat": 64}, {}, "dora/timer/millis/10"),
    "rx": Role(
        "never",
        {},
        {
            "beat": Feed("tx", "beat", LOSSLESS, 100),
            "fused": Feed("fusion", "fused", LOSSLESS, 100),
            "map": Feed("mapper", "map", LOSSLESS, 2, TIMEOUT_S),
            "once": Feed("once", "mark", LOSSLESS, 10),
            "pose": Feed("relay", "pose"),
            "tracks": Feed("vision-track", "out"),
        },
        env={"CHAOS_FORWARDS": ""},
    ),
}
OPERATORS = {
    "vision-shrink": Role("on-failure", {"out": 100}, {"in": Feed("camera", "frame", DROPPING, 3)}),
    "vision-track": Role("on-failure", {"out": 100}, {"in": Feed("vision-shrink", "out", SIBLING)}),
}
PARTS = ROLES | OPERATORS
"""everything that has a journal"""
RESTARTED = [name for name, role in ROLES.items() if role.policy in ("always", "on-failure")] + ["vision"]
STATIC = [name for name, role in ROLES.items() if role.policy != "dynamic"] + ["vision"]
SOURCES = [*ROLES, "vision"]
MOST_FRAMES, MOST_MAPS = 12, 10
"""of the camera and the mapper that all queues together and what readers hold can keep in use at once"""
MORTAL = "once"
"""it is not restarted: `rx` must be told once that it has failed, behind its last message"""


def ports_of(part: str) -> list[str]:
    """Inputs and outputs, in the order in which journals number them."""
    role = PARTS[part]
    return [*role.feeds, *role.sizes]


def environment(journals: Path) -> dict[str, str]:
    """What every node is told."""
    return {
        "CHAOS_JOURNALS": str(journals),
        "CHAOS_PORTS": json.dumps({part: ports_of(part) for part in PARTS}),
        "CHAOS_SOURCES": json.dumps(SOURCES),
        "PYTHONPATH": str(NODES),
    }


def role_environment(name: str) -> dict[str, str]:
    """What the program of that node is told."""
    role = ROLES[name]
    return {"CHAOS_SIZES": json.dumps(role.sizes), **role.env}


def add_nodes(flow: Flow) -> None:
    """The whole graph."""
    for name, role in ROLES.items():
        inputs = {port: feed.as_yaml() for port, feed in role.feeds.items()}
        if role.policy == "dynamic":
            flow.other_node(name, "dynamic", inputs=inputs, outputs=list(role.sizes))
            continue
        if role.timer:
            inputs["tick"] = {"source": role.timer}
        keys = {"inputs": inputs, "outputs": list(role.sizes), "env": role_environment(name), **role.keys}
        flow.other_node(name, str(NODES / "chaos_node.py"), args=name, restart_policy=role.policy, **keys)
    shrink = {"id": "shrink", "python": str(NODES / "chaos_shrink.py"), "outputs": ["out"]}
    track = {"id": "track", "python": str(NODES / "chaos_track.py"), "outputs": ["out"]}
    shrink["inputs"] = {"in": OPERATORS["vision-shrink"].feeds["in"].as_yaml()}
    track["inputs"] = {"in": "vision/shrink/out"}
    flow.runtime("vision", shrink, track, restart_policy="on-failure")
