"""Parameters through the service: asked of the runner while it runs, remembered when it is over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from daemon.conftest import StartRun
from daemon.test_service import wait_until
from dora.daemon.service import Service
from dora.daemon.store import Store
from dora.messages import api
from dora.messages import runner_daemon as messages

pytestmark = pytest.mark.asyncio

CAMERA = "/v1/dataflows/a/nodes/camera/params"


async def test_a_value_is_set_at_the_runner_and_asked_of_it(client: httpx.AsyncClient, start_run: StartRun) -> None:
    run = start_run("a")
    answer = await client.put(f"{CAMERA}/gain", json={"value": {"x": [1, None]}})
    assert answer.json() == {"dataflow": "id-of-a", "node": "camera", "key": "gain", "value": {"x": [1, None]}}
    assert run.asked == [messages.SetParam("camera", "gain", '{"x":[1,null]}')]
    run.params["camera"]["gain"] = "2"  # another asker was there
    assert (await client.get(f"{CAMERA}/gain")).json()["value"] == 2
    assert (await client.get(CAMERA)).json()["params"] == {"gain": 2}


async def test_a_deletion_answers_with_what_is_left(client: httpx.AsyncClient, start_run: StartRun) -> None:
    run = start_run("a")
    run.params["camera"] = {"x": "1", "a": "2", "m": "3"}
    answer = await client.delete(f"{CAMERA}/x")
    assert list(answer.json()["params"]) == ["a", "m"]
    assert (await client.delete(f"{CAMERA}/x")).status_code == 200


@pytest.mark.parametrize("key", ["a/b", "two words", "é?#%", "..", "a/"])
async def test_a_key_may_hold_what_a_path_may_not(client: httpx.AsyncClient, start_run: StartRun, key: str) -> None:
    run = start_run("a")
    quoted = "".join(f"%{byte:02x}" for byte in key.encode())
    assert (await client.put(f"{CAMERA}/{quoted}", json={"value": 1})).json()["key"] == key
    assert run.params["camera"] == {key: "1"}


WRONG: list[tuple[str, str, dict[str, Any], int, str, str]] = [
    ("GET", f"{CAMERA}/gian", {}, 404, api.UNKNOWN_PARAM, "node `camera` has no parameter `gian` (has: gain)"),
    ("GET", "/v1/dataflows/b/nodes/camera/params", {}, 404, api.UNKNOWN_DATAFLOW, "there is no dataflow `b`"),
    ("PUT", "/v1/dataflows/a/nodes/lidar/params/x", {"json": {"value": 1}}, 404, api.UNKNOWN_NODE, "no node `lidar`"),
    ("PUT", f"{CAMERA}/x", {"json": {}}, 400, api.WRONG_REQUEST, "missing required field `value`"),
    ("PUT", f"{CAMERA}/x", {"json": {"value": "x" * 65535}}, 400, api.WRONG_REQUEST, "has 65537 bytes as JSON"),
    ("PUT", f"{CAMERA}/x", {"content": '{"value": 1'}, 400, api.WRONG_REQUEST, "wrong body"),
    ("PUT", f"{CAMERA}/{'x' * 257}", {"json": {"value": 1}}, 400, api.WRONG_REQUEST, "has 257 bytes"),
    ("PUT", f"{CAMERA}/", {"json": {"value": 1}}, 400, api.WRONG_REQUEST, "must not be empty"),
    ("DELETE", f"{CAMERA}/gain%0A", {}, 400, api.WRONG_REQUEST, "the path holds a line break"),
    ("DELETE", f"{CAMERA}/a%00b", {}, 400, api.WRONG_REQUEST, "holds a control character"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code", "text"), WRONG)
async def test_what_is_wrong_is_said(
    client: httpx.AsyncClient,
    start_run: StartRun,
    method: str,
    path: str,
    body: dict[str, Any],
    status: int,
    code: str,
    text: str,
) -> None:
    run = start_run("a")
    run.params["camera"] = {"gain": "1"}
    answer = await client.request(method, path, headers={"content-type": "application/json"}, **body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert text in answer.json()["message"]
    assert run.params == {"camera": {"gain": "1"}}


async def test_a_mistyped_key_comes_with_a_tip(client: httpx.AsyncClient, start_run: StartRun) -> None:
    start_run("a").params["camera"] = {"gain": "1"}
    assert (await client.get(f"{CAMERA}/gian")).json()["hint"] == "did you mean `gain`?"


async def test_the_parameters_of_what_has_ended_are_those_of_its_end(service: Service, start_run: StartRun) -> None:
    run = start_run("a")
    await service.params.set("a", "camera", "x", 1)
    run.params["camera"] = {"y": "2"}  # changed without the service
    run.end()
    await wait_until(lambda: not service.registry.runs)
    assert (await service.params.list_all("a", "camera")).params == {"y": 2}
    await service.params.set("a", "camera", "z", 3)
    await service.params.delete("a", "camera", "y")
    assert (await service.params.list_all("a", "camera")).params == {"z": 3}
    await service.clean()
    with pytest.raises(Exception, match="there is no dataflow `a`"):
        await service.params.list_all("a", "camera")


async def test_a_killed_runner_leaves_what_was_written_down(service: Service, start_run: StartRun) -> None:
    run = start_run("a")
    run.params["camera"] = {"early": "0"}
    await service.params.set("a", "camera", "x", 1)
    run.kill()
    await wait_until(lambda: not service.registry.runs)
    assert (await service.params.list_all("a", "camera")).params == {"early": 0, "x": 1}


async def test_nodes_of_what_has_ended_are_checked(
    client: httpx.AsyncClient, service: Service, start_run: StartRun
) -> None:
    run = start_run("a")
    await client.get(CAMERA)
    run.end()
    await wait_until(lambda: not service.registry.runs)
    answer = await client.put("/v1/dataflows/id-of-a/nodes/camra/params/x", json={"value": 1})
    assert answer.status_code == 404
    assert answer.json()["message"] == "there is no node `camra` in a (nodes: camera)"
    assert answer.json()["hint"] == "did you mean `camera`?"


async def test_of_a_run_in_a_terminal_nothing_is_written_down(
    service: Service, start_run: StartRun, base: Path
) -> None:
    start_run("", origin="run")
    await service.params.set("id-of-", "camera", "x", 1)
    store = Store(str(base / "history.sqlite3"), lambda text: pytest.fail(text))
    assert store.params("id-of-", "camera") == {}
    store.close()
