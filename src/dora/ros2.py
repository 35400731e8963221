"""The ROS 2 classes of dora-rs, of which there are only the names.

There is no ROS 2 bridge in this package.  A script that may use one can import the names and start; any use of such a
class raises `NotImplementedError` with what to do instead.
"""

from __future__ import annotations

from typing import Any, NoReturn

NAMES = (
    "Ros2ActionClient", "Ros2ActionServer", "Ros2Context", "Ros2Durability", "Ros2Liveliness", "Ros2Node",
    "Ros2NodeOptions", "Ros2Publisher", "Ros2QosPolicies", "Ros2ServiceClient", "Ros2ServiceServer",
    "Ros2Subscription", "Ros2Topic", "Ros2Transport",
)  # fmt: skip


class _Absent(type):
    """A class of which there is only the name."""

    def __call__(cls, *_: Any, **__: Any) -> NoReturn:
        _refuse(cls.__name__)

    def __getattr__(cls, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        _refuse(cls.__name__)


def absent(name: str) -> type:
    """The stand-in for the ROS 2 class of that name."""
    doc = "Not in this package: any use raises NotImplementedError."
    return _Absent(name, (), {"__doc__": doc, "__module__": "dora"})


def _refuse(name: str) -> NoReturn:
    raise NotImplementedError(
        f"dora.{name}: this dora has no ROS 2 bridge. Use rclpy in a node of its own and pass on what it receives with "
        "send_output"
    )
