"""The ROS 2 names: a script that imports them starts, and using one says what to do instead."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import dora
from dora import ros2

USES: list[Callable[[Any], object]] = [
    lambda name: name(),
    lambda name: name.Volatile,
    lambda name: name.dds(),
]


def test_ros2_names_can_be_imported() -> None:
    code = f"from dora import {', '.join(ros2.NAMES)}"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


@pytest.mark.parametrize("use", USES)
def test_any_use_of_a_ros2_class_says_what_to_do_instead(use: Callable[[Any], object]) -> None:
    with pytest.raises(NotImplementedError, match=r"dora\.Ros2Durability: .* Use rclpy in a node of its own"):
        use(dora.Ros2Durability)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'dora' has no attribute 'Ros2Nothing'"):
        dora.Ros2Nothing  # noqa: B018  # the look-up itself is under test
