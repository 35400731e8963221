"""Single nodes: every field with its default, its limits and its messages."""

from __future__ import annotations

from typing import Any

import pytest

from dataflow.conftest import Load, Problems
from dora.dataflow.descriptor import (
    Deploy,
    Input,
    LogSettings,
    LogsSource,
    Node,
    OutputSource,
    RestartPolicy,
    TimerSource,
)


def node_of(load: Load, fields: str, **options: Any) -> Node:
    """The node `a` with these fields, as flow mapping entries."""
    return load(f"nodes: [{{id: a, path: a.py, {fields}}}]", **options).nodes[0]


def test_node_that_states_nothing_has_the_defaults(load: Load) -> None:
    (node,) = load("nodes:\n  - id: a\n    path: a.py").nodes
    assert node == Node(id="a", path="a.py", line=2, column=5, path_line=3, path_column=11)


FIELDS: list[tuple[str, str, object]] = [
    ("name: Camera 1", "name", "Camera 1"),
    ("description: null", "description", None),
    ("build: 'pip install x'", "build", "pip install x"),
    ("args: 5", "args", ("5",)),
    ("args: '--a ''x y'' \"$HOME\" b\\ c'", "args", ("--a", "x y", "$HOME", "b c")),
    ("args: ''", "args", ()),
    ("outputs: [x, y/z, 5]", "outputs", ("x", "y/z", "5")),
    ("outputs: null", "outputs", ()),
    ("inputs: null", "inputs", {}),
    ("outputs: [x, x]", "outputs", ("x",)),
    ("outputs: [x], send_stdout_as: lines, send_logs_as: x", "outputs", ("x", "lines")),
    ("outputs: [x], output_types: {x: std/core/v1/Int64}", "output_types", {"x": "std/core/v1/Int64"}),
    ("input_types: {i: std/core/v1/Int64}", "input_types", {"i": "std/core/v1/Int64"}),
    ("outputs: [x], output_framing: {x: arrow-ipc}", "output_framing", {"x": "arrow-ipc"}),
    ("outputs: [x], output_metadata: {x: [k, l]}", "output_metadata", {"x": ("k", "l")}),
    ("pattern: service-server", "pattern", "service-server"),
    ("shared_memory_pool_size: 64MB", "name", None),
    (
        "restart_policy: on-failure, max_restarts: 3, restart_delay: 0.5, max_restart_delay: 4, restart_window: 60",
        "restart",
        RestartPolicy("on-failure", 3, 0.5, 4.0, 60.0),
    ),
    ("health_check_timeout: 1.5", "health_check_timeout_s", 1.5),
    ("startup_timeout: 0", "startup_timeout_s", 0.0),
    ("finish_grace_secs: 5", "finish_grace_s", 5.0),
    ("cpu_affinity: [0, 3]", "cpu_affinity", (0, 3)),
    ("cpu_affinity: []", "cpu_affinity", ()),
    (
        "send_stdout_as: o, min_log_level: WARN, max_log_size: 10KB, max_rotated_files: 0",
        "log",
        LogSettings("o", None, "warn", 10240, 0),
    ),
    (
        "deploy: {machine: m, labels: {gpu: true}, working_dir: w, distribute: scp}",
        "deploy",
        Deploy("m", {"gpu": "true"}, "w", "scp"),
    ),
]


@pytest.mark.parametrize(("fields", "attribute", "value"), FIELDS)
def test_field_is_read(load: Load, fields: str, attribute: str, value: object) -> None:
    assert getattr(node_of(load, fields), attribute) == value


