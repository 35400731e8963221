"""What systemd is told."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from dora.daemon.notify import Notifier


def test_systemd_hears_assignments(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}).tell("READY=1", "STATUS=well")
        assert systemd.recv(100) == b"READY=1\nSTATUS=well"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_without_systemd_nothing_happens(environ: dict[str, str]) -> None:
    Notifier(environ).tell("READY=1")


@pytest.mark.parametrize(
    ("pid", "expected"), [({}, 30.0), ({"WATCHDOG_PID": "1"}, None), ({"WATCHDOG_PID": str(os.getpid())}, 30.0)]
)
def test_the_watchdog_is_ours_if_it_means_this_process(pid: dict[str, str], expected: float | None) -> None:
    assert Notifier({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "30000000", **pid}).watchdog_s == expected
