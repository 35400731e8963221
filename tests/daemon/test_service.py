"""The service and the runs: found, watched, stopped, remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.conftest import StartRun
from dora.daemon.problems import ApiError
from dora.daemon.service import Service
from dora.daemon.store import Store
from dora.errors import DoraError
from dora.messages import api
from dora.messages import runner_daemon as messages

pytestmark = pytest.mark.asyncio


async def names_and_states(service: Service) -> list[tuple[str, str]]:
    return [(info.name, info.state) for info in (await service.list_all()).dataflows]


async def wait_until(condition: Callable[[], object]) -> None:
    """Until something that the loop brings about is true."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("waited in vain")


async def test_runs_are_found_by_their_sockets(service: Service, start_run: StartRun) -> None:
    start_run("a")
    start_run("b", origin="run")
    assert await names_and_states(service) == [("a", "running"), ("b", "running")]


async def test_a_change_is_known_without_asking(service: Service, start_run: StartRun) -> None:
    run = start_run("a")
    await service.list_all()
    run.change(messages.STOPPING)
    await wait_until(lambda: service.registry.runs["id-of-a"].now.state == messages.STOPPING)


async def test_what_has_ended_is_remembered(service: Service, start_run: StartRun) -> None:
    run = start_run("a")
    await service.list_all()
    run.end(messages.FAILED, "Node `camera` failed")
    await wait_until(lambda: not service.registry.runs)
    shown = await service.show("a")
    assert (shown.state, shown.exit_code, shown.report) == ("failed", 1, "Node `camera` failed")
    assert [node.id for node in shown.nodes] == ["camera"]


async def test_a_run_in_a_terminal_leaves_no_history(service: Service, start_run: StartRun) -> None:
    run = start_run("a", origin="run")
    await service.list_all()
    run.end()
    await wait_until(lambda: not service.registry.runs)
    assert await names_and_states(service) == []


async def test_a_killed_runner_is_a_failed_dataflow(service: Service, start_run: StartRun) -> None:
    run = start_run("a")
    await service.list_all()
    run.kill()
    await wait_until(lambda: not service.registry.runs)
    shown = await service.show("a")
    assert (shown.state, shown.report) == ("failed", "its runner was killed")
    assert shown.ended_ns


async def test_a_runner_that_broke_down_is_shown_with_its_last_words(
    service: Service, base: Path, start_run: StartRun
) -> None:
    run = start_run("a")
    await service.list_all()
    (base / "records" / "id-of-a.txt").write_text("Traceback ...\nZeroDivisionError: oops\n")
    run.ends_on_stop = False
    stop = asyncio.ensure_future(service.stop("a", api.StopRequest()))
    await wait_until(lambda: run.asked)
    run.kill()
    report = (await stop).report
    assert report == "its runner broke down; it said last:\nTraceback ...\nZeroDivisionError: oops"
    assert (await service.show("a")).report == report


async def test_a_stop_answers_when_the_run_is_over(service: Service, start_run: StartRun) -> None:
    run = start_run("a")
    answer = await service.stop("a", api.StopRequest(grace_s=2.0))
    assert answer.state == "finished"
    assert run.asked == [messages.Stop("dora stop", 2.0)]


async def test_a_stop_between_the_build_and_the_run_is_not_lost(service: Service, start_run: StartRun) -> None:
    runner = start_run("a")
    await service.list_all()
    run = service.registry.runs["id-of-a"]
    runner.pause()
    await wait_until(lambda: run.link is None)
    stopping = asyncio.ensure_future(service.stop("a", api.StopRequest(grace_s=2.0)))
    await asyncio.sleep(0)
    runner.resume()
    await wait_until(lambda: runner.asked)
    assert (await stopping).state == "finished"


async def test_a_stop_of_what_has_ended_changes_nothing(service: Service, start_run: StartRun) -> None:
    start_run("a")
    first = await service.stop("a", api.StopRequest())
    second = await service.stop("a", api.StopRequest())
    assert (second.id, second.state) == (first.id, "finished")


async def test_a_stop_may_be_asked_for_without_waiting(service: Service, start_run: StartRun) -> None:
    run = start_run("a")
    run.ends_on_stop = False
    assert (await service.stop("a", api.StopRequest(waits=False))).state == "running"
    assert run.asked == [messages.Stop("dora stop")]


async def test_nodes_are_controlled_through_their_runner(service: Service, start_run: StartRun) -> None:
    run = start_run("a")
    await service.restart_node("a", "camera", api.NodeRestartRequest(grace_s=1.0))
    await service.stop_node("a", "camera", api.NodeStopRequest(grace_s=2.0))
    assert run.asked == [messages.RestartNode("camera", 1.0), messages.StopNode("camera", 2.0)]


async def test_an_unknown_node_is_refused_by_the_runner(service: Service, start_run: StartRun) -> None:
    start_run("a")
    with pytest.raises(DoraError, match="there is no node `lidar`"):
        await service.stop_node("a", "lidar", api.NodeStopRequest())


