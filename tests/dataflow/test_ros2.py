"""Nodes that bridge to ROS 2, and nodes of the hub: stated rightly, though nothing here runs them."""

from __future__ import annotations

import pytest

from dataflow.conftest import Problems

BOTH = "inputs: {i: dora/timer/secs/1}, outputs: [o]"

RIGHT = [
    f"ros2: {{topic: /camera/image, message_type: sensor_msgs/Image}}, {BOTH}",
    "ros2: {topic: chat, message_type: std_msgs/String, direction: publish}, inputs: {i: dora/timer/secs/1}",
    f"ros2: {{service: /add, service_type: example_interfaces/AddTwoInts, role: client}}, {BOTH}",
    f"ros2: {{action: /go, action_type: nav/Go, role: server, qos: {{keep_last: 5, reliable: true}}}}, {BOTH}",
    f"ros2: {{topics: [{{topic: a, message_type: b/C}}], transport: {{kind: zenoh, compatibility: humble}}}}, {BOTH}",
    "hub: camera",
    "hub: dora-rs/camera@^1.2",
]


@pytest.mark.parametrize("fields", RIGHT)
def test_right_node_is_only_told_that_it_cannot_run(problems: Problems, fields: str) -> None:
    (found,) = problems(f"nodes: [{{id: a, {fields}}}]")
    assert found.startswith("1:17: node 'a': '")
    assert (
        "'ros2' cannot run: this dora has no ROS 2 bridge; write a node with rclpy" in found
        or "'hub' cannot be resolved" in found
    )


WRONG = [
    ("ros2: {}", "node 'a': 'ros2': expected one of topic, topics, service, action, found none"),
    (f"ros2: {{topic: a, service: b}}, {BOTH}", "found topic and service"),
    (f"ros2: {{topic: /a}}, {BOTH}", "'topic' needs 'message_type'; add `message_type: ...`"),
    (f"ros2: {{service: /a, service_type: a/B}}, {BOTH}", "'service' needs 'role'"),
    (f"ros2: {{topic: a//b, message_type: a/B}}, {BOTH}", "expected a ROS 2 name such as /robot/camera, found 'a//b'"),
    (f"ros2: {{topic: /1a, message_type: a/B}}, {BOTH}", "expected a ROS 2 name such as /robot/camera, found '/1a'"),
    (f"ros2: {{topic: a/, message_type: a/B}}, {BOTH}", "expected a ROS 2 name such as /robot/camera, found 'a/'"),
    (f"ros2: {{topic: a, message_type: Image}}, {BOTH}", "expected package/Type, found 'Image'"),
    (f"ros2: {{topics: []}}, {BOTH}", "expected 1 to 64 topics, found 0"),
    (
        f"ros2: {{topic: a, message_type: a/B, qos: {{keep_last: 0}}}}, {BOTH}",
        "'keep_last': expected a whole number",
    ),
    ("ros2: {topic: a, message_type: a/B}", "what comes from ROS 2 needs an output; add `outputs: [<output>]`"),
    ("ros2: {topic: a, message_type: a/B, direction: publish}", "what goes to ROS 2 needs an input"),
    ("ros2: {action: a, action_type: a/B, role: client}, outputs: [o]", "what goes to ROS 2 needs an input"),
    ("hub: 'A b'", "'hub': expected [namespace/]name[@version], found 'A b'; write for instance dora-rs/camera@^1.2"),
    ("hub: camera, build: x", "'hub' and 'build' exclude each other; remove one"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_wrong_node_is_explained(problems: Problems, fields: str, message: str) -> None:
    assert any(message in line for line in problems(f"nodes: [{{id: a, {fields}}}]"))


def test_outputs_of_a_package_are_not_known_here(problems: Problems) -> None:
    assert len(problems("nodes: [{id: a, hub: camera}, {id: b, path: b.py, inputs: {i: a/image}}]")) == 1
