"""Starts node processes: everything that must happen before the first node runs, and again at each restart.

Strategy: the nodes' own imports take longer than anything else in a short run, so this module imports little and
the loop (`runner.py`, with msgspec and the log files) is imported after the nodes were spawned.  All commands are
looked up before any node is spawned: a path that does not exist starts nothing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from dora.dataflow.descriptor import Dataflow, Node
from dora.dataflow.programs import check_sources
from dora.errors import DescriptorError, ResourceError
from dora.runner.built import Built
from dora.runner.interpreter import command_for, environment_for, is_python_file
from dora.runner.processes import Processes, SpawnRequest
from dora.runner.stated_python import located
from dora.transport import control, rendezvous


class OutputFds(NamedTuple):
    """Read ends of a process's stdout and stderr."""

    stdout: int
    stderr: int


class _Prepared(NamedTuple):
    node: Node
    argv: tuple[str, ...]
    shown: str


class Launcher:
    """Spawns the nodes of one run.

    Attributes:
        dataflow_id: of this run.
        tokens: by which a process proves to be the node.
        listener: where the nodes connect.
        commands: what is run, as a user would type it, by node.
        dataflow: as it was at the start.
        on_output: takes the read ends of every spawned process; until it is set they wait in `waiting_output`.
    """

    def __init__(
        self,
        dataflow: Dataflow,
        dataflow_id: str,
        processes: Processes,
        runtime_dir: str,
        *,
        built: Built,
        environ: Mapping[str, str],
    ) -> None:
        """Look up every command.

        Raises:
            DescriptorError: one problem per node that cannot be started.
        """
        self.dataflow_id: Final = dataflow_id
        self.dataflow: Final = dataflow
        self.processes: Final = processes
        self._socket_path = os.path.join(runtime_dir, rendezvous.SOCKET_NAME)
        self._built = built
        self._environ = environ
        self._nodes = {str(node.id): node for node in dataflow.nodes if not node.is_dynamic}
        self._dynamic = [str(node.id) for node in dataflow.nodes if node.is_dynamic]
        self._prepared: dict[str, _Prepared] = {}
        self._former: dict[str, _Prepared] = {}
        self._argv: dict[str, tuple[str, ...]] = {}
        self.commands: dict[str, str] = {}
        self._look_up()
        self.tokens: Final = {str(node.id): os.urandom(16).hex() for node in dataflow.nodes}
        self.listener: Final = control.listen(self._socket_path)
        self._leave_card()
        self.on_output: Callable[[str, OutputFds], None] | None = None
        self.waiting_output: list[tuple[str, OutputFds]] = []

    def _leave_card(self) -> None:
        """From now on dynamic nodes find this run."""
        dynamic = {name: self.tokens[name] for name in self._dynamic}
        card = rendezvous.Card(
            self._socket_path, self.dataflow_id, os.path.abspath(self.dataflow.file), dynamic, static=list(self._nodes)
        )
        rendezvous.leave_card(card)

    def variable(self, node: Node, name: str) -> str:
        """An environment variable as the node's process sees it; empty if it is not set."""
        return node.env.get(name, self._environ.get(name, ""))

    def spawn_all(self) -> None:
        """Ask for the first run of every node."""
        for name in self._nodes:
            self.spawn(name)

    def spawn(self, name: str) -> None:
        """Ask the minder for the process of a node; its report follows."""
        node = self._nodes[name]
        config = {"socket": self._socket_path, "node": name, "token": self.tokens[name]}
        env = environment_for(
            node,
            self._folder(node),
            config=json.dumps(config),
            managed_env=self._built.managed_envs.get(name),
            environ=self._environ,
        )
        reads: list[int] = []
        writes: list[int] = []
        try:
            for _ in range(2):
                read_end, write_end = os.pipe2(os.O_CLOEXEC)
                os.set_blocking(read_end, False)
                reads.append(read_end)
                writes.append(write_end)
            request = SpawnRequest(
                name, self._argv[name], env, str(self._folder(node)), writes[0], writes[1], node.cpu_affinity
            )
            self.processes.spawn(request)
        except (OSError, ResourceError) as error:
            control.close_all(reads)
            if isinstance(error, ResourceError):
                raise
            raise ResourceError(f"cannot start node `{name}`: {error.strerror} (limit: `ulimit -n`)") from error
        finally:
            control.close_all(writes)
        self._hand_over(name, OutputFds(reads[0], reads[1]))

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment that every node's own comes on top of."""
        return self._environ

    def prepare(self, node: Node) -> None:
        """Look up the command of a node that is to be added, or to take the place of one.

        Raises:
            DescriptorError: it cannot be started.
        """
        try:
            argv, shown = ((), "") if node.is_dynamic else self._command(node)
        except DescriptorError as error:
            raise DescriptorError(self._explain(node, error)) from None
        self._prepared[str(node.id)] = _Prepared(node, argv, shown)

    def admit(self, name: str) -> None:
        """From now on the node of that name is the one that was prepared; without one, the one before the present."""
        former = _Prepared(self._nodes[name], self._argv[name], self.commands[name]) if name in self._nodes else None
        prepared = self._prepared.pop(name) if name in self._prepared else self._former[name]
        node, argv, shown = prepared
        self.forget(name)
        if former is not None:
            self._former[name] = former
        self.tokens[name] = os.urandom(16).hex()
        if node.is_dynamic:
            self._dynamic.append(name)
        else:
            self._nodes[name] = node
            self._argv[name] = argv
            self.commands[name] = shown
        self._leave_card()

    def forget(self, name: str) -> None:
        """That node is no more."""
        for book in (self._nodes, self._argv, self.commands, self.tokens, self._former):
            book.pop(name, None)
        if name in self._dynamic:
            self._dynamic.remove(name)
        self._leave_card()

    def interpreter(self, name: str) -> str | None:
        """The Python that runs the node, if it is a Python file."""
        node = self._nodes.get(name)
        is_python = node is not None and is_python_file(node) and node.conda_env is None
        return self._argv[name][0] if is_python else None

    def _hand_over(self, name: str, fds: OutputFds) -> None:
        if self.on_output is None:
            self.waiting_output.append((name, fds))
        else:
            self.on_output(name, fds)

    def _look_up(self) -> None:
        problems: list[str] = []
        for name, node in self._nodes.items():
            try:
                self._argv[name], self.commands[name] = self._command(node)
            except DescriptorError as error:
                problems += self._explain(node, error)
        if problems:
            raise DescriptorError(problems)

    def _explain(self, node: Node, error: DescriptorError) -> list[str]:
        """Why its program cannot be found, with the place of its `path` and similar names where that is the reason."""
        missing = check_sources(self.dataflow._replace(nodes=(node,)), self._environ)
        return missing or [located(problem, node.file or self.dataflow.file) for problem in error.problems]

    def _command(self, node: Node) -> tuple[tuple[str, ...], str]:
        managed_env = self._built.managed_envs.get(str(node.id))
        return command_for(node, self._folder(node), managed_env=managed_env, environ=self._environ)

    def _folder(self, node: Node) -> Path:
        """Where a node's relative paths start, and its process."""
        return self._built.working_dirs.get(str(node.id), self.dataflow.working_dir)