async def test_a_wait_ends_with_the_run(service: Service, start_run: StartRun) -> None:
    run = start_run("a")
    waiting = asyncio.ensure_future(service.wait("a", "ended", 5.0))
    await wait_until(lambda: "id-of-a" in service.registry.runs)
    run.end()
    assert (await waiting).state == "finished"


async def test_a_wait_that_takes_too_long_says_how_it_is(service: Service, start_run: StartRun) -> None:
    start_run("a")
    assert (await service.wait("a", "ended", 0.01)).state == "running"


async def test_events_tell_states_now_and_changes(service: Service, start_run: StartRun) -> None:
    run = start_run("a")
    heard: list[api.StateEvent] = []
    assert [event.state for event in await service.states()] == ["running"]
    service.listeners.add(heard.append)
    run.change(messages.STOPPING)
    run.end()
    await wait_until(lambda: len(heard) == 2)
    assert [(event.name, event.state) for event in heard] == [("a", "stopping"), ("a", "finished")]


async def test_clean_forgets_what_has_ended_only(service: Service, start_run: StartRun) -> None:
    start_run("a")
    start_run("b")
    await service.stop("a", api.StopRequest())
    assert [info.name for info in (await service.clean()).cleaned] == ["a"]
    assert await names_and_states(service) == [("b", "running")]


async def test_a_running_dataflow_is_not_forgotten(service: Service, start_run: StartRun) -> None:
    start_run("a")
    with pytest.raises(ApiError, match="is running"):
        await service.forget("a")


async def test_a_taken_name_is_refused(service: Service, start_run: StartRun, tmp_path: Path) -> None:
    start_run("a")
    file = tmp_path / "dataflow.yml"
    file.write_text("nodes: []\n")
    with pytest.raises(ApiError, match="already a running dataflow with name `a`"):
        await service.start(api.StartRequest(file=str(file), name="a"))


async def test_a_wrong_file_is_refused_with_all_its_problems(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "dataflow.yml"
    file.write_text("nodes:\n  - id: a\n  - id: a\n    pth: x\n")
    with pytest.raises(ApiError) as caught:
        await service.start(api.StartRequest(file=str(file)))
    assert len(caught.value.problem.problems) >= 2


async def test_a_dataflow_of_a_terminal_is_not_restarted(service: Service, start_run: StartRun) -> None:
    start_run("a", origin="run", request="")
    with pytest.raises(ApiError, match="only its terminal can start it again"):
        await service.restart("a", api.RestartRequest())


async def test_a_restart_with_a_wrong_file_stops_nothing(service: Service, start_run: StartRun) -> None:
    run = start_run("a", request='{"file": "/nowhere/dataflow.yml"}')
    with pytest.raises(ApiError, match="cannot be run"):
        await service.restart("a", api.RestartRequest())
    assert run.asked == []


async def test_runs_outlive_a_service_and_the_next_one_finds_them(
    base: Path, service: Service, start_run: StartRun
) -> None:
    start_run("a")
    await service.list_all()
    service.registry.close()
    store = Store(str(base / "history.sqlite3"), lambda text: None)
    following = Service(str(base), {"DORA_HOME": str(base)}, store, is_child_alive=lambda pid: False, end=lambda: None)
    await following.begin()
    assert await names_and_states(following) == [("a", "running")]
    following.registry.close()
    store.close()


async def test_a_run_that_ended_without_a_service_is_known_by_its_record(base: Path, start_run: StartRun) -> None:
    run = start_run("a", request='{"file": "/x/dataflow.yml"}')
    store = Store(str(base / "history.sqlite3"), lambda text: None)
    first = Service(str(base), {"DORA_HOME": str(base)}, store, is_child_alive=lambda pid: False, end=lambda: None)
    await first.begin()
    first.registry.close()
    record = messages.Ended(
        1, "Node `camera` failed", 77, messages.Described("id-of-a", "a", "/x", "start", "failed", 1, 5, "1")
    )
    (base / "records" / "id-of-a.json").write_bytes(messages.encode_record(record))
    run.kill()
    second = Service(str(base), {"DORA_HOME": str(base)}, store, is_child_alive=lambda pid: False, end=lambda: None)
    await second.begin()
    shown = await second.show("a")
    assert (shown.state, shown.report, shown.ended_ns) == ("failed", "Node `camera` failed", 77)
    assert not list((base / "records").iterdir())
    second.registry.close()
    store.close()


async def test_a_run_that_vanished_without_a_service_is_said_to_be_lost(base: Path, start_run: StartRun) -> None:
    run = start_run("a", request='{"file": "/x/dataflow.yml"}')
    store = Store(str(base / "history.sqlite3"), lambda text: None)
    first = Service(str(base), {"DORA_HOME": str(base)}, store, is_child_alive=lambda pid: False, end=lambda: None)
    await first.begin()
    first.registry.close()
    run.kill()
    second = Service(str(base), {"DORA_HOME": str(base)}, store, is_child_alive=lambda pid: False, end=lambda: None)
    await second.begin()
    assert (await second.show("a")).state == "failed"
    assert "while no service was watching" in (await second.show("a")).report
    second.registry.close()
    store.close()
