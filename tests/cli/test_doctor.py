"""`dora doctor`: each finding with its remedy, none that ends the others."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from dora.cli import doctor
from dora.cli.doctor import FAIL, PASS, WARN, Finding, Place
from dora.cli.main import run_command

Capture = pytest.CaptureFixture[str]
HERE = Place(None, None, None)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runtime directory."""
    monkeypatch.setenv("DORA_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has `dora doctor` find what the test says."""

    def install(*found: Finding | Exception) -> None:
        def check(_: Place) -> list[Finding]:
            for one in found:
                if isinstance(one, Exception):
                    raise one
            return [one for one in found if isinstance(one, Finding)]

        monkeypatch.setattr(doctor, "_CHECKS", (check,))

    return install


def test_findings_are_lines_with_their_remedies(checks: Callable[..., None], capsys: Capture) -> None:
    checks(Finding(PASS, "all there"), Finding(WARN, "uv: not found", "pip install uv"))
    assert run_command(["doctor"]) == 0
    expected = "  PASS  all there\n  WARN  uv: not found\n        -> pip install uv\n  PASS  All checks passed\n"
    assert capsys.readouterr().out == expected


def test_one_failure_makes_the_exit_code_1(checks: Callable[..., None], capsys: Capture) -> None:
    checks(Finding(PASS, "x"), Finding(FAIL, "no numpy", "pip install numpy"))
    assert run_command(["doctor", "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["failed"] == 1
    assert document["findings"][1] == {"verdict": "FAIL", "text": "no numpy", "remedy": "pip install numpy"}


def test_a_check_that_breaks_is_a_finding(checks: Callable[..., None], capsys: Capture) -> None:
    checks(PermissionError(13, "Permission denied", "/proc/x"))
    assert run_command(["doctor"]) == 1
    assert "  FAIL  check: [Errno 13] Permission denied: '/proc/x'\n1 check(s) failed\n" in capsys.readouterr().out


def test_a_package_that_is_missing_or_broken_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_wheel.py").write_text("raise ImportError('wrong ELF class')")
    (tmp_path / "half_there.py").write_text("import what_it_needs")
    monkeypatch.syspath_prepend(str(tmp_path))
    missing, broken, half = (doctor._package(name) for name in ("not_there", "broken_wheel", "half_there"))
    assert (missing.verdict, missing.text) == (FAIL, "not_there is not installed")
    assert (broken.verdict, broken.text) == (FAIL, "broken_wheel cannot be imported: wrong ELF class")
    assert "No module named 'what_it_needs'" in half.text
    assert half.remedy.endswith("-m pip install --force-reinstall half_there")


@pytest.mark.parametrize(("variable", "verdict"), [("", PASS), ("{prefix}", PASS), ("{empty}", WARN), ("{full}", PASS)])
def test_the_environment_of_the_nodes_is_named(
    variable: str, verdict: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full/lib/python3.12/site-packages/dora").mkdir(parents=True)
    places = {"prefix": doctor.sys.prefix, "empty": tmp_path / "empty", "full": tmp_path / "full"}
    monkeypatch.setenv("VIRTUAL_ENV", variable.format_map(places))
    assert [finding.verdict for finding in doctor._environment(HERE)] == [verdict]


def test_what_others_could_read_is_warned_of(home: Path) -> None:
    (home / "token").write_text("secret")
    (home / "token").chmod(0o644)
    (home / "history.sqlite3").touch(0o600)
    (home / "history.sqlite3.unreadable").touch()
    findings = list(doctor._runtime(HERE))
    assert [finding.verdict for finding in findings] == [PASS, WARN, WARN]
    assert findings[1] == Finding(WARN, f"{home}/token can be read by others", f"chmod 600 {home}/token")
    assert findings[2].remedy.startswith(f"rm {home}/history.sqlite3.unreadable")


def test_a_runtime_directory_that_cannot_be_used_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DORA_HOME", "/dev/null")
    (finding,) = doctor._runtime(HERE)
    assert (finding.verdict, finding.remedy) == (FAIL, "set DORA_HOME to a directory of your own")


@pytest.mark.usefixtures("home")
def test_a_port_is_free_or_another_programs() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place = Place(None, taken.getsockname()[1], None)
        (free,) = doctor._port(place)
    assert (free.verdict, free.text.split(" (")[0]) == (PASS, f"port {place.port}: free")
    with HttpStranger() as port:
        (finding,) = doctor._port(Place(None, port, None))
    assert finding.verdict == WARN


def test_a_wrong_file_fails_with_every_problem(tmp_path: Path) -> None:
    (tmp_path / "dataflow.yml").write_text("nodes:\n  - id: a\n    pth: x.py\n")
    findings = list(doctor._file(Place(None, None, tmp_path / "dataflow.yml")))
    assert {finding.verdict for finding in findings} == {FAIL}
    assert all(finding.remedy for finding in findings)


def test_a_right_file_passes_with_its_warnings(tmp_path: Path) -> None:
    (tmp_path / "dataflow.yml").write_text("nodes:\n  - id: a\n    path: missing.py\n")
    verdicts = [finding.verdict for finding in doctor._file(Place(None, None, tmp_path / "dataflow.yml"))]
    assert verdicts == [WARN, PASS]


def test_nothing_is_failed_on_this_machine(home: Path, capsys: Capture) -> None:
    assert run_command(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert f"runtime directory: {home}" in shown
    assert "  WARN  service: not running (`dora run` needs none)\n        -> dora up\n" in shown


class HttpStranger:
    """A web server that is none of ours, on a port of this machine."""

    def __enter__(self) -> int:
        import http.server
        import threading

        self._server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
        self._server.RequestHandlerClass.log_message = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return int(self._server.server_address[1])

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
