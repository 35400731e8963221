"""Dataflows made in Python instead of YAML: nodes, inputs and outputs as objects, then a file, a run or a picture.

    builder = DataflowBuilder()
    camera = builder.add_node("camera", path="camera.py").add_input("tick", "dora/timer/hz/30")
    plot = builder.add_node("plot", path="plot.py")
    plot.add_input("image", camera.add_output("image"), queue_size=1)
    plot.set(restart_policy="on-failure", max_restarts=3)
    builder.run(stop_after=10)

Strategy: a builder holds the mappings that will stand in the file, and nothing else; what a key means, and whether the
dataflow is right, is decided where files are read (`dora.dataflow`).  `set` looks its keys up in the same tables, so a
mistyped one is refused at once; `add_node` takes any key, as dora-rs does, and `check` and `run` speak of it.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import yaml

from dora import commands
from dora.dataflow.descriptor import BACKPRESSURE, DROP_OLDEST
from dora.dataflow.graph import Graph, graph_of
from dora.dataflow.load import load_dataflow
from dora.dataflow.schema import NODE_FIELDS, OPERATOR_FIELDS, ROOT_FIELDS
from dora.errors import DescriptorError
from dora.hints import did_you_mean

__all__ = ["DataflowBuilder", "Node", "Operator", "Output"]

_POLICIES: Final = (BACKPRESSURE, DROP_OLDEST)
_NODE_KEYS: Final = frozenset(NODE_FIELDS) - {"id", "operator", "operators"}
_ROOT_KEYS: Final = frozenset(ROOT_FIELDS) - {"nodes"}
_OPERATOR_KEYS: Final = frozenset(OPERATOR_FIELDS) - {"id"}
_SCALARS: Final[dict[type, Any]] = {int: int.__int__, float: float.__float__, str: str.__str__}
"""subclasses, such as those of numpy, as the plain value they stand for"""
_PLACE: Final = re.compile(r":[0-9]+:[0-9]+: ")
_FILE_CHARACTERS: Final = re.compile(r"[^A-Za-z0-9_.-]")


class DataflowBuilder:
    """A dataflow in the making.

    Attributes:
        name: for people; not written to the file.
        nodes: in the order in which they were added.
        config: keys of the file beside `nodes`.
    """

    def __init__(self, name: str = "dora-dataflow") -> None:
        self.name = name
        self.nodes: list[Node] = []
        self.config: dict[str, Any] = {}

    def add_node(self, id: str, **kwargs: Any) -> Node:
        """Add a node; `kwargs` are keys of the node as in the file, such as `path="camera.py"`."""
        node = Node(id, **kwargs)
        self.nodes.append(node)
        return node

    def set(self, **keys: Any) -> DataflowBuilder:
        """Set keys of the whole dataflow, such as `env={"SPEED": "2"}`; None takes a key away.

        Raises:
            ValueError: there is no such key.
        """
        _set(self.config, keys, _ROOT_KEYS, "a dataflow")
        return self

    def to_dict(self) -> dict[str, Any]:
        """The whole file as plain dicts and lists."""
        plain = {key: _plain(value, f"key {key!r}") for key, value in self.config.items()}
        return {**plain, "nodes": [node.to_dict() for node in self.nodes]}

    def to_yaml(self, path: str | os.PathLike[str] | None = None) -> str | None:
        """The file as text; with a path it is written there, and None returned."""
        text = yaml.safe_dump(self.to_dict(), allow_unicode=True)
        if path is None:
            return str(text)
        Path(path).write_text(text, encoding="utf-8")
        return None

    def check(self) -> list[str]:
        """Look for mistakes without running anything; returns warnings, one line each.

        Raises:
            RuntimeError: something is wrong; the text has one line for each problem.
        """
        with tempfile.TemporaryDirectory(prefix="dora-builder-") as folder:
            file = Path(folder) / "dataflow.yml"
            self.to_yaml(file)
            try:
                return [_without_place(line, file) for line in load_dataflow(file).warnings]
            except DescriptorError as error:
                problems = "\n".join(_without_place(line, file) for line in error.problems)
                raise RuntimeError(f"Dataflow could not be validated.\n{problems}") from None

    def run(self, uv: bool | None = None, stop_after: float | None = None) -> None:
        """Run the dataflow to its end, like `dora.run`; relative paths start at the current folder.

        Args:
            uv: nodes with a `build` get a Python environment of their own.
            stop_after: stop after so many seconds.

        Raises:
            RuntimeError: something is wrong, a build failed, or a node did.
        """
        self.check()
        prefix = f".{_FILE_CHARACTERS.sub('_', self.name)}-"
        # in the current folder, because relative paths start where the file is; hidden, and gone after the run
        handle, file = tempfile.mkstemp(prefix=prefix, suffix=".yml", dir=os.getcwd())
        os.close(handle)
        try:
            self.to_yaml(file)
            commands.run(file, uv=uv, stop_after=stop_after)
        finally:
            os.unlink(file)

    def graph(self) -> Graph:
        """The picture of the dataflow: shown inline in Jupyter, `str()` is Mermaid text, `svg()` and `page()` files."""
        return graph_of(self.to_dict())

    def __enter__(self) -> DataflowBuilder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing has to be given back."""


