"""The keys of a dataflow file: one table per kind of mapping (dora dataflow-yaml, sections 2-11).

Strategy: a new key is a line here and its use in `nodes.py` (or `load.py` for the root).  The tables
are also what the JSON Schema and the key list of the documentation are made from, so the sentences
are written for users.
"""

from __future__ import annotations

from typing import Final

from dora.dataflow.descriptor import BACKPRESSURE, DEFAULT_QUEUE_SIZE, DROP_OLDEST
from dora.dataflow.fields import (
    OUTPUT_ID,
    SIZE,
    TEXT,
    TRUTH,
    Field,
    Table,
    as_is,
    group,
    list_of,
    map_of,
    one_of,
    schema_of,
    seconds,
    table,
    whole_number,
)
from dora.dataflow.ros2 import ROS2_FIELDS

LOG_LEVELS: Final = ("stdout", "trace", "debug", "info", "warn", "error")
RESTART_POLICIES: Final = ("never", "on-failure", "always")
PATTERNS: Final = ("service-server", "service-client", "action-server", "action-client")

KIND_KEYS: Final = ("path", "operator", "operators", "module", "ros2", "hub")
"""Exactly one of these decides what a node is."""

OPERATOR_KEYS: Final = ("operator", "operators")
"""The kinds that run in a process of ours."""

OPERATOR_SOURCE_KEYS: Final = ("python", "shared-library", "wasm")
"""Exactly one of these says what an operator is made of."""

LATER_KEYS: Final = ("ros2", "hub")
"""Read and checked, but there is nothing here to run them."""

HUB_EXCLUDES: Final = ("build", "git", "branch", "tag", "rev", "path_sha256")
"""What the package of a node says itself."""

GIT_REVISION_KEYS: Final = ("branch", "tag", "rev")
"""At most one of these says what is taken from `git`."""

INTERPRETER_KEYS: Final = ("python", "venv", "conda")
"""At most one of these says which Python a node is started with."""

_SECONDS: Final = seconds()
_LOG_LEVEL: Final = one_of(*LOG_LEVELS, any_case=True)
_ANYTHING: Final = as_is("any value", {})
_ENV: Final = as_is("a mapping from variable to value", {"type": "object"})
_INPUTS: Final = as_is("a mapping from input id to node/output", {"type": "object"})

DEPLOY_FIELDS: Final = table(
    Field("machine", TEXT, "Id of the machine that the node runs on."),
    Field("labels", map_of(TEXT, "from label to value"), "Run on a machine that carries all of these labels."),
    Field("working_dir", TEXT, "Directory on that machine, relative to its base directory."),
    Field("distribute", one_of("local", "scp", "http"), "How the node's files get there.", "local"),
)
_DEPLOY: Final = group(DEPLOY_FIELDS, "a mapping with machine, labels, working_dir or distribute")

DEBUG_FIELDS: Final = table(
    Field("enable_debug_inspection", TRUTH, "Accepted; inspection needs no flag.", False),
)

TYPE_RULE_FIELDS: Final = table(
    Field("from", TEXT, "Type of the output.", is_required=True),
    Field("to", TEXT, "Type of the input that may read it.", is_required=True),
)

_NODES: Final = as_is("a list of nodes", {"type": "array"})

ROOT_FIELDS: Final = table(
    Field("nodes", _NODES, "The nodes of the dataflow.", is_required=True, example="[{id: <name>, path: <script>}]"),
    Field("env", _ENV, "Environment of every node; a node's own `env` wins."),
    Field(
        "health_check_interval",
        seconds(may_be_zero=False),
        "Accepted, without effect: the supervision waits for no sweep.",
        5.0,
    ),
    Field("exit_when_nodes_finish", TRUTH, "A node is done when its data inputs are closed, timers or not.", False),
    Field("strict_types", TRUTH, "Type warnings are errors.", False),
    Field(
        "type_rules",
        list_of(group(TYPE_RULE_FIELDS, "a mapping with from and to"), "mappings with from and to"),
        "Types that may feed other types, beside the built-in rules.",
    ),
    Field("debug", group(DEBUG_FIELDS, "a mapping with enable_debug_inspection"), "Debugging switches."),
    Field("deploy", _DEPLOY, "Accepted, without effect: nodes say where they run."),
)

