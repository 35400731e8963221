"""The background service with real processes: the life of a dataflow, kills, parallel runs."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dora.control import AsyncControl, Control
from dora.control.connecting import find_socket
from dora.control.http import Address
from end_to_end.running import is_alive, wait_until
from end_to_end.services import World

PAGE = (Path(__file__).parent.parent.parent / "docs" / "service.md").read_text()

pytestmark = pytest.mark.slow


def files_of_page() -> dict[str, str]:
    """The files that the page shows, by name."""
    return dict(re.findall(r"`([\w.]+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL))


def steps_of_page() -> list[tuple[str, str]]:
    """The commands of the page with what they print."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    parts = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


MASKS = [
    (r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID"),
    (r"\d\d:\d\d:\d\d", "TIME"),
    (r"[\d.]+%", "CPU"),
    (r"[\d.]+ [MG]B", "MEMORY"),
    (r"pid \d+", "pid N"),
    (r"(?<=Running  )\d+", "PID"),
    (r"metadata=.*", "METADATA"),
    (r"dora \d[\w.]+", "dora VERSION"),
    (r"Address: .*", "ADDRESS"),
    (r" +", " "),
]


def masked(text: str) -> list[str]:
    """Output without what differs from run to run; what a terminal shows in another order is sorted."""
    for pattern, word in MASKS:
        text = re.sub(pattern, word, text)
    return sorted(line.rstrip() for line in text.splitlines())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """The files of the page in a folder; nothing of it may be left."""
    for name, text in files_of_page().items():
        (tmp_path / name).write_text(text)
    world = World(tmp_path)
    try:
        yield world
    finally:
        left = world.end()
    assert not left


def pids_of_nodes(world: World) -> dict[str, int]:
    """The processes of the nodes, as `dora node list` says."""
    lines = world.says("node", "list", "--format", "json").splitlines()
    return {one["node"]: one["pid"] for one in map(json.loads, lines)}


def kill_service(world: World) -> None:
    """SIGKILL, and nothing of it answers."""
    os.kill(world.service_pid(), signal.SIGKILL)
    wait_until(lambda: find_socket(world.environment) is None, what="the service to be gone")


def test_the_life_of_a_dataflow_is_as_the_page_shows_it(world: World) -> None:
    for command, expected in steps_of_page():
        words = shlex.split(command)[1:]
        if words[0] == "logs":  # there is something to see
            wait_until(lambda words=words: world.dora(*words).stdout, what="logs")
        done = world.type(*words)
        said = done.stdout + (f"[exit code {done.returncode}]\n" if done.returncode else "")
        assert masked(said) == masked(expected), command


def test_a_killed_service_costs_no_dataflow_and_the_next_one_finds_it(world: World) -> None:
    world.says("start", "dataflow.yml", "--name", "demo", "--detach")
    before = pids_of_nodes(world)
    for _ in range(3):
        kill_service(world)
        assert pids_of_nodes(world) == before  # without a service
        world.says("up")
        assert pids_of_nodes(world) == before
    assert all(map(is_alive, before.values()))
    assert "stopped demo" in world.says("stop", "demo")


def test_a_dataflow_that_ends_without_a_service_is_known_to_the_next(world: World) -> None:
    world.says("start", "dataflow.yml", "--name", "demo", "--detach")
    kill_service(world)
    assert "stopped demo" in world.says("stop", "demo")
    assert "demo  Finished" in world.says("list")
    world.says("up")
    assert "demo  Finished" in world.says("list")


def test_an_address_that_is_taken_is_named_and_nothing_is_left(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = world.dora("up", "--listen", address)
    assert done.returncode == 1
    assert f"cannot listen on {address}: Address already in use (another program has it" in done.stdout
    assert not (world.home / "service.sock").exists()


def test_a_hung_service_is_said_to_be_and_ended_by_force_with_its_dataflows(world: World) -> None:
    world.says("start", "dataflow.yml", "--name", "demo", "--detach")
    nodes = pids_of_nodes(world)
    os.kill(world.service_pid(), signal.SIGSTOP)
    said = world.says("down", "--force")
    assert "Stopping 1 running dataflow(s) before teardown..." in said
    assert "killed the service" in said
    assert not any(map(is_alive, nodes.values()))
    assert "started the dora service" in world.says("up")


def test_down_is_refused_while_dataflows_run_and_forced_when_asked(world: World) -> None:
    world.says("start", "dataflow.yml", "--name", "demo", "--detach")
    refused = world.dora("down")
    assert refused.returncode == 1
    assert "1 dataflow is running:\n" in refused.stdout
    assert "Stopping 1 running dataflow(s) before teardown..." in world.says("down", "--force")
    assert not world.service_pid()


def test_a_failed_dataflow_is_shown_with_the_reason(world: World) -> None:
    (world.folder / "talker.py").write_text("raise SystemExit('no camera')\n")
    done = world.dora("start", "dataflow.yml", "--name", "demo", "--detach")
    assert done.returncode == 1
    assert "error: dataflow failed to start" in done.stdout
    assert "no camera" in done.stdout
    assert '"exit_code": 1' in world.says("list", "--format", "json")


def test_a_wrong_file_starts_nothing(world: World) -> None:
    (world.folder / "dataflow.yml").write_text("nodes:\n  - id: a\n    pth: x.py\n")
    done = world.dora("start", "dataflow.yml")
    assert done.returncode == 1
    assert "dataflow.yml:3" in done.stdout
    assert not world.service_pid()


def test_attached_start_shows_logs_and_ends_with_the_dataflow(world: World) -> None:
    (world.folder / "talker.py").write_text(
        "from dora import Node\nnode = Node()\nnode.next()\nnode.send_output('speech', b'x')\n"
    )
    (world.folder / "listener.py").write_text("from dora import Node\nfor event in Node():\n    print(event['type'])\n")
    said = world.says("start", "dataflow.yml", "--attach")
    assert "stdout listener: INPUT_CLOSED" in said
    assert "every node ended well" in said


def test_ctrl_c_of_an_attached_start_stops_it_and_shows_every_line_once(world: World) -> None:
    with world.begin("start", "dataflow.yml", "--attach") as start:
        assert start.stdout is not None
        lines = [start.stdout.readline().rstrip("\n") for _ in range(6)]
        start.send_signal(signal.SIGINT)
        lines += start.stdout.read().splitlines()
    assert start.returncode == 0
    assert lines.count("stopping; Ctrl-C again kills it at once") == 1
    assert [line.partition("[dora]: ")[2] for line in lines if "[dora]" in line][-1] == "every node ended well"
    assert sum("spawned node" in line for line in lines) == 2


def test_a_dataflow_whose_folder_is_removed_can_still_be_stopped(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "robot"
    folder.mkdir()
    for name, text in files_of_page().items():
        (folder / name).write_text(text)
    world.says("start", "robot/dataflow.yml", "--name", "demo", "--detach")
    shutil.rmtree(folder)
    assert "stopped demo" in world.says("stop", "demo")


def test_logs_are_found_by_name_also_after_the_history_is_forgotten(world: World) -> None:
    world.says("start", "dataflow.yml", "--name", "demo", "--detach")
    world.says("stop", "demo")
    world.says("clean")
    assert "every node ended well" in world.says("logs", "demo")


def test_down_may_leave_dataflows_running(world: World) -> None:
    world.says("start", "dataflow.yml", "--name", "demo", "--detach")
    before = pids_of_nodes(world)
    assert "1 dataflow(s) (demo) go on without it" in world.says("down", "--keep")
    world.says("up")
    assert pids_of_nodes(world) == before


def test_the_client_follows_a_dataflow(world: World) -> None:
    world.says("up")

    async def first() -> str:
        control = AsyncControl(Control(Address(path=str(world.home / "service.sock"))))
        await control.start(world.folder / "dataflow.yml", name="demo")
        await control.dataflow("demo", wait="started")
        async for entry in control.logs("demo", node="listener", follows=True):
            assert entry["node_id"] == "listener"
            break
        events = control.events()
        await control.stop("demo", waits=False)
        async for event in events:
            if event.state in ("finished", "failed"):
                return event.state
        return "the stream ended"

    assert asyncio.run(first()) == "finished"


def test_systemd_is_told_and_no_home_is_needed(world: World) -> None:
    path = str(world.home / "notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        systemd.settimeout(20)
        world.environment.pop("HOME", None)
        world.environment["NOTIFY_SOCKET"] = path
        world.says("up")
        assert b"READY=1" in systemd.recv(4096)