class Node:
    """One node; all methods but `add_output` return the node, so that they can be chained.

    Attributes:
        id: its name in the dataflow.
        config: its keys as they will stand in the file.
        operators: what runs in its process, if it is a runtime node.
    """

    def __init__(self, id: str, **kwargs: Any) -> None:
        self.id = id
        self.config: dict[str, Any] = {**kwargs, "id": id}
        self.operators: list[Operator] = []

    def path(self, path: str | os.PathLike[str]) -> Node:
        """The script or program, relative to the file; or `dynamic`, or `dora/timer/<unit>/<value>`."""
        self.config["path"] = os.fspath(path)
        return self

    def args(self, args: str) -> Node:
        """Arguments of the program, split like a POSIX shell."""
        self.config["args"] = args
        return self

    def env(self, env: Mapping[str, Any]) -> Node:
        """Environment variables; replaces those of an earlier call."""
        self.config["env"] = dict(env)
        return self

    def build(self, build_command: str) -> Node:
        """Commands that prepare the node, one a line."""
        self.config["build"] = build_command
        return self

    def git(self, url: str, branch: str | None = None, tag: str | None = None, rev: str | None = None) -> Node:
        """The repository that holds the node, and at most one of branch, tag and commit."""
        stated = {"branch": branch, "tag": tag, "rev": rev}
        self.config |= {"git": url, **{key: value for key, value in stated.items() if value}}
        return self

    def set(self, **keys: Any) -> Node:
        """Set any key that a node has in the file, such as `restart_policy="on-failure"`; None takes a key away.

        Raises:
            ValueError: there is no such key.
        """
        _set(self.config, keys, _NODE_KEYS, "a node")
        return self

    def add_operator(self, operator: Operator) -> Node:
        """Let the operator run in this node's process; the node then has no `path`."""
        if not isinstance(operator, Operator):
            raise TypeError(f"operator must be an Operator, not {type(operator).__name__}")
        operator.node = self
        self.operators.append(operator)
        return self

    def add_input(
        self,
        input_id: str,
        source: str | Output,
        queue_size: int | None = None,
        queue_policy: str | None = None,
        input_timeout: float | None = None,
    ) -> Node:
        """Add an input.

        Args:
            source: an `Output`, or text: `node/output`, `dora/timer/<unit>/<value>`, `dora/logs`.
            queue_size: messages that are kept while the node is busy; 10 if nothing is stated.
            queue_policy: `drop_oldest`, or `backpressure`: the sender waits and nothing is lost.
            input_timeout: seconds of silence after which the input counts as closed until data comes.

        Raises:
            ValueError: an option is out of range.
        """
        _add_input(self.config, input_id, source, _options(queue_size, queue_policy, input_timeout))
        return self

    def add_output(self, output_id: str) -> Output:
        """Add an output (once) and return it, to be the source of inputs."""
        return _add_output(self, self.config, output_id)

    def to_dict(self) -> dict[str, Any]:
        """The node as it will stand in the file."""
        config = {key: _plain(value, f"node {self.id!r}, key {key!r}") for key, value in self.config.items()}
        if self.operators:
            config["operators"] = [operator.to_dict() for operator in self.operators]
        return config


