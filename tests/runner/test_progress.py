"""What is said while `dora run` builds, starts and stops."""

from __future__ import annotations

import pytest

from dora.runner.progress import BUILDING, IMPORTING, NOT_STARTED, STARTING, STOPPING, Progress, Wait, describe


class Sink:
    def __init__(self) -> None:
        self.statuses: list[str | None] = []
        self.notes: list[str] = []

    def status(self, text: str | None) -> None:
        self.statuses.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.mark.parametrize(
    ("phase", "waits", "expected"),
    [
        (
            STARTING,
            [Wait("camera", "importing", 0.0), Wait("plot", "not started")],
            "starting: waiting for camera (importing, 12 s), plot (not started)",
        ),
        (BUILDING, [Wait("camera", "", 0.0)], "building camera (12 s)"),
        (STOPPING, [Wait("plot", "", 9.1)], "stopping: waiting for plot (2 s)"),
        (STOPPING, [Wait("plot", "", -600.0)], "stopping: waiting for plot (10 min 12 s)"),
        (STARTING, [Wait(str(number)) for number in range(9)], "starting: waiting for 0, 1, 2, 3, 4, 5, 3 more"),
        (STARTING, [], ""),
    ],
)
def test_text_names_who_is_waited_for_and_for_how_long(phase: str, waits: list[Wait], expected: str) -> None:
    assert describe(phase, waits, 12.0) == expected


def starting(*, is_live: bool, is_quiet: bool = False) -> tuple[Sink, Progress]:
    sink = Sink()
    progress = Progress(sink, is_live=is_live, is_quiet=is_quiet)
    progress.begin(STARTING, 100.0)
    progress.wait_for("camera", NOT_STARTED, 100.0)
    progress.wait_for("camera", IMPORTING, 101.0)
    sink.statuses.clear()
    return sink, progress


def run(progress: Progress, until_s: float) -> None:
    """Tick whenever asked to, from 100 s on."""
    now_s = 100.0
    while (next_s := progress.next_tick_s()) is not None and next_s <= until_s:
        now_s = max(now_s, next_s)
        progress.tick(now_s)


def test_plain_lines_begin_after_five_seconds_and_come_every_ten() -> None:
    sink, progress = starting(is_live=False)
    progress.tick(104.9)
    assert sink.notes == []
    run(progress, 126.0)
    assert sink.notes == [f"starting: waiting for camera (importing, {seconds} s)" for seconds in (4, 14, 24)]


def test_plain_lines_about_stopping_begin_after_two_seconds() -> None:
    sink, progress = starting(is_live=False)
    progress.begin(STOPPING, 200.0)
    progress.wait_for("plot", "", 200.0)
    run(progress, 203.0)
    assert sink.notes == ["stopping: waiting for plot (2 s)"]


def test_quick_start_stays_silent() -> None:
    sink, progress = starting(is_live=False)
    progress.done("camera")
    progress.tick(106.0)
    progress.end()
    assert (sink.notes, sink.statuses, progress.next_tick_s()) == ([], [], None)


def test_status_line_is_redrawn_as_time_goes_by() -> None:
    sink, progress = starting(is_live=True)
    run(progress, 102.6)
    assert sink.statuses[0] == "starting: waiting for camera (importing, 0 s)"
    assert sink.statuses[-1] == "starting: waiting for camera (importing, 1 s)"
    assert sink.notes == []


def test_status_line_goes_away_with_the_last_wait() -> None:
    sink, progress = starting(is_live=True)
    progress.tick(101.0)
    progress.done("camera")
    assert sink.statuses[-1] is None


def test_state_that_is_told_again_keeps_its_time() -> None:
    sink, progress = starting(is_live=False)
    progress.wait_for("camera", IMPORTING, 104.0)
    progress.tick(105.0)
    assert sink.notes == ["starting: waiting for camera (importing, 4 s)"]


@pytest.mark.parametrize("is_live", [True, False])
def test_quiet_progress_says_nothing(is_live: bool) -> None:
    sink, progress = starting(is_live=is_live, is_quiet=True)
    run(progress, 200.0)
    progress.tick(200.0)
    assert (sink.notes, [text for text in sink.statuses if text], progress.next_tick_s()) == ([], [], None)
