"""Bridge nodes to ROS 2: the keys below `ros2:` and what fits together there (dora dataflow-yaml, section 21).

Strategy: everything is read and checked like any other node, so that files can be written and mended here; there is no
bridge program to run them, which `nodes.py` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dora.dataflow.fields import (
    TEXT,
    TRUTH,
    Field,
    Fields,
    Table,
    group,
    list_of,
    one_of,
    seconds,
    table,
    whole_number,
)
from dora.dataflow.report import Place, Report, shown

MAX_TOPICS: Final = 64
ENDPOINTS: Final = ("topic", "topics", "service", "action")
"""Exactly one of these says what is bridged."""

_NAME: Final = re.compile(r"/?[A-Za-z_][A-Za-z0-9_]*(?:/[A-Za-z_][A-Za-z0-9_]*)*")
_TYPE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*/[A-Za-z_][A-Za-z0-9_]*")
_NEEDS: Final = {
    "topic": ("message_type",),
    "topics": (),
    "service": ("service_type", "role"),
    "action": ("action_type", "role"),
}
_TYPES: Final = ("message_type", "service_type", "action_type")

_QOS: Final = group(
    table(
        Field("reliable", TRUTH, "Lost messages are sent again.", False),
        Field("durability", one_of("volatile", "transient_local"), "Whether late readers get earlier messages."),
        Field(
            "liveliness",
            one_of("automatic", "manual_by_participant", "manual_by_topic"),
            "Who says that the writer is alive.",
        ),
        Field("lease_duration", seconds(), "Seconds after which a silent writer counts as gone."),
        Field("max_blocking_time", seconds(), "Seconds that a reliable writer may wait."),
        Field("keep_last", whole_number(1, 10_000), "Messages that are kept."),
        Field("keep_all", TRUTH, "All messages are kept.", False),
    ),
    "a mapping with reliable, durability, keep_last and the like",
)
_TRANSPORT: Final = group(
    table(
        Field("kind", one_of("dds", "zenoh"), "How ROS 2 is reached.", "dds", is_required=True, example="dds"),
        Field("compatibility", one_of("humble", "rep2016"), "Names of types on zenoh."),
        Field("config_uri", TEXT, "Configuration file of zenoh."),
    ),
    "a mapping with kind",
)
_DIRECTION: Final = one_of("subscribe", "publish")

TOPIC_FIELDS: Final = table(
    Field("topic", TEXT, "Name of the topic.", is_required=True, example="/<name>"),
    Field("message_type", TEXT, "Type of its messages, `package/Type`.", is_required=True, example="std_msgs/String"),
    Field("direction", _DIRECTION, "From ROS 2 to dora, or from dora to ROS 2.", "subscribe"),
    Field("output", TEXT, "Output that carries what is subscribed."),
    Field("input", TEXT, "Input that carries what is published."),
    Field("qos", _QOS, "Quality of service."),
)

ROS2_FIELDS: Final[Table] = table(
    Field("topic", TEXT, "Name of one topic."),
    Field("topics", list_of(group(TOPIC_FIELDS, "a mapping with topic and message_type"), "topics"), "Several topics."),
    Field("service", TEXT, "Name of a service."),
    Field("action", TEXT, "Name of an action."),
    Field("message_type", TEXT, "Type of the topic's messages, `package/Type`."),
    Field("service_type", TEXT, "Type of the service, `package/Type`."),
    Field("action_type", TEXT, "Type of the action, `package/Type`."),
    Field("direction", _DIRECTION, "From ROS 2 to dora, or from dora to ROS 2.", "subscribe"),
    Field("role", one_of("client", "server"), "Which side of the service or action the node is."),
    Field("transport", _TRANSPORT, "How ROS 2 is reached."),
    Field("qos", _QOS, "Quality of service."),
    Field("namespace", TEXT, "Namespace of the ROS 2 node.", "/"),
    Field("node_name", TEXT, "Name of the ROS 2 node; the id of this one unless stated."),
)


def check_ros2(ros2: Fields, subject: str, ports: tuple[int, int], report: Report) -> None:
    """What is bridged is clear, named rightly, and has a way in or out.

    Args:
        ports: how many inputs and outputs the node has.
    """
    stated = [key for key in ENDPOINTS if key in ros2.stated]
    subject = f"{subject}: 'ros2'"
    if len(stated) != 1:
        at = ros2.key_at(stated[1]) if stated else ros2.at
        report.error(at, f"{subject}: expected one of {', '.join(ENDPOINTS)}, found {' and '.join(stated) or 'none'}")
        return
    for key in _NEEDS[stated[0]]:
        if key not in ros2.stated:
            report.error(ros2.at, f"{subject}: '{stated[0]}' needs '{key}'", f"add `{key}: ...`")
    if stated[0] == "topics":
        _check_topics(ros2, subject, report)
    for name, at, is_type in _names(ros2):
        pattern, form = (_TYPE, "package/Type") if is_type else (_NAME, "a ROS 2 name such as /robot/camera")
        if not pattern.fullmatch(name):
            report.error(at, f"{subject}: expected {form}, found {shown(name)}")
    _check_directions(ros2, stated[0], subject, ports, report)


def _check_topics(ros2: Fields, subject: str, report: Report) -> None:
    count = len(ros2.get("topics"))
    if not 1 <= count <= MAX_TOPICS:
        report.error(ros2.value_at("topics"), f"{subject}: expected 1 to {MAX_TOPICS} topics, found {count}")


def _names(ros2: Fields) -> Iterator[tuple[str, Place, bool]]:
    """Every name and type, where it stands, and whether it is a type."""
    mappings = [ros2, *(each for each, _ in ros2.get("topics", []))]
    for fields in mappings:
        for key in ("topic", "service", "action", *_TYPES):
            if key in fields.stated:
                yield fields.get(key), fields.value_at(key), key in _TYPES


def _check_directions(ros2: Fields, endpoint: str, subject: str, ports: tuple[int, int], report: Report) -> None:
    inputs, outputs = ports
    mappings = [each for each, _ in ros2.get("topics", [])] if endpoint == "topics" else [ros2]
    directions = {fields.get("direction", "subscribe") for fields in mappings}
    is_both = endpoint in ("service", "action")
    if not outputs and (is_both or "subscribe" in directions):
        report.error(ros2.at, f"{subject}: what comes from ROS 2 needs an output", "add `outputs: [<output>]`")
    if not inputs and (is_both or "publish" in directions):
        report.error(
            ros2.at, f"{subject}: what goes to ROS 2 needs an input", "add `inputs: {<input>: <node>/<output>}`"
        )