INPUTS = [
    ("a/o", Input("i", OutputSource("a", "o"))),
    ("a/x/y", Input("i", OutputSource("a", "x/y"))),
    ("dora/timer/hz/5", Input("i", TimerSource(200_000_000, "dora/timer/millis/200"))),
    ("dora/logs", Input("i", LogsSource(None, None))),
    ("dora/logs/INFO", Input("i", LogsSource("info", None))),
    ("dora/logs/stdout/a", Input("i", LogsSource("stdout", "a"))),
    ("{source: a/o}", Input("i", OutputSource("a", "o"))),
    ("{source: a/o, queue_size: 3}", Input("i", OutputSource("a", "o"), 3, is_stated=True)),
    ("{source: a/o, queue_size: 0}", Input("i", OutputSource("a", "o"), 1, is_stated=True)),
    ("{source: a/o, queue_policy: backpressure}", Input("i", OutputSource("a", "o"), 10, "backpressure", True)),
    ("{source: a/o, queue_policy: drop_oldest}", Input("i", OutputSource("a", "o"), 10, "drop_oldest", True)),
    ("{source: a/o, input_timeout: 0.5}", Input("i", OutputSource("a", "o"), input_timeout_s=0.5)),
]


@pytest.mark.parametrize(("written", "expected"), INPUTS)
def test_input_is_read(load: Load, written: str, expected: Input) -> None:
    assert node_of(load, f"outputs: [o, x/y], inputs: {{i: {written}}}").inputs == {"i": expected}


SIZES = [
    ("0", 0),
    ("1000", 1000),
    ("5B", 5),
    ("1.5kb", 1536),
    ("2K", 2048),
    ("1MB", 2**20),
    ("2 M", 2**21),
    ("1GB", 2**30),
]


@pytest.mark.parametrize(("written", "size"), SIZES)
def test_size_takes_binary_units(load: Load, written: str, size: int) -> None:
    assert node_of(load, f"max_log_size: {written}").log.max_log_size_bytes == size


