"""The runner's loop: what happens becomes a stimulus, the rules answer with effects, the effects are carried out.

Strategy: one thread, one `Reactor`.  Everything that decides is under `state/`; everything that acts is a class of its
own (`NodeServer`, `Wiring`, `OutputPipes`, `Handlers`).  Here is only who is connected to whom, when the loop wakes up,
and what is left to do when the rules say that the run is over.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace

from dora.dataflow.descriptor import Node
from dora.logs import places
from dora.messages import runner_daemon
from dora.runner import processes as p
from dora.runner import stimuli as s
from dora.runner.admin import AdminServer
from dora.runner.admin_desk import RunDesk
from dora.runner.crew import Crew
from dora.runner.display import Display
from dora.runner.effects import Note, SpawnNode
from dora.runner.graph_desk import GraphDesk
from dora.runner.handlers import Handlers
from dora.runner.lateness import Lateness
from dora.runner.launch import Launcher
from dora.runner.log_files import LogFile, first_only
from dora.runner.log_outputs import LogOutputs
from dora.runner.logs import NodeLog
from dora.runner.narration import Narrator
from dora.runner.node_server import Identity, NodeServer
from dora.runner.options import RunOptions
from dora.runner.outcomes import RunSummary
from dora.runner.output_pipes import OutputPipes
from dora.runner.params import ParamDesk
from dora.runner.progress import Progress
from dora.runner.reactor import Reactor
from dora.runner.reception import Reception
from dora.runner.report import final_report
from dora.runner.roster import Roster, identity_of
from dora.runner.run_log import RunLog
from dora.runner.runtime_dir import sweep_stale
from dora.runner.state.routes import is_runner_sender, log_outputs
from dora.runner.state.supervisor import Supervisor
from dora.runner.state.times import NS_PER_MS, NS_PER_S, seconds_ns
from dora.runner.stderr_excerpt import excerpt
from dora.runner.summary import complete_all, input_counts
from dora.runner.watching import Watching
from dora.runner.wiring import Wiring
from dora.transport.counters import CountersPage
from dora.version import VERSION

SWEEP_NS: Final = 250 * NS_PER_MS
"""how often the loop looks around while anything is due"""
_LAST_PATIENCE_S: Final = 2.0


class Runner:
    """One run of a dataflow, from its spawned nodes to its exit code.

    Args:
        launcher: has spawned every node once, ahead of the rules: their imports take longest.
        reception: where others ask about this run; its listener is closed when the run is over.
    """

    def __init__(
        self,
        launcher: Launcher,
        reactor: Reactor,
        console: Display,
        progress: Progress,
        options: RunOptions,
        *,
        reception: Reception,
    ) -> None:
        self._launcher = launcher
        stated = options.exits_when_nodes_finish
        self._wiring = Wiring()
        self._supervisor = supervisor = Supervisor(
            launcher.dataflow,
            grace_s=options.grace_s,
            drains_timers=launcher.dataflow.exit_when_nodes_finish if stated is None else stated,
            params=reception.params,
            queued=self._wiring.queued,
        )
        self._reactor = reactor
        self._console = console
        self._progress = progress
        self._options = options
        self._began_ns = time.monotonic_ns()
        self._narrator = Narrator(progress, supervisor, self._began_ns / NS_PER_S)
        self._page = CountersPage.create()
        self._server = self._make_server()
        self._log_outputs = LogOutputs(launcher.dataflow, launcher.dataflow_id, self._page, self._own_arena)
        self._log_dir = launcher.dataflow.working_dir / places.FOLDER / launcher.dataflow_id
        self._warn_of_file = first_only(console.note)
        name = "" if options.background is None else options.background.name
        self._run_log = RunLog(self._log_dir, launcher.dataflow, name=name, warn=self._warn_of_file)
        self._crew = crew = Crew(launcher, self._server, self._wiring, self._log_outputs, make_log=self._make_log)
        self._pipes = OutputPipes(reactor, console, crew.logs)
        self._seen_version = -1
        self._serve_log_readers()
        self._shows_details = options.log_level in ("debug", "trace")
        self._handlers = Handlers(crew, supervisor.topology, self._page, show=self._show)
        self._watching = Watching(supervisor, self._page, patience_s=options.straggler_patience_s)
        self._admin = reception.listener
        self._roster = self._make_roster()
        self._desk = self._make_desk()
        self._admin_server = AdminServer(self._admin, reactor, self._desk, version=VERSION)
        self._stop_after_ns = None if options.stop_after_s is None else seconds_ns(options.stop_after_s)
        self._reports: Final[dict[type, Callable[[Any], s.Stimulus]]] = {
            p.Spawned: self._spawn_of,
            p.SpawnFailed: lambda report: s.SpawnRefused(report.name, report.errno or None, report.message),
            p.Exited: self._exit_of,
            p.MinderGone: lambda report: s.MinderGone(),
        }

    def run(self) -> int:
        """Run to the end, from nodes that the launcher has spawned; returns the exit code."""
        self._launcher.on_output = self._pipes.attach
        for node, fds in self._launcher.waiting_output:
            self._pipes.attach(node, fds)
        processes = self._launcher.processes
        self._reactor.add_reader(processes.fileno(), self._take_reports)
        try:
            effects = self._supervisor.on(s.Began(), self._began_ns)
            self._handlers.apply([effect for effect in effects if not isinstance(effect, SpawnNode)])
            sweep_stale()
            processes.reap_strays()
            self._loop()
        finally:
            self._reactor.remove_reader(processes.fileno())
            self._release()
        return self._conclude()

    def take_signal(self, signum: int) -> None:
        """A signal to the runner itself."""
        if signum == signal.SIGTSTP:
            self._announce("Ctrl-Z is ignored: the nodes would stall; Ctrl-C stops the dataflow", "warn")
        elif signum == signal.SIGCHLD:
            self._launcher.processes.reap_strays()
        else:
            self._tell(s.StopRequested("Ctrl-C" if signum == signal.SIGINT else signal.Signals(signum).name))

    # -- making the parts

    def _make_roster(self) -> Roster:
        launcher = self._launcher
        return Roster(
            identity_of(launcher.dataflow_id, launcher.dataflow, self._options.background),
            self._launcher,
            self._supervisor,
            self._page,
            log_dir=str(self._log_dir),
            pid_of=self._server.pid_of,
        )

    def _make_desk(self) -> RunDesk:
        supervisor = self._supervisor
        graph = GraphDesk(supervisor, self._launcher, tell=self._tell)
        desk = RunDesk(self._roster, supervisor, self._page, self._handlers, graph, tell=self._tell)
        params = ParamDesk(
            supervisor.params,
            check_node=graph.life,
            change=lambda node, key, value: self._tell(s.ParamChanged(node, key, value)),
            unread=self._server.unread,
        )
        desk.requests.update(params.requests)
        return desk

    def _make_server(self) -> NodeServer:
        tokens = self._launcher.tokens
        return NodeServer(
            self._launcher.listener,
            {name: Identity(tokens[name], slot) for name, slot in self._supervisor.topology.node_slots.items()},
            self._reactor,
            tell=self._tell,
            announce=self._page.announce,
            warn=lambda text: self._announce(text, "warn"),
        )

    def _make_log(self, node: Node) -> NodeLog:
        name = str(node.id)
        file = LogFile(
            places.file_of(self._log_dir, name),
            node.log.max_log_size_bytes,
            node.log.max_rotated_files,
            warn=self._warn_of_file,
        )
        sink = self._log_outputs.line_sink(name)
        return NodeLog(name, file, node.log, on_line=sink, warn=self._console.note)

    def _serve_log_readers(self) -> None:
        """Pass entries on if the graph, as it is now, has somebody who reads them or might come to look at them."""
        topology = self._supervisor.topology
        if self._seen_version == topology.version:
            return
        self._seen_version = topology.version
        is_read = any(is_runner_sender(route.sender) for route in topology.routes)
        if is_read or any(log_outputs(node) for node in topology.dataflow.nodes):
            self._pipes.pass_on_to(self._log_outputs.entries)

    def _own_arena(self, sender: str, output: str) -> tuple[int, int]:
        fd, size_bytes = self._wiring.arena(sender, output)
        return os.dup(fd), size_bytes

    def _show(self, note: Note) -> None:
        self._announce(note.text, note.level, note.node)

    def _announce(self, text: str, level: str, node: str | None = None) -> None:
        """A line of our own: on the console, and in the log."""
        self._run_log.add(text, level, node)
        if self._options.background is None and (level != "debug" or self._shows_details):
            self._console.system(text, level, node)

    # -- the loop

    def _loop(self) -> None:
        lateness = Lateness(time.monotonic_ns())
        while not self._handlers.is_finished:
            timeout_ns = self._timeout_ns(time.monotonic_ns())
            self._reactor.wait(None if timeout_ns is None else timeout_ns / NS_PER_S)
            now_ns = time.monotonic_ns()
            lost_ns = lateness.lost_ns(now_ns, timeout_ns)
            if lost_ns:
                self._watching.forget()
                self._tell(s.TimeLost(lost_ns))
            self._look_around(now_ns)

    def _timeout_ns(self, now_ns: int) -> int | None:
        """Until the loop must wake up by itself; None: only when something happens."""
        due = [self._supervisor.next_deadline_ns(), self._stop_after_due_ns(), self._pipes.next_due_ns()]
        tick_s = self._progress.next_tick_s()
        due.append(None if tick_s is None else seconds_ns(tick_s))
        known = [due_ns for due_ns in due if due_ns is not None]
        if self._watching.is_needed or known or self._handlers.arrears or self._server.is_deaf:
            known.append(now_ns + SWEEP_NS)
        return max(0, min(known) - now_ns) if known else None

    def _stop_after_due_ns(self) -> int | None:
        return None if self._stop_after_ns is None else self._began_ns + self._stop_after_ns

    def _look_around(self, now_ns: int) -> None:
        self._pipes.resume()
        self._handlers.arrears.try_again()
        self._server.listen_again()
        stop_ns = self._stop_after_due_ns()
        if stop_ns is not None and now_ns >= stop_ns:
            self._stop_after_ns = None
            self._tell(s.StopRequested("--stop-after", is_insistent=False))
        due_ns = self._supervisor.next_deadline_ns()
        if due_ns is not None and now_ns >= due_ns:
            self._tell(s.TimePassed())
        if self._watching.is_needed:
            for stimulus in self._watching.look(now_ns):
                self._tell(stimulus)
        self._progress.tick(now_ns / NS_PER_S)

    def _tell(self, stimulus: s.Stimulus) -> None:
        now_ns = time.monotonic_ns()
        self._handlers.apply(self._supervisor.on(stimulus, now_ns))
        while self._handlers.refusals:
            self._handlers.apply(self._supervisor.on(self._handlers.refusals.pop(), now_ns))
        self._serve_log_readers()
        node = getattr(stimulus, "node", None)
        self._narrator.follow(node, now_ns / NS_PER_S)
        self._desk.note_change(node)

    def _take_reports(self) -> None:
        for report in self._launcher.processes.reports():
            self._tell(self._reports[type(report)](report))

    def _spawn_of(self, report: p.Spawned) -> s.Stimulus:
        self._roster.pids[report.name] = report.pid
        return s.NodeSpawned(report.name, report.pid)

    def _exit_of(self, report: p.Exited) -> s.Stimulus:
        """Before an exit is believed, all that the process had said and printed is taken."""
        name = report.name
        self._server.drain(name)
        self._server.drop(name)
        self._pipes.finish(name)
        tail = tuple(excerpt(self._crew.logs[name].stderr_tail()))
        return s.ProcessExited(name, report.code, report.signum, tail)

    # -- the end

    def _release(self) -> None:
        """Let go of everything, whatever happened; the minder kills what is still there."""
        self._launcher.processes.close(_LAST_PATIENCE_S)
        self._pipes.close()
        self._server.close()
        self._log_outputs.close()
        self._wiring.close()
        self._progress.end()

    def _conclude(self) -> int:
        supervisor = self._supervisor
        summary = RunSummary(
            outcomes=complete_all(supervisor.outcomes(), self._launcher, self._crew.logs),
            inputs=input_counts(supervisor.topology.counted, self._page),
            log_dir=self._shown_log_dir() if self._crew.logs else None,
            skipped_console_lines=self._console.skipped_lines,
            lost_log_lines=self._crew.lost_log_lines + sum(log.file.lost_lines for log in self._crew.logs.values()),
            failure=supervisor.failure,
        )
        text = final_report(summary, is_quiet=self._options.is_quiet)
        self._crew.close_logs()
        self._run_log.add(text or "every node ended well", "error" if supervisor.has_failed else "info")
        self._run_log.close()
        self._tell_end(text)
        self._page.close()
        if supervisor.has_failed and self._options.on_failure is not None:
            self._options.on_failure(text)
        elif text and self._options.background is None:
            self._console.note(text)
        return 1 if supervisor.has_failed else 0

    def _shown_log_dir(self) -> str:
        """As typed in the current directory; who reads the report of a background run may be anywhere."""
        path = str(self._log_dir)
        if self._options.background is not None:
            return path
        try:
            relative = os.path.relpath(path)
        except FileNotFoundError:  # the directory was removed while we ran
            return path
        return path if relative.startswith("..") else relative

    def _tell_end(self, report: str) -> None:
        """To the record of the run first: who hears of the end may look for it."""
        has_failed = self._supervisor.has_failed
        state = runner_daemon.FAILED if has_failed else runner_daemon.FINISHED
        last = replace(self._roster.describe(), state=state)
        params = self._supervisor.params.all()
        ended = runner_daemon.Ended(1 if has_failed else 0, report, time.time_ns(), last, params=params)
        if self._options.background is not None:
            self._options.background.on_ended(ended)
        self._desk.end(ended)
        self._admin_server.close()
        self._admin.close()
