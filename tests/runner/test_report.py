"""The block at the end of a run."""

from __future__ import annotations

import errno
import signal

import pytest

from dora.runner.outcomes import (
    Cascaded,
    Ending,
    Exited,
    InputCounts,
    KilledAfterGrace,
    KilledByRunner,
    Outcome,
    RunSummary,
    Signalled,
    SpawnFailed,
    StartAborted,
)
from dora.runner.report import RULE, drop_lines, final_report, reason, signal_name

EXITED = Exited(1)
CLEAN = Outcome("sink", Exited(0), False, 9)


def failed(node: str, ended_ns: int, ending: Ending = EXITED) -> Outcome:
    return Outcome(node, ending, True, ended_ns)


def counts(node: str, dropped: int, undelivered: int = 0) -> InputCounts:
    return InputCounts(node, "image", 400, dropped, undelivered, 10, "drop_oldest")


def test_whole_report() -> None:
    first = Outcome(
        node="camera",
        ending=Exited(1, was_connected=False),
        is_failure=True,
        ended_ns=5,
        ran_s=0.43,
        command="python -u camera.py",
        interpreter="/venv/bin/python",
        stderr_tail=("starting", "Traceback (most recent call last):", "ImportError: No module named 'cv2'"),
        log_file="out/1/log_camera.jsonl",
        restarts=2,
    )
    summary = RunSummary((CLEAN, failed("plot", 6, Cascaded("camera")), first), (counts("plot", 12),), "out/1")
    assert (
        final_report(summary)
        == f"""\
Dataflow failed:

Node `camera` failed: exited with code 1 before connecting to dora (after 2 restarts) with stderr output:
{RULE}
Traceback (most recent call last):
ImportError: No module named 'cv2'
{RULE}
  command:     python -u camera.py
  interpreter: /venv/bin/python
  ran for:     0.4 s
  log file:    out/1/log_camera.jsonl

As a consequence these ended, too: `plot`.

dropped 12 of 400 on plot/image (queue_size 10, drop_oldest)
Log files of all nodes: out/1"""
    )


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        (Exited(3), "exited with code 3"),
        (Exited(0, was_connected=False), "exited with code 0 before connecting to dora"),
        (Signalled(signal.SIGSEGV), "exited because of signal SIGSEGV"),
        (Signalled(signal.SIGKILL, False), "exited because of signal SIGKILL before connecting to dora"),
        (
            KilledAfterGrace(signal.SIGKILL, 15.0),
            "node was killed by dora because it didn't react to a stop message in time (SIGKILL after 15 s)",
        ),
        (SpawnFailed(errno.ENOENT, "camera.py"), "failed to spawn node: camera.py: No such file or directory"),
        (
            SpawnFailed(errno.EACCES, "Permission denied: './camera'"),
            "failed to spawn node: Permission denied: './camera'",
        ),
        (SpawnFailed(None, "no interpreter"), "failed to spawn node: no interpreter"),
        (
            KilledByRunner("did not connect within startup_timeout (5 s)"),
            "did not connect within startup_timeout (5 s)",
        ),
        (Cascaded("camera"), "ended because node `camera` exited before connecting to dora"),
        (StartAborted(), "was stopped while it was starting"),
    ],
)
def test_reason_says_how_a_node_ended(ending: Ending, expected: str) -> None:
    assert reason(ending) == expected


def test_signal_without_a_name_is_shown_as_a_number() -> None:
    assert signal_name(35) == "signal 35"


def test_run_that_went_well_says_nothing() -> None:
    assert final_report(RunSummary((CLEAN,), (counts("plot", 0),), "out/1")) == ""


def test_drops_are_told_after_a_run_that_went_well_unless_quiet() -> None:
    summary = RunSummary((CLEAN,), (counts("plot", 12, 3),), "out/1")
    assert final_report(summary) == "dropped 12 of 400 on plot/image (queue_size 10, drop_oldest), undelivered 3"
    assert final_report(summary, is_quiet=True) == ""


def test_messages_left_in_the_queue_are_told() -> None:
    assert drop_lines([counts("plot", 0, 3)]) == ["undelivered 3 of 400 on plot/image (queue_size 10, drop_oldest)"]


def test_inputs_that_lost_most_come_first_and_the_rest_is_summed_up() -> None:
    lines = drop_lines([counts(f"n{number:02}", number, 1) for number in range(1, 24)])
    assert lines[0].startswith("dropped 23 of 400 on n23/image")
    assert len(lines) == 21
    assert lines[-1] == "and on 3 more inputs: 6 dropped, 3 undelivered"


def test_quiet_report_of_a_failure_is_whole() -> None:
    summary = RunSummary((failed("camera", 1),), (counts("plot", 1),), "out/1")
    assert final_report(summary, is_quiet=True) == final_report(summary)


def test_nodes_that_failed_stand_in_the_order_of_time() -> None:
    report = final_report(RunSummary((failed("late", 3), failed("first", 1))))
    assert [line for line in report.splitlines() if line.startswith("Node")] == [
        "Node `first` failed: exited with code 1",
        "Node `late` failed: exited with code 1",
    ]


def test_only_the_first_five_failures_are_told_at_length() -> None:
    report = final_report(RunSummary(tuple(failed(f"n{number}", number) for number in range(7))))
    assert report.count("Node `") == 5
    assert report.endswith("These failed as well, later: `n5`, `n6`.")


def test_consequences_without_a_cause_show_the_earliest() -> None:
    report = final_report(RunSummary((failed("b", 2, Cascaded("x")), failed("a", 1, Cascaded("x")))))
    assert "Node `a` failed: ended because node `x` exited before connecting to dora" in report
    assert report.endswith("As a consequence these ended, too: `b`.")


def test_failure_of_the_run_itself_is_told() -> None:
    assert final_report(RunSummary((CLEAN,), failure="The minder died.")) == "Dataflow failed:\n\nThe minder died."


def test_lines_that_were_not_shown_are_told() -> None:
    report = final_report(RunSummary((CLEAN,), skipped_console_lines=7))
    assert report == "7 lines were not shown here; the log files have them"


def test_lines_that_the_disk_refused_are_told() -> None:
    report = final_report(RunSummary((CLEAN,), lost_log_lines=7))
    assert report == "7 lines are missing in the log files: the disk refused them"


@pytest.mark.parametrize("last_line", ["bdb.BdbQuit", "EOFError: EOF when reading a line"])
def test_node_that_waited_for_somebody_to_type_comes_with_a_hint(last_line: str) -> None:
    outcome = Outcome("camera", EXITED, True, 5, stderr_tail=("Traceback (most recent call last):", last_line))
    assert "make it `path: dynamic`" in final_report(RunSummary((outcome,)))