INPUT_FIELDS: Final = table(
    Field(
        "source",
        TEXT,
        "`node/output`, `dora/timer/<unit>/<value>` or `dora/logs[/<level>[/<node>]]`.",
        is_required=True,
        example="<node>/<output>",
    ),
    Field(
        "queue_size", whole_number(0, 2**31), "Messages kept while the node is busy; 0 counts as 1.", DEFAULT_QUEUE_SIZE
    ),
    Field(
        "queue_policy",
        one_of(DROP_OLDEST, BACKPRESSURE),
        "What happens when the queue is full: the oldest message goes, or the sender waits.",
        DROP_OLDEST,
    ),
    Field("input_timeout", _SECONDS, "Seconds of silence after which the input counts as closed until data comes."),
)

_EVERY_KIND: Final = (
    Field(
        "id",
        TEXT,
        "Name of the node, unique in the file: letters, digits, `_`, `.`, `-`.",
        is_required=True,
        example="<name>",
    ),
    Field("name", TEXT, "Name for people."),
    Field("description", TEXT, "What the node is for."),
    Field("env", _ENV, "Environment of the node, on top of the dataflow's `env`."),
    Field("deploy", _DEPLOY, "Which machine the node runs on; not here yet: run and start refuse it."),
)

_SOURCE: Final = (
    Field("path", TEXT, "Script, program, URL, `dynamic`, `shell` or `dora/timer/<unit>/<value>`."),
    Field("path_sha256", TEXT, "Checksum of a downloaded `path`, 64 hex digits."),
    Field("args", TEXT, "Arguments, split like a POSIX shell; nothing is expanded."),
    Field("build", TEXT, "Commands that prepare the node, one a line."),
    Field("git", TEXT, "URL of the repository that holds the node; `path` starts in its clone."),
    Field("branch", TEXT, "Branch of `git`."),
    Field("tag", TEXT, "Tag of `git`."),
    Field("rev", TEXT, "Commit of `git`, or the name of a ref."),
)

_INTERPRETER: Final = (
    Field("python", TEXT, "Interpreter that a Python node or operators are started with: a file, or a name on PATH."),
    Field("venv", TEXT, "Virtual environment that a Python node or operators are started in: its folder."),
    Field("conda", TEXT, "Conda environment that a Python node or operators are started in: its name, or its folder."),
)

_PORTS: Final = (
    Field("inputs", _INPUTS, "What the node receives, by input id."),
    Field("outputs", list_of(OUTPUT_ID, "output ids"), "What the node may send; not all of it must be read."),
    Field("input_types", map_of(TEXT, "from input to type"), "Expected type of each input."),
    Field("output_types", map_of(TEXT, "from output to type"), "Type of each output."),
    Field(
        "output_framing",
        map_of(one_of("raw", "arrow-ipc"), "from output to raw or arrow-ipc"),
        "Accepted; receivers see no difference, dora chooses how messages travel.",
    ),
    Field(
        "output_metadata",
        map_of(list_of(TEXT, "metadata keys"), "from output to a list of metadata keys"),
        "Metadata keys that each output carries.",
    ),
    Field("pattern", TEXT, "Communication pattern: " + ", ".join(f"`{name}`" for name in PATTERNS) + "."),
)

_POOL: Final = Field("shared_memory_pool_size", SIZE, "Accepted; memory is taken as it is needed.")

_LOGS: Final = (
    Field("send_stdout_as", OUTPUT_ID, "Output that carries the node's printed lines."),
    Field("send_logs_as", OUTPUT_ID, "Output that carries the node's structured log entries."),
    Field("min_log_level", _LOG_LEVEL, "Entries below this level are left out."),
    Field("max_log_size", SIZE, "Size at which the log file is rotated."),
    Field("max_rotated_files", whole_number(0, 100), "Rotated log files that are kept.", 5),
)

_SUPERVISION: Final = (
    Field("restart_policy", one_of(*RESTART_POLICIES), "When the node is started again after its end.", "never"),
    Field("max_restarts", whole_number(0, 2**32 - 1), "Restarts before giving up; 0 is without limit.", 0),
    Field("restart_delay", _SECONDS, "Seconds before the first restart; doubles each time."),
    Field("max_restart_delay", _SECONDS, "Longest delay between restarts, in seconds."),
    Field("restart_window", _SECONDS, "Seconds after which restarts are counted from 0 again."),
    Field("health_check_timeout", _SECONDS, "Seconds without a sign of life while work waits, then it is killed."),
    Field("startup_timeout", _SECONDS, "Seconds from start to `Node()`, then it is killed."),
    Field("finish_grace_secs", _SECONDS, "Seconds to end after the last input closed."),
    Field("cpu_affinity", list_of(whole_number(0, 2**31), "CPU numbers"), "CPUs that the node may run on."),
)

