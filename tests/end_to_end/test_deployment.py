"""The service under systemd and as PID 1 of a container (docs/deployment.md)."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from end_to_end.services import World
from end_to_end.test_service import files_of_page

pytestmark = pytest.mark.slow

CONTAINER = (
    *("unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
    *("sh", "-c", 'mount -t tmpfs -o size=64m none /dev/shm && exec "$@"', "sh"),
)
"""in front of a command, which is then PID 1, with the `/dev/shm` that Docker gives"""
USE_AND_STOP = """
( until "$0" -m dora status >/dev/null 2>&1; do sleep 0.05; done
  "$0" -m dora start dataflow.yml --name demo --detach && "$0" -m dora list
  kill -TERM 1 ) &
exec "$0" -m dora daemon
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """The files of docs/service.md, without HOME; nothing of it may be left."""
    for name, text in files_of_page().items():
        (tmp_path / name).write_text(text)
    world = World(tmp_path)
    world.environment.pop("HOME", None)
    try:
        yield world
    finally:
        left = world.end()
    assert not left


def test_systemd_hears_of_the_start_of_the_life_and_of_the_end(world: World) -> None:
    path = str(world.home / "notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        systemd.settimeout(20)
        world.environment |= {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}
        with world.begin("daemon", "--quiet") as service:
            first = systemd.recv(4096).decode().splitlines()
            assert (first[0], first[2]) == ("READY=1", f"MAINPID={service.pid}")
            assert systemd.recv(4096) == b"WATCHDOG=1"
            service.send_signal(signal.SIGTERM)
            assert b"STOPPING=1" in iter(lambda: systemd.recv(4096), b"")
    assert service.returncode == 0


def test_service_that_is_pid_1_of_a_container_stops_its_dataflows_first(world: World) -> None:
    command = [*CONTAINER, "sh", "-c", USE_AND_STOP, sys.executable]
    with world.begin_command(command) as container:
        assert container.stdout is not None
        said = container.stdout.read()
    assert container.returncode == 0, said
    assert "demo  Running  2" in said
    assert "ending by SIGTERM; 1 dataflows go on" not in said
    assert os.listdir(world.folder / "out")
    assert "every node ended well" in world.says("logs", "--local")
