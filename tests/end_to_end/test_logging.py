"""Python's `logging` in real nodes, all in one run: what arrives in the log files (dora node-api, section 11)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from end_to_end.running import Flow

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def flow(flows: Callable[[], Flow]) -> Flow:
    """The end of a run with a node of each source."""
    flow = flows()
    for name, code in NODES.items():
        flow.node(name, code, **({"min_log_level": "debug"} if code is DETAILS else {}))
    flow.node("tells", TELL, send_logs_as="logs", outputs=["logs"])
    flow.node("place", PLACE, inputs={"logs": "tells/logs"})
    ended = flow.run()
    assert ended.code == 0, ended
    assert '"timestamp"' not in ended.stdout, "raw JSON on the console"
    return flow


LEVELS = """
import logging
from dora import Node

node = Node()
log = logging.getLogger("camera.lens")
for level in ("debug", "info", "warning", "error", "critical"):
    getattr(log, level)("%s %d", level, 1)
log.log(5, "trace 1")
"""


def test_records_arrive_with_level_message_and_name(flow: Flow) -> None:
    found = [(entry["level"], entry["msg"], entry["target"]) for entry in flow.last.entries("levels")]
    said = [("info", "info 1"), ("warn", "warning 1"), ("error", "error 1"), ("error", "critical 1")]
    assert found == [(*pair, "camera.lens") for pair in said]


DETAILS = """
import sys
from pathlib import Path

Path("site-packages").mkdir(exist_ok=True)
Path("site-packages/library.py").write_text("import logging\\ndef work(): logging.debug('theirs')")
sys.path.append("site-packages")
import library
from dora import Node
node = Node()
import logging
logging.debug("ours")
library.work()
"""


def test_debug_comes_from_the_users_own_modules_where_it_is_asked_for(flow: Flow) -> None:
    found = flow.last.entries("details")
    assert [(entry["level"], entry["msg"]) for entry in found] == [("debug", "ours")]


LATE_IMPORT = """
from dora import Node
node = Node()
import sys
assert "logging" not in sys.modules
import logging
logging.info("first")
"""


def test_logging_that_is_imported_after_the_node_is_bridged_too(flow: Flow) -> None:
    found = flow.last.entries("late-import")
    assert [(entry["level"], entry["msg"]) for entry in found] == [("info", "first")]


EXTRAS = """
import logging
from dora import Node
node = Node()
logging.info("item", extra={"count": 3})
try:
    1 / 0
except ZeroDivisionError:
    logging.exception("it broke")
"""


def test_extra_fields_and_tracebacks_arrive(flow: Flow) -> None:
    item, broken = flow.last.entries("extras")
    assert item["fields"] == {"count": "3"}
    assert broken["level"] == "error"
    assert broken["msg"].startswith("it broke\nTraceback (most recent call last):")
    assert broken["msg"].endswith("ZeroDivisionError: division by zero")


HANDLER_BEFORE = """
import logging
logging.basicConfig(level=logging.INFO)
from dora import Node
node = Node()
logging.info("as text")
"""


def test_handlers_from_before_the_node_stay_alone(flow: Flow) -> None:
    (entry,) = flow.last.entries("handler-before")
    assert (entry["level"], entry["stream"], entry["msg"]) == ("stdout", "stderr", "INFO:root:as text")


HANDLER_AFTER = """
import logging
from dora import Node
node = Node()
logging.basicConfig(handlers=[logging.FileHandler("mine.txt")], format="%(message)s")
logging.info("both")
"""


def test_handlers_given_to_basic_config_after_the_node_stand_beside_the_bridge(flow: Flow) -> None:
    (entry,) = flow.last.entries("handler-after")
    assert (entry["level"], entry["msg"]) == ("info", "both")
    assert (flow.folder / "mine.txt").read_text() == "both\n"


LEVEL_AFTER = """
import logging
from dora import Node
node = Node()
logging.basicConfig(level="WARNING", format="never used")
logging.info("too low")
logging.warning("kept")
"""


def test_level_given_to_basic_config_after_the_node_counts(flow: Flow) -> None:
    found = flow.last.entries("level-after")
    assert [(entry["level"], entry["msg"]) for entry in found] == [("warn", "kept")]


PLACE = """
import json
from dora import Node
node = Node()
for event in node:
    if event["type"] == "INPUT":
        told = json.loads(event["value"][0].as_py())
        print(told["file"][-4:], told["line"], told["module_path"], told["target"])
"""
TELL = """
import logging
from dora import Node
node = Node()
logging.warning("here")
"""


def test_file_and_line_travel_with_the_entry(flow: Flow) -> None:
    assert flow.said("place") == ["s.py 5 tells root"]


NODES = {
    "levels": LEVELS,
    "details": DETAILS,
    "late-import": LATE_IMPORT,
    "extras": EXTRAS,
    "handler-before": HANDLER_BEFORE,
    "handler-after": HANDLER_AFTER,
    "level-after": LEVEL_AFTER,
}
