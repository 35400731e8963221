"""`dora doctor`: looks for what is wrong with this machine, this environment and a dataflow, each with its remedy.

Strategy: a list of checks, each a function that returns findings; a check that itself fails is a finding, never the
end of the others.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import click

from dora.cli.tables import print_json
from dora.cli.targets import HELP, examples, format_option, open_control, service_options
from dora.control import Control, ControlError, DirectControl, connect_to_service
from dora.daemon.store import MOVED
from dora.errors import DescriptorError, DoraError, ResourceError
from dora.messages import api
from dora.messages.runner_daemon import FAILED
from dora.transport.addresses import DEFAULT_PORT
from dora.transport.rendezvous import STORE_NAME, TOKEN_NAME
from dora.version import VERSION

PASS, WARN, FAIL = "PASS", "WARN", "FAIL"
_FEW_FILES: Final = 1024
_SMALL_PIPES: Final = 1 << 20
_LITTLE_DISK_BYTES: Final = 1 << 30
_COLOURS: Final = {PASS: "green", WARN: "yellow", FAIL: "red"}
_EXAMPLES: Final = """
Examples:
  dora doctor
  dora doctor --dataflow dataflow.yml
  dora doctor --format json

Exit code 0: nothing that keeps dataflows from running (there may be warnings); 1: something does.
"""


class Finding(NamedTuple):
    """What one check has found.

    Attributes:
        remedy: what to do about it, or "".
    """

    verdict: str
    text: str
    remedy: str = ""


class Place(NamedTuple):
    """What is looked at."""

    host: str | None
    port: int | None
    path: Path | None


@click.command(context_settings=HELP, epilog=examples(_EXAMPLES))
@click.option("--dataflow", "path", type=click.Path(path_type=Path), metavar="FILE", help="Check this file, too.")
@format_option
@service_options
def doctor(path: Path | None, layout: str, host: str | None, port: int | None) -> int:
    """Look for what is wrong, and say what to do about it."""
    place = Place(host, port, path)
    findings = [finding for check in _CHECKS for finding in _guarded(check, place)]
    failed = sum(finding.verdict == FAIL for finding in findings)
    if layout == "json":
        print_json({"version": VERSION, "failed": failed, "findings": [finding._asdict() for finding in findings]})
        return 1 if failed else 0
    for finding in findings:
        click.echo(f"  {click.style(finding.verdict, fg=_COLOURS[finding.verdict])}  {finding.text}")
        if finding.remedy:
            click.echo(f"        -> {finding.remedy}")
    if failed:
        click.echo(f"{failed} check(s) failed")
        return 1
    click.echo(f"  {click.style(PASS, fg=_COLOURS[PASS])}  All checks passed")
    return 0


def _guarded(check: Callable[[Place], Iterator[Finding]], place: Place) -> list[Finding]:
    try:
        return list(check(place))
    except (OSError, DoraError, ImportError) as error:
        return [Finding(FAIL, f"{check.__name__.strip('_')}: {error}", getattr(error, "hint", ""))]


def _versions(_: Place) -> Iterator[Finding]:
    python = ".".join(map(str, sys.version_info[:3]))
    yield Finding(PASS, f"dora {VERSION}, Python {python} ({sys.executable})")
    for name in ("pyarrow", "numpy"):
        yield _package(name)
    installed = importlib.metadata.version("dora-rs")
    if installed != VERSION:
        remedy = "pip install --force-reinstall dora-rs"
        yield Finding(WARN, f"the code is dora {VERSION}, its installed metadata say {installed}", remedy)


def _package(name: str) -> Finding:
    """Whether it can be imported: a wheel of another machine is installed, too."""
    try:
        return Finding(PASS, f"{name} {importlib.import_module(name).__version__}")
    except ModuleNotFoundError as error:
        if error.name == name:
            return Finding(FAIL, f"{name} is not installed", f"{sys.executable} -m pip install {name}")
        return _broken(name, error)
    except ImportError as error:
        return _broken(name, error)


def _broken(name: str, error: ImportError) -> Finding:
    remedy = f"{sys.executable} -m pip install --force-reinstall {name}"
    return Finding(FAIL, f"{name} cannot be imported: {error}", remedy)


def _environment(_: Place) -> Iterator[Finding]:
    """Nodes run in the active virtual environment, if that has dora; else in the one that runs this command."""
    active = os.environ.get("VIRTUAL_ENV")
    if not active or os.path.realpath(active) == os.path.realpath(sys.prefix):
        yield Finding(PASS, f"nodes run with {sys.executable}, unless the dataflow says otherwise")
        return
    folders = list(Path(active).glob("lib/python3*/site-packages/dora*"))
    if folders:
        yield Finding(PASS, f"nodes run in the active environment {active}, not in that of this command ({sys.prefix})")
    else:
        remedy = f"VIRTUAL_ENV={active} pip install dora-rs, if nodes need what is installed there"
        text = f"the active environment {active} has no dora, so nodes run with {sys.executable}"
        yield Finding(WARN, text, remedy)


def _uv(_: Place) -> Iterator[Finding]:
    import shutil
    import subprocess

    found = shutil.which("uv")
    if found is None:
        beside = Path(sys.executable).parent / "uv"
        found = str(beside) if beside.exists() else None
    if found is None:
        yield Finding(WARN, "uv: not found; `--uv` will not work", "pip install uv")
        return
    done = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
    yield Finding(PASS, f"uv: {done.stdout.strip() or found}")


def _memory(_: Place) -> Iterator[Finding]:
    """Messages lie in memfds: neither /dev/shm nor a locked-memory limit is needed, but the kernel must have them."""
    try:
        os.close(os.memfd_create("dora-doctor", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
    except OSError as error:
        text = f"shared memory: memfd_create: {error.strerror}"
        yield Finding(FAIL, text, "allow it in the container's seccomp profile")
        return
    yield Finding(PASS, "shared memory: memfd works (/dev/shm is not used)")


def _limits(_: Place) -> Iterator[Finding]:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f"open files: {soft} (at most {hard})"
    if 0 <= soft < _FEW_FILES:
        yield Finding(WARN, text, f"ulimit -n {max(hard, _FEW_FILES)}, before starting large dataflows")
    else:
        yield Finding(PASS, text)
    pipes = int(Path("/proc/sys/fs/pipe-max-size").read_text())
    if pipes < _SMALL_PIPES:
        remedy = f"sysctl fs.pipe-max-size={_SMALL_PIPES}, for queue sizes over {pipes // 64}"
        yield Finding(WARN, f"pipes hold at most {pipes} bytes", remedy)
    else:
        yield Finding(PASS, f"pipes hold up to {pipes} bytes: queues of {pipes // 64} messages")


def _disk(place: Place) -> Iterator[Finding]:
    folder = (place.path or Path("x")).absolute().parent
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    text = f"disk: {free / 1e9:.1f} GB free in {folder}, where logs are written"
    yield (
        Finding(PASS, text) if free >= _LITTLE_DISK_BYTES else Finding(WARN, text, "make room, or limit `max_log_size`")
    )
    if not os.access(folder, os.W_OK):
        yield Finding(WARN, f"{folder} cannot be written: there will be no logs", f"chmod u+w {folder}")


def _runtime(_: Place) -> Iterator[Finding]:
    from dora.transport import rendezvous

    try:
        base = rendezvous.usable_base(os.environ)
    except ResourceError as error:
        yield Finding(FAIL, str(error), "set DORA_HOME to a directory of your own")
        return
    yield Finding(PASS, f"runtime directory: {base}")
    yield from _secrets(Path(base))


def _secrets(base: Path) -> Iterator[Finding]:
    """What lies there for the service alone: its history and its token."""
    for name in (STORE_NAME, TOKEN_NAME):
        path = base / name
        if not path.exists():
            continue
        if path.stat().st_mode & 0o077:
            yield Finding(WARN, f"{path} can be read by others", f"chmod 600 {path}")
        elif not os.access(path, os.R_OK | os.W_OK):
            yield Finding(WARN, f"{path} cannot be used by this user", f"rm {path}")
    aside = base / (STORE_NAME + MOVED)
    if aside.exists():
        text = f"an earlier history could not be read and was moved to {aside}"
        yield Finding(WARN, text, f"rm {aside}, unless you need what it has")


def _service(place: Place) -> Iterator[Finding]:
    control = open_control(place.host, place.port)
    known = control.dataflows()
    if isinstance(control, DirectControl):
        yield Finding(WARN, "service: not running (`dora run` needs none)", "dora up")
    else:
        yield from _version_of(control)
    running = [info for info in known.dataflows if info.state not in api.ENDED]
    failed = [info for info in known.dataflows if info.state == FAILED]
    counts = f"{len(running)} running, {len(failed)} failed, {len(known.dataflows)} known"
    if failed:
        remedy = f"dora logs {failed[0].id}, for the latest; `dora clean` forgets them"
        yield Finding(WARN, f"dataflows: {counts}", remedy)
    else:
        yield Finding(PASS, f"dataflows: {counts}")
    for warning in known.warnings:
        yield Finding(WARN, warning, "if it hangs: kill its process; its nodes end with it")
    for info in running:
        yield from _nodes_of(control.dataflow(info.id))


def _port(place: Place) -> Iterator[Finding]:
    """6013, which `dora up --ui` takes: free, the service's, or somebody else's."""
    port = place.port or DEFAULT_PORT
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) != 0:
            yield Finding(PASS, f"port {port}: free (only `dora up --ui` and `--listen` need one)")
            return
    try:
        about = connect_to_service(f"127.0.0.1:{port}").service()
    except ControlError as error:
        yield Finding(WARN, f"port {port}: {error}", error.hint)
    except DoraError:
        yield Finding(
            WARN, f"port {port}: another program has it", "choose another one: dora up --listen 127.0.0.1:PORT"
        )
    else:
        yield Finding(PASS, f"port {port}: the service (pid {about.pid})")


def _version_of(control: Control) -> Iterator[Finding]:
    about = control.service()
    text = f"service: dora {about.dora}, pid {about.pid}, at {control.address}"
    if about.dora == VERSION:
        yield Finding(PASS, text)
    else:
        yield Finding(WARN, f"{text}; this is dora {VERSION}", "dora down --keep && dora up (running dataflows go on)")


def _nodes_of(info: api.DataflowInfo) -> Iterator[Finding]:
    for node in info.nodes:
        if node.state == FAILED:
            text = f"node {node.id} of {info.called} failed: {node.message}"
            yield Finding(WARN, text, f"dora logs {info.id} --node {node.id}")
    if info.waits_for:
        text = f"{info.called} waits for {', '.join(info.waits_for)} to start"
        yield Finding(WARN, text, f"dora logs {info.id} --node {info.waits_for[0]}")


def _file(place: Place) -> Iterator[Finding]:
    if place.path is None:
        return
    from dora.dataflow.load import load_dataflow
    from dora.dataflow.programs import check_sources

    try:
        dataflow = load_dataflow(place.path, looks_for_programs=True)
    except DescriptorError as error:
        for problem in error.problems:
            yield Finding(FAIL, problem, "`dora validate` shows the place in the file")
        return
    for warning in [*dataflow.warnings, *check_sources(dataflow)]:
        yield Finding(WARN, warning)
    yield Finding(PASS, f"dataflow {place.path}: {len(dataflow.nodes)} nodes")


_CHECKS: Final[tuple[Callable[[Place], Iterator[Finding]], ...]] = (
    _versions,
    _environment,
    _uv,
    _memory,
    _limits,
    _disk,
    _runtime,
    _service,
    _port,
    _file,
)
