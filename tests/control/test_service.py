"""The client: every request, and what it makes of refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from daemon.conftest import StartRun
from daemon.served import ServedService
from dora.control import Control, ControlError, DirectControl, NoServiceError, connect, connect_to_service
from dora.control.http import Address
from dora.errors import ConnectionLost, ProtocolError
from dora.messages import api
from dora.messages import runner_daemon as messages


def test_the_service_tells_about_itself(control: Control, served: ServedService, base: Path) -> None:
    about = control.service()
    assert (about.runtime_dir, about.addresses) == (str(base), [f"http://127.0.0.1:{served.port}"])


def test_dataflows_are_listed_and_shown(control: Control, start_run: StartRun) -> None:
    start_run("a")
    assert [(one.name, one.nodes) for one in control.dataflows().dataflows] == [("a", [])]
    assert [node.id for node in control.dataflow("a").nodes] == ["camera"]


def test_a_name_with_strange_characters_reaches_the_service_whole(control: Control) -> None:
    with pytest.raises(ControlError, match="there is no dataflow `a ?ü`".replace("?", "[?]")):
        control.dataflow("a ?ü")


@pytest.mark.parametrize("wanted", ["dataflow.yml", "./dataflow.yml", "/x/dataflow.yml"])
def test_what_runs_is_meant_by_its_file_too(
    control: Control, start_run: StartRun, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getcwd", lambda: "/x")
    start_run("a")
    assert control.dataflow(wanted).name == "a"
    with pytest.raises(ControlError, match=r"there is no dataflow `/x/other[.]yml`; running are"):
        control.dataflow("./other.yml")


def test_a_stop_waits_for_the_end(control: Control, start_run: StartRun) -> None:
    run = start_run("a")
    assert control.stop("a", grace_s=2.5).state == "finished"
    assert run.asked == [messages.Stop("dora stop", 2.5)]


def test_nodes_are_stopped_and_restarted(control: Control, start_run: StartRun) -> None:
    run = start_run("a")
    control.stop_node("a", "camera", is_forced=True)
    control.restart_node("a", "camera", grace_s=1.0)
    assert run.asked == [messages.StopNode("camera", 5.0, True), messages.RestartNode("camera", 1.0)]


def test_what_is_refused_says_why_and_what_to_do(control: Control, start_run: StartRun) -> None:
    start_run("demo")
    with pytest.raises(ControlError) as caught:
        control.stop("dmo")
    assert (caught.value.code, caught.value.hint) == (api.UNKNOWN_DATAFLOW, "did you mean `demo`?")


def test_a_wrong_file_comes_back_with_its_problems(control: Control, tmp_path: Path) -> None:
    (tmp_path / "dataflow.yml").write_text("nodes:\n  - id: a\n    pth: x.py\n")
    with pytest.raises(ControlError) as caught:
        control.start(tmp_path / "dataflow.yml")
    assert any("dataflow.yml:3" in problem for problem in caught.value.problems)


def test_what_has_ended_is_forgotten_one_by_one_or_all_at_once(control: Control, start_run: StartRun) -> None:
    for name in ("a", "b"):
        start_run(name)
        control.stop(name)
    assert control.forget("a").name == "a"
    assert [one.name for one in control.clean().cleaned] == ["b"]
    assert control.clean().cleaned == []


def test_events_begin_with_the_states_now(control: Control, start_run: StartRun) -> None:
    run = start_run("a")
    events = control.events()
    assert next(events).nodes == {"camera": "running"}
    run.change(messages.STOPPING)
    assert next(events).state == "stopping"
    events.close()  # type: ignore[attr-defined] # a generator


def test_logs_come_as_dicts(control: Control, start_run: StartRun, tmp_path: Path) -> None:
    run = start_run("a")
    line = '{"ts":"2026-01-01T00:00:00.123Z","level":"stdout","node":"camera","stream":"stdout","msg":"%s"}\n'
    (tmp_path / "log_camera.jsonl").write_text(line % "one" + line % "two")
    run.now = replace(run.now, log_dir=str(tmp_path))
    assert [one["message"] for one in control.logs("a", node="camera")] == ["one", "two"]
    with pytest.raises(ControlError, match="no node 'lidar'"):
        list(control.logs("a", node="lidar"))


def test_a_service_that_was_told_to_end_is_gone(control: Control, served: ServedService) -> None:
    control.shut_down()
    served.end()
    with pytest.raises(NoServiceError, match=r"no service answers on .*service\.sock"):
        control.service()


def test_what_is_no_service_is_named_with_its_status(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n"
    with Stranger(tmp_path, answer) as address, pytest.raises(ControlError, match="answered with status 418"):
        Control(address).service()


def test_an_answer_that_is_no_answer_is_a_protocol_error(tmp_path: Path) -> None:
    body = json.dumps({"pid": "many"}).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with Stranger(tmp_path, answer) as address, pytest.raises(ProtocolError, match="that is not understood"):
        Control(address).service()


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", b"SSH-2.0-x\r\n\r\n"])
def test_an_answer_that_breaks_off_is_a_lost_connection(answer: bytes, tmp_path: Path) -> None:
    with Stranger(tmp_path, answer) as address, pytest.raises(ConnectionLost):
        Control(address).service()


@pytest.mark.usefixtures("base")
def test_without_a_service_the_runs_are_asked_themselves() -> None:
    assert isinstance(connect(), DirectControl)
    with pytest.raises(NoServiceError, match="the service is not running"):
        connect_to_service()


def test_a_service_is_found_by_port_and_by_path(served: ServedService, base: Path) -> None:
    for address in (f"127.0.0.1:{served.port}", f"http://localhost:{served.port}/", str(base / "service.sock")):
        assert connect_to_service(address).service().runtime_dir == str(base)


@pytest.mark.parametrize("address", ["robot:http", "robot:0", "robot:65536"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(NoServiceError, match="is no address"):
        connect_to_service(address)


def test_an_address_of_version_6_is_shown_in_brackets() -> None:
    with pytest.raises(NoServiceError, match=r"no service answers on \[::1\]:1: "):
        connect_to_service("[::1]:1")


def test_a_token_is_stated_or_taken_from_the_environment(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = ServedService(base, token="secret")
    address = f"127.0.0.1:{served.port}"
    try:
        with pytest.raises(ControlError, match="wrong or missing token"):
            connect_to_service(address, token="wrong")
        connect_to_service(address, token="secret")
        monkeypatch.setenv("DORA_AUTH_TOKEN", "secret")
        monkeypatch.setenv("DORA_HOME", str(base / "of-another-user"))
        connect_to_service(address)
    finally:
        served.end()


def test_the_own_service_needs_no_token_at_its_port_on_this_machine(base: Path) -> None:
    served = ServedService(base, token="secret")
    try:
        assert connect_to_service(f"localhost:{served.port}").service().runtime_dir == str(base)
    finally:
        served.end()


class Stranger:
    """Listens, and answers the first request with what it was told."""

    def __init__(self, folder: Path, answer: bytes) -> None:
        import socket
        import threading

        self._listener = socket.socket(socket.AF_UNIX)
        self._path = str(folder / "stranger.sock")
        self._listener.bind(self._path)
        self._listener.listen(1)
        self._answer = answer
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Address:
        self._thread.start()
        return Address(path=self._path)

    def __exit__(self, *_: object) -> None:
        self._thread.join(20)
        self._listener.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(self._answer)
