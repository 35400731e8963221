"""One run from the options to the exit code: `dora run` in the foreground, and the same in the background.

Strategy: the order is made for speed.  The minder starts first and comes up while the file is read; the nodes are
spawned as soon as their commands are known; msgspec, the log files and the loop are imported while the nodes import
pyarrow on the other cores.
"""

from __future__ import annotations

import os
import signal
from typing import Final

from dora import env
from dora.dataflow.descriptor import Dataflow
from dora.dataflow.load import load_dataflow
from dora.dataflow.programs import check_local
from dora.errors import DescriptorError
from dora.ids import new_dataflow_id
from dora.runner.builds import needs_build
from dora.runner.built import Built
from dora.runner.display import Display
from dora.runner.launch import Launcher
from dora.runner.options import RunOptions
from dora.runner.processes import Processes
from dora.runner.progress import Progress
from dora.runner.reactor import Reactor
from dora.runner.reception import Reception
from dora.runner.run_console import make_console
from dora.runner.status_line import is_redrawable
from dora.transport import control, rendezvous

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGCHLD)
_ALLOW_SHELL: Final = "DORA_ALLOW_SHELL_NODES"


def run_dataflow(options: RunOptions, processes: Processes, runtime_dir: str) -> int:
    """Run a dataflow to its end; returns the exit code.

    Args:
        processes: a minder that was started for `runtime_dir`; closed when this returns.

    Raises:
        DescriptorError: the file is wrong; nothing was started.
        NodeError: a `build:` line failed; nothing was started.
    """
    with processes:
        dataflow = load_dataflow(options.path, overrides=options.env, looks_for_programs=True)
        foreign = check_local(dataflow)
        if foreign:
            raise DescriptorError(foreign)
        background = options.background
        dataflow_id = new_dataflow_id() if background is None else background.dataflow_id
        console = _make_display(options, dataflow, dataflow_id)
        try:
            for warning in dataflow.warnings:
                console.note(f"warning: {warning}")
            is_live = background is None and is_redrawable(2, os.environ)
            progress = Progress(console, is_live=is_live, is_quiet=options.is_quiet)
            with control.listen(os.path.join(runtime_dir, rendezvous.ADMIN_SOCKET_NAME)) as listener:
                reception = Reception(listener)
                launcher = Launcher(
                    dataflow,
                    dataflow_id,
                    processes,
                    runtime_dir,
                    built=_build_answering(options, dataflow, console, progress, dataflow_id, reception),
                    environ=_environ(options),
                )
                return _run(options, launcher, console, progress, reception)
        finally:
            console.close()


def _run(options: RunOptions, launcher: Launcher, console: Display, progress: Progress, reception: Reception) -> int:
    reactor = Reactor()
    try:
        reactor.on_signals(_SIGNALS, lambda signum: None)
        launcher.spawn_all()
        from dora.runner.runner import Runner  # the rules, msgspec, the log files: 60 ms, in which the nodes come up

        if options.is_realtime:
            from dora.runner.realtime import become_realtime  # rare, and it needs ctypes

            for line in become_realtime():
                console.note(line)
        runner = Runner(launcher, reactor, console, progress, options, reception=reception)
        reactor.on_signals(_SIGNALS, runner.take_signal)
        return runner.run()
    finally:
        reactor.close()


def _build_answering(
    options: RunOptions,
    dataflow: Dataflow,
    console: Display,
    progress: Progress,
    dataflow_id: str,
    reception: Reception,
) -> Built:
    """Build, if there is anything to build, and answer meanwhile who asks about the run."""
    if not needs_build(dataflow, options.build):
        return Built()
    from dora.runner.building import build  # needs subprocess, and most files have nothing to build
    from dora.runner.building_desk import BuildingDesk  # needs msgspec
    from dora.runner.roster import identity_of  # as above
    from dora.runner.state.params import ParamBook  # as above

    reception.params = ParamBook()
    identity = identity_of(dataflow_id, dataflow, options.background)
    names = [str(node.id) for node in dataflow.nodes]
    with BuildingDesk(identity, reception.listener, names, reception.params):
        return build(dataflow, options.build, console, progress)


def _environ(options: RunOptions) -> dict[str, str]:
    environ = dict(os.environ)
    if options.allows_shell_nodes:
        environ[_ALLOW_SHELL] = "true"
    if options.reloads_operators:
        environ[env.HOT_RELOAD] = "1"
    return environ


def _make_display(options: RunOptions, dataflow: Dataflow, dataflow_id: str) -> Display:
    if options.background is None:
        return make_console(options, dataflow, dataflow_id)
    from dora.logs import places  # `dora run` has a console
    from dora.runner.journal import Journal  # as above, and it needs msgspec

    return Journal(dataflow.working_dir / places.FOLDER / dataflow_id)