class Operator:
    """A class with `on_event` that runs in the process of a node, to be added with `Node.add_operator`.

    Args:
        id: its name in the node; others read its outputs as `node/id/output`.
        python: the file with the class `Operator`.
        send_stdout_as: output that carries what it prints.

    Attributes:
        config: its keys as they will stand in the file.
        node: where it runs, once it was added.
    """

    def __init__(  # noqa: PLR0913  # the signature of dora-rs
        self,
        id: str,
        name: str | None = None,
        description: str | None = None,
        build: str | None = None,
        python: str | os.PathLike[str] | None = None,
        shared_library: str | None = None,
        send_stdout_as: str | None = None,
    ) -> None:
        self.id = id
        self.node: Node | None = None
        stated = {
            "id": id,
            "name": name,
            "description": description,
            "build": build,
            "python": python,
            "shared-library": shared_library,
            "send_stdout_as": send_stdout_as,
        }
        self.config: dict[str, Any] = {key: value for key, value in stated.items() if value}

    def set(self, **keys: Any) -> Operator:
        """Set any key that an operator has in the file, such as `min_log_level="info"`; None takes a key away.

        Raises:
            ValueError: there is no such key.
        """
        named = {key.replace("shared_library", "shared-library"): value for key, value in keys.items()}
        _set(self.config, named, _OPERATOR_KEYS, "an operator")
        return self

    def add_input(
        self, input_id: str, source: str | Output, queue_size: int | None = None, queue_policy: str | None = None
    ) -> Operator:
        """Add an input; see `Node.add_input`."""
        _add_input(self.config, input_id, source, _options(queue_size, queue_policy, None))
        return self

    def add_output(self, output_id: str) -> Output:
        """Add an output (once) and return it, to be the source of inputs."""
        return _add_output(self, self.config, output_id)

    def to_dict(self) -> dict[str, Any]:
        """The operator as it will stand in the file."""
        return {key: _plain(value, f"operator {self.id!r}, key {key!r}") for key, value in self.config.items()}


class Output:
    """An output of a node or operator; as text `node/output`, what stands in the file as a source."""

    def __init__(self, node: Node | Operator, output_id: str) -> None:
        self.node = node
        self.output_id = output_id

    def __str__(self) -> str:
        owner = self.node
        if isinstance(owner, Node):
            return f"{owner.id}/{self.output_id}"
        if owner.node is None:
            raise ValueError(
                f"operator {owner.id!r} is not part of a node yet, so its output {self.output_id!r} has no name: "
                "expected Node.add_operator(operator) first"
            )
        return f"{owner.node.id}/{owner.id}/{self.output_id}"

    def __repr__(self) -> str:
        return f"<Output {self.output_id!r} of {type(self.node).__name__.lower()} {self.node.id!r}>"


def _set(config: dict[str, Any], keys: Mapping[str, Any], known: Collection[str], what: str) -> None:
    for key in keys:
        if key not in known:
            hint = did_you_mean(key, known, "'") or f"it has: {', '.join(sorted(known))}"
            raise ValueError(f"{what} has no key {key!r}; {hint}")
    for key, value in keys.items():
        config.pop(key, None)
        if value is not None:
            config[key] = value


def _options(queue_size: int | None, queue_policy: str | None, input_timeout: float | None) -> dict[str, Any]:
    if queue_size is not None:
        if isinstance(queue_size, bool) or not isinstance(queue_size, int):
            raise TypeError(f"queue_size must be an int >= 1, not {type(queue_size).__name__}")
        if queue_size < 1:
            raise ValueError(f"queue_size must be >= 1, got {queue_size}")
    if queue_policy is not None and queue_policy not in _POLICIES:
        raise ValueError(f"queue_policy must be one of {', '.join(_POLICIES)}, got {queue_policy!r}")
    if input_timeout is not None:
        if isinstance(input_timeout, bool) or not isinstance(input_timeout, (int, float)):
            raise TypeError(f"input_timeout must be a number of seconds, not {type(input_timeout).__name__}")
        if not 0 <= input_timeout < float("inf"):
            raise ValueError(f"input_timeout must be a finite number of seconds, 0 or more, got {input_timeout}")
    stated = {"queue_size": queue_size, "queue_policy": queue_policy, "input_timeout": input_timeout}
    return {key: value for key, value in stated.items() if value is not None}


def _add_input(config: dict[str, Any], input_id: str, source: str | Output, options: dict[str, Any]) -> None:
    if not isinstance(source, (str, Output)):
        raise TypeError(f"source must be an Output or text such as 'node/output', not {type(source).__name__}")
    inputs = config.setdefault("inputs", {})
    inputs[input_id] = {"source": str(source), **options} if options else str(source)


def _add_output(owner: Node | Operator, config: dict[str, Any], output_id: str) -> Output:
    outputs = config.setdefault("outputs", [])
    if output_id not in outputs:
        outputs.append(output_id)
    return Output(owner, output_id)


def _plain(value: Any, where: str) -> Any:
    """A value as it can stand in YAML: copied, so that nothing is written as an anchor."""
    if value is None or isinstance(value, bool):
        return value
    for kind, plain in _SCALARS.items():
        if isinstance(value, kind):
            return plain(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(entry, where) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(entry, where) for entry in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Output):
        return str(value)
    raise TypeError(
        f"{where}: a {type(value).__name__} cannot stand in a dataflow file "
        "(expected text, numbers, truth values, None, paths, outputs, lists and dicts of those)"
    )


def _without_place(line: str, file: Path) -> str:
    """A problem without the place in a file that the user never sees."""
    rest = line.removeprefix(str(file))
    found = _PLACE.match(rest)
    return rest[found.end() :] if found else rest
