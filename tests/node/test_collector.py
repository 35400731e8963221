"""Which globals of a node must be finalized when it ends, and that they are."""

from __future__ import annotations

import dataclasses
import enum
import io
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from dora.node.collector import all_plain


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Settings:
    speed: float = 1.0


class Pair(NamedTuple):
    left: Any
    right: Any


class Driver:
    def __init__(self, device: Any) -> None:
        self.device = device


class Holder:
    device = io.BytesIO()


def speak(text: str = "") -> str:
    return text


def with_default(device: Any = Driver(1)) -> Any:  # noqa: B008  the default is what is looked for
    return device


def closing_over(device: Any) -> Any:
    return lambda: device


class Mine(list):  # type: ignore[type-arg]
    """With attributes."""


@pytest.mark.parametrize(
    "value",
    [
        *(None, 1, 1.5, "a", b"a", [1, {"a": (2, {3})}], Colour.RED, Colour, Settings, Pair, Pair(1, 2), Driver, speak),
        *(os, len, Path("."), np.zeros(3), np.float32(1), pa.array([1]), logging.getLogger("a"), threading.Lock()),
        closing_over(5),
    ],
    ids=lambda value: type(value).__name__,
)
def test_plain_globals_need_no_finalizer(value: Any) -> None:
    assert all_plain([value])


@pytest.mark.parametrize(
    "value",
    [
        *(io.StringIO(), Driver(1), Settings(), [[Driver(1)]], {"a": Driver(1)}, Pair(1, Driver(1)), Holder),
        *(with_default, closing_over(Driver(1)), (n for n in [1]), Mine(), [[n] for n in range(30_000)]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_globals_may_need_one(value: Any) -> None:
    assert not all_plain([value])


_SCRIPT = """
import os
import earlier
from dora import Node

class Motor:
    def __del__(self):
        os.write(1, b"motor stopped. ")

def use():
    return motor, table, earlier

motor = Motor()
table = open("table.csv", "w")
table.write("last line")
"""
_EARLIER = """
log = open("earlier.txt", "w")
log.write("last word")

def use():
    return log
"""


def test_globals_of_a_node_are_finalized_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "earlier.py").write_text(_EARLIER)
    (tmp_path / "node.py").write_text(_SCRIPT)
    environment = {**os.environ, "DORA_NODE_CONFIG": "{}"}
    ended = subprocess.run([sys.executable, "node.py"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.stdout == "motor stopped. ", ended
    assert (tmp_path / "table.csv").read_text() == "last line"
    assert (tmp_path / "earlier.txt").read_text() == "last word"


def test_what_pyarrow_imports_for_an_array_needs_no_finalizer(tmp_path: Path) -> None:
    (tmp_path / "dateutil").mkdir()
    (tmp_path / "dateutil" / "__init__.py").write_text("")
    module = "class weekday: pass\nclass relativedelta: pass\nMO = weekday()"
    (tmp_path / "dateutil" / "relativedelta.py").write_text(module)
    script = """
import sys
import pyarrow as pa
from dora import Node
from dora.node import collector

pa.array([1])
assert "dateutil.relativedelta" in sys.modules
sys.exit(not collector.all_plain(collector._users_globals()))
"""
    (tmp_path / "node.py").write_text(script)
    ended = subprocess.run([sys.executable, "node.py"], cwd=tmp_path, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