A_SIZE = "expected a size in bytes or with a unit, such as 64MB (B, KB, MB, GB), found"
SECONDS = "expected a number of seconds, 0 or more, found"
LEVELS = "stdout, trace, debug, info, warn, error"
SOURCE = "expected <node>/<output>, dora/timer/<unit>/<value> or dora/logs, found"
WRONG = [
    ("outputs: o", "'outputs': expected a list of output ids, found the text 'o'; write it as a list: [o]"),
    ("outputs: {o: 1}", "'outputs': expected a list of output ids, found a mapping"),
    ("outputs: [{o: 1}]", "'outputs': expected a text, found a mapping"),
    ("outputs: [/o]", "'outputs': '/o' cannot be an output id: identifier must not start or end with '/'"),
    ("send_stdout_as: 'a b'", "'send_stdout_as': 'a b' cannot be an output id: identifier contains invalid character"),
    ("args: [x]", "'args': expected a text, found a list"),
    ('args: "it\'s"', "'args' cannot be split: no closing quotation"),
    ('name: "x\\0"', "'name': expected a text without NUL characters, found 'x\\x00'"),
    (
        "restart_policy: on_failure",
        "expected one of never, on-failure, always, found the text 'on_failure'; did you mean 'on-failure'?",
    ),
    ("restart_policy: 5", "'restart_policy': expected one of never, on-failure, always, found 5"),
    ("restart_policy: []", "'restart_policy': expected one of never, on-failure, always, found a list"),
    ("max_restarts: -1", "'max_restarts': expected a whole number, 0 or more, found -1"),
    ("max_restarts: 2.0", "'max_restarts': expected a whole number, 0 or more, found 2.0"),
    ("max_restarts: '2'", "'max_restarts': expected a whole number, 0 or more, found the text '2'; remove the quotes"),
    ("max_restarts: true", "'max_restarts': expected a whole number, 0 or more, found true"),
    ("max_restarts: 4294967296", "'max_restarts': expected a whole number, 0 or more, found 4294967296"),
    ("restart_delay: -1", f"'restart_delay': {SECONDS} -1"),
    ("restart_delay: .inf", f"'restart_delay': {SECONDS} .inf"),
    ("restart_delay: .nan", f"'restart_delay': {SECONDS} .nan"),
    ("restart_delay: soon", f"'restart_delay': {SECONDS} the text 'soon'"),
    ("health_check_timeout: []", f"'health_check_timeout': {SECONDS} a list"),
    ("cpu_affinity: 1", "'cpu_affinity': expected a list of CPU numbers, found 1; write it as a list: [1]"),
    ("cpu_affinity: [-1]", "'cpu_affinity': expected a whole number, 0 or more, found -1"),
    (
        "min_log_level: warning",
        f"'min_log_level': expected one of {LEVELS}, found the text 'warning'; did you mean 'warn'?",
    ),
    ("max_log_size: 5XB", f"'max_log_size': {A_SIZE} the text '5XB'"),
    ("max_log_size: -5", f"'max_log_size': {A_SIZE} -5"),
    ("max_log_size: " + "9" * 39, f"'max_log_size': {A_SIZE} "),
    ("max_log_size: 99999999999G", f"'max_log_size': {A_SIZE} "),
    ("max_log_size: []", f"'max_log_size': {A_SIZE} a list"),
    ("max_rotated_files: 101", "'max_rotated_files': expected a whole number from 0 to 100, found 101"),
    ("output_framing: {o: json}", "'output_framing': 'o': expected one of raw, arrow-ipc, found the text 'json'"),
    ("output_types: [o]", "'output_types': expected a mapping from output to type, found a list"),
    (
        "deploy: here",
        "'deploy': expected a mapping with machine, labels, working_dir or distribute, found the text 'here'",
    ),
    ("deploy: {distribute: ftp}", "'deploy': 'distribute': expected one of local, scp, http, found the text 'ftp'"),
    (
        "inputs: [x]",
        "'inputs': expected a mapping from input id to source, found a list; write each as `input_id: node/output`",
    ),
    ("inputs: {i: null}", "input 'i': expected <node>/<output> or a mapping with 'source', found nothing"),
    ("inputs: {i: [x]}", "input 'i': expected <node>/<output> or a mapping with 'source', found a list"),
    ("inputs: {i: sender}", f"input 'i': {SOURCE} 'sender' without '/'"),
    ("inputs: {i: 5}", f"input 'i': {SOURCE} '5' without '/'"),
    ('inputs: {i: "x\\0"}', "input 'i': expected a text without NUL characters"),
    ("inputs: {i: a/}", f"input 'i': {SOURCE} 'a/': identifier must not be empty"),
    ("inputs: {i: a b/c}", f"input 'i': {SOURCE} 'a b/c': identifier contains invalid character ' '"),
    ("inputs: {'i i': a/o}", "input 'i i' cannot be an input id: identifier contains invalid character ' '"),
    (
        "inputs: {i: dora/timer/foo/1}",
        "input 'i': a timer has one of the units secs, millis, micros, nanos, hz, found 'foo'",
    ),
    ("inputs: {i: dora/tmer/hz/1}", f"input 'i': {SOURCE} 'dora/tmer/hz/1'; did you mean 'timer'?"),
    (
        "inputs: {i: dora/logs/infos}",
        f"input 'i': expected one of the levels {LEVELS}, found 'infos'; did you mean 'info'?",
    ),
    (
        "inputs: {i: dora/logs/info/a/b}",
        "input 'i': expected dora/logs, dora/logs/<level> or dora/logs/<level>/<node>, found",
    ),
    ("inputs: {i: dora/logs/info/b}", "input 'i': there is no node 'b'; nodes: a"),
    (
        "inputs: {i: {queue_size: 1}}",
        "input 'i': expected a text as 'source', found none; add `source: <node>/<output>`",
    ),
    (
        "inputs: {i: {source: a/o, queue_size: -1}}",
        "input 'i': 'queue_size': expected a whole number, 0 or more, found -1",
    ),
    (
        "inputs: {i: {source: a/o, queue_policy: block}}",
        "'queue_policy': expected one of drop_oldest, backpressure, found the text 'block'",
    ),
    ("inputs: {i: {source: a/o, input_timeout: .nan}}", f"input 'i': 'input_timeout': {SECONDS} .nan"),
    ("params: {x: 1}", "'params' needs 'module'"),
    ("path_sha256: abc", "'path_sha256': expected 64 hex digits"),
    ("path_sha256: " + "a" * 64, "'path_sha256' needs a URL as 'path'"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_wrong_field_is_explained(problems: Problems, fields: str, message: str) -> None:
    (found,) = problems(
        f"nodes:\n - id: a\n   path: a.py\n   outputs: [o]\n   {fields}".replace("outputs: [o]\n   outputs", "outputs")
    )
    assert f": node 'a': {message}" in found or message in found.partition(": node 'a': ")[2]


IDS = [
    ("''", "'' cannot be a node id: identifier must not be empty"),
    ("a b", "'a b' cannot be a node id: identifier contains invalid character ' '"),
    (".a", "'.a' cannot be a node id: identifier must not start with '.'"),
    ("dora", "'dora' cannot be a node id: the name 'dora' is reserved"),
    ("a/b", "'a/b' cannot be a node id: identifier contains invalid character '/'"),
    ("null", "nodes[0]: expected a text as 'id', found none; add `id: <name>`"),
    ("[x]", "nodes[0]: 'id': expected a text, found a list"),
]


@pytest.mark.parametrize(("written", "message"), IDS)
def test_wrong_node_id_is_explained(problems: Problems, written: str, message: str) -> None:
    (found,) = problems(f"nodes: [{{id: {written}, path: a.py}}]")
    assert message in found


@pytest.mark.parametrize(("written", "node_id"), [("5", "5"), ("007", "007"), ("true", "true"), ("A_b.c-1", "A_b.c-1")])
def test_node_id_is_the_text_of_the_file(load: Load, written: str, node_id: str) -> None:
    assert load(f"nodes: [{{id: {written}, path: a.py}}]").nodes[0].id == node_id


KINDS = [
    (
        "id: a",
        "2:2: node 'a': expected one of path, operator, operators, module, ros2, hub, found none; add `path: <script>`",
    ),
    ("id: a, path: null", "node 'a': expected one of path, operator, operators, module, ros2, hub, found none"),
    (
        "id: a, path: x, module: y",
        "2:19: node 'a': expected one of path, operator, operators, module, ros2, hub, found path and module",
    ),
    ("id: a, path: [x]", "2:16: node 'a': 'path': expected a text, found a list"),
    ("id: a, path: ''", "2:16: node 'a': expected a script or program in 'path', found an empty text"),
    (
        "id: a, path: dora/tmer/hz/1",
        "2:16: node 'a': nothing built in is named 'dora/tmer/hz/1'; built in: dora/timer/...",
    ),
    ("id: a, path: shell", "2:2: node 'a': expected the command line in 'args', found none"),
    (
        "id: a, path: dynamic, startup_timeout: 5",
        "2:25: node 'a': 'startup_timeout' cannot be on a dynamic node; remove it",
    ),
]


@pytest.mark.parametrize(("fields", "message"), KINDS)
def test_unclear_kind_of_node_is_one_problem(problems: Problems, fields: str, message: str) -> None:
    (found,) = problems(f"nodes: [\n {{{fields}}}]")
    assert message in found


def test_nothing_is_said_about_the_outputs_of_a_node_of_unclear_kind(problems: Problems) -> None:
    text = "nodes: [{id: a, path: a.py, module: m.yml}, {id: b, path: b.py, inputs: {i: a/x}}]"
    (found,) = problems(text)
    assert "found path and module" in found


def test_entry_that_is_no_mapping_is_a_problem(problems: Problems) -> None:
    assert problems("nodes: [x]") == ["1:9: nodes[0]: expected a mapping with id and path, found the text 'x'"]


WARNED = [
    ("output: [x]", "unknown key 'output' is ignored; did you mean 'outputs'?"),
    ("colour: red", "unknown key 'colour' is ignored; has: args, branch, build, "),
    ("outputs: [x, x]", "output 'x' is listed twice"),
    (
        "inputs: {i: {source: dora/timer/secs/1, queue_sise: 1}}",
        "input 'i': unknown key 'queue_sise' is ignored; did you mean 'queue_size'?",
    ),
    (
        "inputs: {i: {source: dora/timer/secs/1, input_timeout: 1}}",
        "input 'i': 'input_timeout' has no effect here: timers and logs never close",
    ),
    (
        "inputs: {i: {source: dora/timer/secs/1, queue_policy: backpressure}}",
        "input 'i': 'backpressure' has no effect here: missed ticks are skipped",
    ),
    (
        "inputs: {i: {source: dora/logs, queue_policy: backpressure}}",
        "input 'i': 'backpressure' has no effect here: a node does not wait to print",
    ),
    (
        "send_stdout_as: o, inputs: {i: {source: a/o, queue_policy: backpressure}}",
        "'backpressure' has no effect here: a node does not wait to print",
    ),
    ("max_restarts: 3", "'max_restarts' has no effect without a 'restart_policy'; add `restart_policy: on-failure`"),
    ("output_types: {x: std/core/v1/Bool}", "'output_types' names 'x', which is no output of this node"),
    (
        "outputs: [image], output_metadata: {imgae: [k]}",
        "'output_metadata' names 'imgae', which is no output of this node; did you mean 'image'?",
    ),
    (
        "pattern: server",
        "'pattern': expected one of service-server, service-client, action-server, action-client, found 'server'",
    ),
    ("deploy: {machin: x}", "'deploy': unknown key 'machin' is ignored; did you mean 'machine'?"),
]


@pytest.mark.parametrize(("fields", "message"), WARNED)
def test_odd_field_is_warned_about(warnings: Problems, fields: str, message: str) -> None:
    (found,) = warnings(f"nodes: [{{id: a, path: a.py, {fields}}}]")
    assert message in found


def test_input_that_cannot_make_its_sender_wait_drops_the_oldest(load: Load) -> None:
    node = node_of(load, "inputs: {i: {source: dora/logs, queue_policy: backpressure}}")
    assert (node.inputs["i"].queue_policy, node.inputs["i"].is_stated) == ("drop_oldest", True)


@pytest.mark.parametrize("field", ["args: x", "build: x", "env: {A: 1}", "restart_policy: always", "cpu_affinity: [0]"])
def test_field_without_effect_on_a_dynamic_node_is_warned_about(warnings: Problems, field: str) -> None:
    (found,) = warnings(f"nodes: [{{id: a, path: dynamic, {field}}}]")
    assert f"'{field.partition(':')[0]}' has no effect on a dynamic node: you start its process" in found


def test_shell_node_keeps_its_command_line_as_it_is(load: Load) -> None:
    (node,) = load('nodes: [{id: a, path: shell, args: "echo it\'s | cat"}]').nodes
    assert node.args == ("echo it's | cat",)


@pytest.mark.parametrize(
    ("path", "expected"), [("$HOME/x", "/h/x"), ("${HOME}/x", "/h/x"), ("$HOMES/$X", "$HOMES/$X"), ("$USER", "$USER")]
)
def test_few_variables_are_replaced_in_a_path(load: Load, path: str, expected: str) -> None:
    (node,) = load(f"nodes: [{{id: a, path: '{path}'}}]", env={"HOME": "/h", "X": "x"}).nodes
    assert node.path == expected


def test_dynamic_node_is_known_as_one(load: Load) -> None:
    assert [node.is_dynamic for node in load("nodes: [{id: a, path: dynamic}, {id: b, path: b.py}]").nodes] == [
        True,
        False,
    ]


def test_url_with_a_checksum_is_accepted(load: Load) -> None:
    (node,) = load(f"nodes: [{{id: a, path: 'https://x/y.py', path_sha256: {'aF' * 32}}}]").nodes
    assert node.path_sha256 == "aF" * 32
