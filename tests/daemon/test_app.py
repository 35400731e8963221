"""The HTTP API, in the same process: answers, mistakes, description."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from daemon.conftest import StartRun
from dora.daemon import access, app
from dora.daemon.access import AccessLayer, client_uid
from dora.daemon.openapi import describe
from dora.daemon.routes import ROUTES
from dora.daemon.service import Service
from dora.messages import api
from dora.messages import runner_daemon as messages

pytestmark = pytest.mark.asyncio


async def test_dataflows_are_listed(client: httpx.AsyncClient, start_run: StartRun) -> None:
    start_run("a")
    answer = (await client.get("/v1/dataflows")).json()
    assert [(one["name"], one["state"], one["nodes"]) for one in answer["dataflows"]] == [("a", "running", [])]


async def test_one_dataflow_is_shown_with_its_nodes_and_their_usage(
    client: httpx.AsyncClient, start_run: StartRun
) -> None:
    start_run("a")
    shown = (await client.get("/v1/dataflows/a")).json()
    assert [node["id"] for node in shown["nodes"]] == ["camera"]
    assert shown["nodes"][0]["memory_bytes"] > 1_000_000  # it is the process of this test


async def test_a_dataflow_is_meant_by_the_beginning_of_its_id(client: httpx.AsyncClient, start_run: StartRun) -> None:
    start_run("a")
    assert (await client.get("/v1/dataflows/id-of")).json()["name"] == "a"


async def test_a_body_that_is_left_out_is_one_without_members(client: httpx.AsyncClient, start_run: StartRun) -> None:
    run = start_run("a")
    assert (await client.post("/v1/dataflows/a/stop")).json()["state"] == "finished"
    assert run.asked == [messages.Stop("dora stop")]


MISTAKES: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/v1/dataflows/nothing", {}, 404, "there is no dataflow `nothing`"),
    ("GET", "/v1/dataflows/a?wat=1", {}, 400, "unknown query parameter `wat`"),
    ("GET", "/v1/dataflows/a?wait=forever", {}, 400, "`wait` must be one of started, ended"),
    ("GET", "/v1/dataflows/a?timeout_s=soon", {}, 400, "`timeout_s` must be a number"),
    ("GET", "/v1/dataflows/a?wait=ended&timeout_s=nan", {}, 400, "`timeout_s` is out of range"),
    ("GET", "/nowhere", {}, 404, "Not Found"),
    ("PUT", "/v1/dataflows", {}, 405, "Method Not Allowed"),
    ("POST", "/v1/dataflows", {}, 400, "missing required field `file`"),
    ("POST", "/v1/dataflows", {"json": {"file": 3}}, 400, "Expected `str`, got `int`"),
    ("POST", "/v1/dataflows", {"json": {"file": "x.yml"}}, 400, "`file` must be an absolute path"),
    ("POST", "/v1/dataflows", {"content": b"\xff{"}, 400, "wrong body"),
    ("POST", "/v1/dataflows", {"data": {"file": "/x"}}, 400, "the body must be application/json"),
    ("POST", "/v1/dataflows", {"json": {"file": "/no/such.yml"}}, 422, "cannot be run"),
    ("POST", "/v1/dataflows/a/nodes/lidar/stop", {}, 404, "there is no node `lidar`"),
    ("GET", "/v1/dataflows", {"headers": {api.VERSION_HEADER: "99"}}, 426, "the client version 99"),
]


@pytest.mark.parametrize(("method", "path", "options", "status", "text"), MISTAKES)
async def test_a_mistake_is_answered_with_what_was_expected(
    method: str,
    path: str,
    options: dict[str, Any],
    status: int,
    text: str,
    client: httpx.AsyncClient,
    start_run: StartRun,
) -> None:
    start_run("a")
    answer = await client.request(method, path, **options)
    assert answer.status_code == status
    problem = answer.json()
    assert text in problem["message"]
    assert problem["code"]


async def test_a_body_that_is_too_long_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/dataflows", content=b" " * (app.MAX_BODY_BYTES + 1))
    assert answer.status_code == 413


async def test_a_mistake_of_ours_is_a_problem_and_a_line_in_the_log(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(service, "clean", fail)
    transport = httpx.ASGITransport(app=app.make_app(service), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://dora") as client:
        answer = await client.post("/v1/clean")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "oops" in caplog.text


async def test_logs_are_streamed_as_lines(client: httpx.AsyncClient, start_run: StartRun, tmp_path: Path) -> None:
    run = start_run("a")
    line = '{"ts":"2026-01-01T00:00:00.123Z","level":"stdout","node":"camera","stream":"stdout","msg":"%s"}\n'
    (tmp_path / "log_camera.jsonl").write_text(line % "one" + line % "two")
    run.now = replace(run.now, log_dir=str(tmp_path))
    answer = await client.get("/v1/dataflows/a/logs?tail=1")
    assert [json.loads(text)["message"] for text in answer.text.splitlines()] == ["two"]


async def test_health_and_description_are_served(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health")).text == "ok"
    assert (await client.get("/openapi.json")).json() == json.loads(json.dumps(describe()))


async def test_the_description_names_every_request_and_struct() -> None:
    document = describe()
    operations = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert sorted(operations) == sorted(route.name for route in ROUTES)
    used = set(json.dumps(document["paths"]).split("#/components/schemas/"))
    assert {text.partition('"')[0] for text in used if text[:1].isupper()} <= document["components"]["schemas"].keys()


def requests_over_tcp(service: Service, token: str) -> httpx.AsyncClient:
    layer = AccessLayer(app.make_app(service), token)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=layer, client=("192.0.2.1", 5)), base_url="http://robot:6013"
    )


async def test_a_token_is_needed_where_there_is_one(service: Service) -> None:
    async with requests_over_tcp(service, "secret") as client:
        assert (await client.get("/v1/dataflows")).status_code == 401
        wrong = await client.get("/v1/dataflows", headers={"Authorization": "Bearer wrong"})
        assert (wrong.status_code, wrong.json()["code"]) == (401, "wrong-token")
        right = await client.get("/v1/dataflows", headers={"Authorization": "Bearer secret"})
        assert right.status_code == 200
        assert (await client.get("/health")).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_the_kernel_says_whose_a_client_on_this_machine_is(host: str) -> None:
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        with socket.create_connection(listener.getsockname()[:2]) as connection:
            assert client_uid(*connection.getsockname()[:2]) == os.geteuid()
        assert client_uid(host, 1) is None


async def test_another_user_of_the_machine_is_refused_without_a_token(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "client_uid", lambda host, port: os.geteuid() + 1)
    async with requests_over_tcp(service, "") as client:
        refused = await client.get("/v1/dataflows", headers={"Host": "localhost:6013"})
    assert (refused.status_code, refused.json()["message"]) == (
        401,
        "this service belongs to another user of this machine",
    )


PAGES = [
    ({"Host": "localhost:6013"}, 200),
    ({"Host": "127.0.0.1:6013", "Origin": "http://127.0.0.1:6013"}, 200),
    ({"Host": "127.0.0.1:6013", "Origin": "http://evil.example"}, 401),
    ({"Host": "evil.example"}, 401),
    ({"Host": "[::1]:6013"}, 200),
    ({"Host": "[:"}, 401),
]


@pytest.mark.parametrize(("headers", "status"), PAGES)
async def test_without_a_token_pages_of_other_sites_are_refused(
    headers: dict[str, str], status: int, service: Service
) -> None:
    async with requests_over_tcp(service, "") as client:
        assert (await client.get("/v1/dataflows", headers=headers)).status_code == status