PYTHON_SOURCE_FIELDS: Final = table(
    Field("source", TEXT, "The Python file or URL.", is_required=True, example="<file>.py"),
    Field("conda_env", TEXT, "Conda environment that the operator's process is started in."),
)
_PYTHON: Final = as_is("a Python file, or a mapping with source and conda_env", {"type": ["string", "object"]})

OPERATOR_FIELDS: Final[Table] = table(
    Field("id", TEXT, "Name of the operator, unique in its node; `op` where there is one `operator`."),
    Field("name", TEXT, "Name for people."),
    Field("description", TEXT, "What the operator is for."),
    Field("python", _PYTHON, "Python file with a class `Operator`."),
    Field("shared-library", _ANYTHING, "Not supported: operators are written in Python."),
    Field("wasm", _ANYTHING, "Not supported: operators are written in Python."),
    Field("build", TEXT, "Commands that prepare the operator, one a line."),
    *_PORTS,
    *_LOGS,
)
_OPERATOR: Final = as_is("a mapping with python, inputs and outputs", schema_of(OPERATOR_FIELDS))
_OPERATORS: Final = as_is("a list of operators", {"type": "array", "items": _OPERATOR.schema})

_OTHER_KINDS: Final = (
    Field("operator", _OPERATOR, "One operator, run in a process of its own."),
    Field("operators", _OPERATORS, "Operators that share one process."),
    Field("module", TEXT, "Module file whose nodes take the place of this one, relative to this file."),
    Field(
        "params",
        map_of(TEXT, "from parameter to value"),
        "Parameters of the module: `$PARAM_NAME` in the `args` of its nodes, and in their environment.",
    ),
    Field(
        "ros2",
        group(ROS2_FIELDS, "a mapping with topic, topics, service or action"),
        "Bridge to ROS 2: checked, but there is no bridge to run it.",
    ),
    Field("hub", TEXT, "Package of the node hub, `[namespace/]name[@version]`: there is no index to ask for it."),
)

NODE_FIELDS: Final[Table] = table(
    *_EVERY_KIND, *_SOURCE, *_INTERPRETER, *_PORTS, _POOL, *_LOGS, *_SUPERVISION, *_OTHER_KINDS
)

MODULE_KEYS: Final = ("id", "name", "description", "module", "params", "inputs", "env", "build", "deploy")
"""What a node that uses a module may state; its nodes state the rest themselves."""

MODULE_HEADER_FIELDS: Final = table(
    Field("name", TEXT, "Name of the module.", is_required=True, example="<name>"),
    Field("inputs", list_of(OUTPUT_ID, "input ids"), "What the module must be given; its nodes read `_mod/<input>`."),
    Field("inputs_optional", list_of(OUTPUT_ID, "input ids"), "What the module may be given."),
    Field("outputs", list_of(OUTPUT_ID, "output ids"), "What others may read; one node of the module sends each."),
)

MODULE_FILE_FIELDS: Final = table(
    Field(
        "module",
        group(MODULE_HEADER_FIELDS, "a mapping with name, inputs and outputs"),
        "Name and ports of the module.",
        is_required=True,
        example="{name: <name>, inputs: [], outputs: []}",
    ),
    Field("nodes", _NODES, "The nodes of the module.", is_required=True),
    Field("build", TEXT, "Commands that come before the `build` of each node."),
)

TYPE_PARAM_FIELDS: Final = table(
    Field("name", TEXT, "Name of the parameter.", is_required=True, example="<name>"),
    Field("default", TEXT, "What it is where a port does not state it."),
)

TYPE_FIELD_FIELDS: Final = table(
    Field("name", TEXT, "Name of the field.", is_required=True, example="<name>"),
    Field("type", TEXT, "An Arrow type, another type, or `List<...>`.", is_required=True, example="Float64"),
    Field("nullable", TRUTH, "Whether the field may be empty.", True),
)

TYPE_FIELDS: Final = table(
    Field("arrow", TEXT, "Arrow type, or `Struct` with `fields`.", is_required=True, example="Struct"),
    Field("description", TEXT, "What the type means."),
    Field("params", list_of(group(TYPE_PARAM_FIELDS, "a mapping with name"), "mappings with name"), "Parameters."),
    Field(
        "fields",
        list_of(group(TYPE_FIELD_FIELDS, "a mapping with name and type"), "mappings with name and type"),
        "Fields of a `Struct`.",
    ),
    Field("metadata", list_of(TEXT, "metadata keys"), "Metadata keys that go with each message."),
)

TYPES_FILE_FIELDS: Final = table(
    Field(
        "types",
        map_of(group(TYPE_FIELDS, "a mapping with arrow"), "from name to type"),
        "The types of this file, by name.",
        is_required=True,
    ),
)
