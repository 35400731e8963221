"""What `dora run` shows: formats, levels, filters, colours, and nothing that was not asked for (cli.md, 2.5)."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest

from end_to_end.node_sources import COOPERATIVE, HANGING_IMPORT, TICKS
from end_to_end.on_terminal import TERMINAL
from end_to_end.running import Flow, Run, wait_until

pytestmark = pytest.mark.slow

TALKER = """
import sys
from dora import Node

node = Node()
print("plain")
node.log("info", "structured", {"speed": 2})
node.log("DEBUG", "detail")
node.log("error", "broken", target="motor")
"""
CLOCK = r"\d\d:\d\d:\d\d"


def clockless(text: str) -> list[str]:
    """The lines without the time in front of them."""
    for line in text.splitlines():
        assert re.match(rf"{CLOCK} ", line), line
    return [line[9:] for line in text.splitlines()]


class Variant(NamedTuple):
    """A way to show what the talker says."""

    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = MappingProxyType({})
    prefix: tuple[str, ...] = ()


LEVELS = {
    "info": ["INFO   talker: structured", "ERROR  talker: motor broken"],
    "ERROR": ["ERROR  talker: motor broken"],
}
CHOSEN = [
    (("--log-level", "info"), LEVELS["info"]),
    (("--log-level", "ERROR"), LEVELS["ERROR"]),
    (("--log-filter", "talker=error"), LEVELS["ERROR"]),
    (
        ("--log-level", "error", "--log-filter", "talker=debug"),
        ["INFO   talker: structured", "DEBUG  talker: detail", "ERROR  talker: motor broken"],
    ),
]
PRETTY, COMPACT = Variant(), Variant(("--log-format", "compact"))
STATED_BOTH_WAYS = COMPACT._replace(environment={"DORA_LOG_FORMAT": "json", "DORA_LOG_LEVEL": "error"})
COLOURLESS = [Variant(environment=env, prefix=TERMINAL) for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"})]
FOR_MACHINES = [Variant(("--log-format", layout), prefix=TERMINAL) for layout in ("compact", "json")]
VARIANTS = [PRETTY, COMPACT, STATED_BOTH_WAYS, *COLOURLESS, *FOR_MACHINES, *(Variant(options) for options, _ in CHOSEN)]

Shown = Callable[[Variant], Run]


@pytest.fixture(scope="module")
def shown(flows: Callable[[], Flow]) -> Shown:
    """The runs of a node that says one thing of each kind, which have ended; they ran side by side."""
    runs = []
    for variant in VARIANTS:
        flow = flows()
        flow.node("talker", TALKER)
        runs.append(flow.start(*variant.options, prefix=variant.prefix, environment=variant.environment))
    for run in runs:
        run.wait()
    return lambda variant: runs[VARIANTS.index(variant)]


def test_pretty_lines_have_time_level_and_node(shown: Shown) -> None:
    ended = shown(PRETTY).wait()
    assert (ended.code, ended.stderr) == (0, ""), ended
    assert clockless(ended.stdout) == [
        "stdout talker: plain",
        "INFO   talker: structured",
        "DEBUG  talker: detail",
        "ERROR  talker: motor broken",
    ]


def test_compact_lines(shown: Shown) -> None:
    assert clockless(shown(COMPACT).wait().stdout) == [
        "STDOUT talker: plain",
        "INFO talker: structured",
        "DEBUG talker: detail",
        "ERROR talker: motor broken",
    ]


def test_format_of_the_environment_loses_against_the_option(shown: Shown) -> None:
    assert clockless(shown(STATED_BOTH_WAYS).wait().stdout) == ["ERROR talker: motor broken"]


def test_json_output_is_pure_json_lines_with_all_keys(flow: Flow) -> None:
    flow.node("talker", TALKER + "node.next()\nraise ValueError('no good')", inputs=TICKS)
    flow.node("waits", COOPERATIVE, inputs=TICKS)
    run = flow.start("--log-format", "json")
    wait_until(lambda: "ValueError" in run.stdout(), what="the failure")
    run.signal(signal.SIGINT)
    entries = [json.loads(line) for line in run.wait().stdout.splitlines()]
    keys = "build_id dataflow_id node_id daemon_id level target module_path file line message timestamp fields"
    assert all(" ".join(entry) == keys for entry in entries)
    assert {"structured", "stopping (Ctrl-C)", "ValueError: no good"} <= {entry["message"] for entry in entries}
    (structured,) = [entry for entry in entries if entry["message"] == "structured"]
    assert (structured["node_id"], structured["level"], structured["fields"]) == ("talker", "INFO", {"speed": "2"})


@pytest.mark.parametrize(("options", "lines"), CHOSEN)
def test_level_and_filter_choose_what_is_shown(shown: Shown, options: tuple[str, ...], lines: list[str]) -> None:
    run = shown(Variant(options))
    said = [line for line in clockless(run.wait().stdout) if "talker: " in line]
    assert [line for line in said if "spawned" not in line and "finished" not in line] == lines
    assert run.said("talker") == ["plain", "structured", "detail", "broken"]


def test_quiet_shows_only_what_nodes_print(flow: Flow) -> None:
    flow.node("sink", COOPERATIVE, inputs={"tick": "dora/timer/secs/1000"})
    run = flow.start("--quiet")
    run.wait_said("sink", "INPUT tick")
    run.signal(signal.SIGINT)
    ended = run.wait()
    assert clockless(ended.stdout) == ["stdout sink: ready", "stdout sink: INPUT tick", "stdout sink: STOP MANUAL"]
    assert (ended.code, ended.stderr) == (0, ""), ended


def test_quiet_still_says_who_has_failed(flow: Flow) -> None:
    flow.node("camera", "raise SystemExit(3)")
    ended = flow.run("--quiet")
    assert ended.stdout == ""
    assert ended.stderr.startswith("Dataflow failed:\n\nNode `camera` failed: exited with code 3"), ended


def test_each_node_has_its_own_colour_on_a_terminal(flow: Flow) -> None:
    flow.node("one", "print('x')")
    flow.node("two", "print('x')")
    shown = flow.run(prefix=TERMINAL).stdout
    colours = dict(re.findall(r"\x1b\[1;(\d+)m(one|two)\x1b\[0m: x", shown)[i][::-1] for i in range(2))
    assert colours.keys() == {"one", "two"}
    assert colours["one"] != colours["two"]


@pytest.mark.parametrize("variant", COLOURLESS, ids=["NO_COLOR", "dumb"])
def test_no_colours_on_a_terminal_that_does_not_want_them(shown: Shown, variant: Variant) -> None:
    ended = shown(variant).wait()
    assert "stdout talker: plain\r\n" in ended.stdout
    assert "\x1b" not in ended.stdout


@pytest.mark.parametrize("variant", FOR_MACHINES, ids=["compact", "json"])
def test_machine_formats_have_no_colours_on_a_terminal(shown: Shown, variant: Variant) -> None:
    said = shown(variant).wait().stdout
    assert "structured" in said
    assert "\x1b" not in said


def test_terminal_shows_who_is_waited_for_and_takes_it_away_again(flow: Flow) -> None:
    flow.node("camera", HANGING_IMPORT, outputs=["out"])
    run = flow.start(prefix=TERMINAL)
    wait_until(lambda: "starting: waiting for camera (importing, 1 s)" in run.stdout(), 5.0, "the status line")
    run.signal(signal.SIGUSR1)
    ended = run.wait(5)
    assert ended.code == 0, ended
    left_on_screen = re.sub(r"[^\n]*\x1b\[2K", "", ended.stdout)
    assert "waiting for" not in left_on_screen, ended


def test_ctrl_c_on_the_terminal_reaches_no_node(flow: Flow) -> None:
    flow.node("sink", COOPERATIVE, inputs=TICKS)
    run = flow.start(prefix=TERMINAL)
    run.wait_said("sink", "INPUT tick")
    run.signal(signal.SIGUSR1)
    assert run.wait(5).code == 0, run.wait()
    assert run.said("sink")[-1] == "STOP MANUAL"
    assert "KeyboardInterrupt" not in run.stdout()


def test_ctrl_z_on_the_terminal_is_ignored_and_explained(flow: Flow) -> None:
    flow.node("sink", COOPERATIVE, inputs=TICKS)
    run = flow.start(prefix=TERMINAL)
    run.wait_said("sink", "INPUT tick")
    run.signal(signal.SIGUSR2)
    text = "Ctrl-Z is ignored: the nodes would stall; Ctrl-C stops the dataflow"
    wait_until(lambda: text in run.stdout(), 5.0, "an explanation")
    count = len(run.said("sink"))
    wait_until(lambda: len(run.said("sink")) > count + 5, 5.0, "more ticks")
    run.signal(signal.SIGUSR1)
    assert run.wait(5).code == 0, run.wait()


def test_log_file_of_each_node_holds_all_that_it_printed_on_both_streams(flow: Flow) -> None:
    both = (
        "import sys\nprint('käse')\nprint('to stderr', file=sys.stderr)\nsys.stdout.buffer.write(b'\\xff no newline')"
    )
    flow.node("one", both)
    flow.node("two", TALKER)
    assert flow.run("--log-level", "error").code == 0
    entries = flow.last.entries("one")
    keys = "ts level node stream msg target fields"
    assert all(" ".join(entry) == keys for entry in entries)
    said = sorted((entry["stream"], entry["level"], entry["msg"]) for entry in entries)
    assert said == [
        ("stderr", "stdout", "to stderr"),
        ("stdout", "stdout", "käse"),
        ("stdout", "stdout", "\ufffd no newline"),
    ]
    assert [(entry["level"], entry["target"]) for entry in flow.last.entries("two")] == [
        ("stdout", None),
        ("info", None),
        ("debug", None),
        ("error", "motor"),
    ]
