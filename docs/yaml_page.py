"""The page of dataflow files: every key from the tables by which files are read, and what a table cannot say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dora.dataflow import schema
from dora.dataflow.examples import example
from dora.dataflow.fields import Field, Table
from dora.dataflow.legacy import DROPPED_ROOT, RENAMED
from dora.dataflow.std_types import STANDARD_TYPES, WIDENINGS, Type

GROUPS: Final = {
    "What it is": ("id", "name", "description", "path", "args", "env", "deploy"),
    "Where its program comes from": ("build", "git", "branch", "tag", "rev", "path_sha256"),
    "Which Python starts it": ("python", "venv", "conda"),
    "What it receives and sends": (
        "inputs", "outputs", "input_types", "output_types", "output_framing", "output_metadata", "pattern",
        "shared_memory_pool_size",
    ),
    "What becomes of what it prints": (
        "send_stdout_as", "send_logs_as", "min_log_level", "max_log_size", "max_rotated_files",
    ),
    "What happens when it ends, hangs or is slow": (
        "restart_policy", "max_restarts", "restart_delay", "max_restart_delay", "restart_window",
        "health_check_timeout", "startup_timeout", "finish_grace_secs", "cpu_affinity",
    ),
    "Instead of `path`": ("operator", "operators", "module", "params", "ros2", "hub"),
}  # fmt: skip
"""Sections of the keys of a node; what is in none of them is shown last, so that nothing is forgotten."""

INTRO: Final = """\
# Dataflow files

A dataflow is a YAML file: nodes, and which output feeds which input.

```yaml
# yaml-language-server: $schema=dora-schema.json
nodes:
  - id: camera
    path: camera.py
    inputs:
      tick: dora/timer/hz/30
    outputs:
      - image

  - id: plot
    path: plot.py
    inputs:
      image:
        source: camera/image
        queue_size: 1
```

`dora new NAME` writes one to start from, `dora validate FILE` says what is wrong and where, `dora graph FILE` [draws it](graph.md), and `dora run FILE` runs it.
With the first line, and `dora schema -o dora-schema.json`, editors complete keys and mark mistakes.
Relative paths start in the folder of the file, and that is also where nodes run.
A key without a value is like one that is not there; unknown keys are warned about, and are errors with `dora validate --strict`.
Root keys that start with `x-` may hold anything, as a place for YAML anchors."""

SOURCES: Final = """\
| source | what comes |
| --- | --- |
| `node/output` | what that node sends on that output; of a node with `operators:` it is `node/operator/output` |
| `dora/timer/secs/2`, `dora/timer/millis/100`, `micros`, `nanos` | a tick every so often: its count, from 0, as `uint64` |
| `dora/timer/hz/30` | a tick so many times a second |
| `dora/logs`, `dora/logs/warn`, `dora/logs/warn/camera` | log entries of all nodes or one, of that level or more severe, as JSON text |

A node with `path: dora/timer/hz/30` and an output is that timer under a name of its own.

An input that states neither `queue_size` nor `queue_policy` drops the oldest message of a paced sender, but lets a burst wait for room.
`queue_size: 1` keeps the newest; `queue_policy: backpressure` loses nothing, because the sender waits."""

ENV: Final = """\
Values are texts, numbers or truth values; quoted texts are passed as they are.
`$NAME`, `${NAME}` and `${NAME:-default}` are replaced by variables of the process that reads the file, `$$` is a dollar sign; `{__dora_env: NAME}` is another way to write `$NAME`.
A variable that is not set and has no default is an error.
A node's own `env` wins over `--env KEY=VALUE`, and that over the `env` of the file.
Variables that dora sets itself, and those that change which code a process loads (`LD_PRELOAD` and the like), are ignored with a warning."""

MODULES: Final = """\
A node with `module: FILE` stands for the nodes of that file.

```yaml
# modules/camera.yml
module:
  name: camera
  inputs: [tick]
  outputs: [image]
nodes:
  - id: driver
    path: driver.py                # relative to this file
    args: --device $PARAM_DEVICE
    inputs: {tick: _mod/tick}      # what the module is given
    outputs: [image]
```

```yaml
# dataflow.yml
nodes:
  - id: front
    module: modules/camera.yml
    params: {device: 0}
    inputs: {tick: dora/timer/hz/30}
  - id: plot
    path: plot.py
    inputs: {image: front/image}
```

The node runs as `front.driver`.
Modules may use modules, up to eight levels; `env`, `deploy`, `build` and `params` are handed down.
`params` replace `$PARAM_NAME` and `${_param.name}` in `args`, and are in the environment as `PARAM_NAME`.
`dora expand dataflow.yml` prints the dataflow with the nodes in their place; `dora expand --module FILE` checks a module file for itself."""

TYPES: Final = """\
`output_types` and `input_types` say what a message is; `dora validate` checks every edge.
An input may read the same type, anything as `std/core/v1/Bytes`, a wider number ({widenings}), and what `type_rules` allow.
Files below `types/` add types of your own: `types/my/v1.yml` with `types: {{Speed: {{arrow: Float64}}}}` makes `my/v1/Speed`.
With `strict_types: true`, or `--strict-types`, what does not fit is an error and not a warning."""


def dataflow_yaml_page() -> str:
    """The whole page."""
    node = schema.NODE_FIELDS
    parts = [
        INTRO,
        "## The file",
        key_table("root", schema.ROOT_FIELDS.values()),
        "## A node",
        f"Every node has an `id` and exactly one of {_listed(schema.KIND_KEYS)}.",
    ]
    rest = [name for name in node if not any(name in names for names in GROUPS.values())]
    for title, names in {**GROUPS, "More": tuple(rest)}.items():
        if names:
            parts += [f"### {title}", key_table("node", [node[name] for name in names])]
    parts += ["## An input", "Short: `image: camera/image`. Long: a mapping with these keys."]
    parts += [key_table("input", schema.INPUT_FIELDS.values()), "### Sources", SOURCES]
    parts += ["## Environment", ENV]
    parts += ["## An operator", "Under `operator:` (one), or in the list `operators:`; see [operators](operators.md).\n"
              "The node keeps its `env` and what concerns its process; everything else is the operator's.\n"
              "Other nodes read `node/output` of one operator and `node/operator/output` of several."]  # fmt: skip
    parts += [key_table("operator", schema.OPERATOR_FIELDS.values())]
    parts += ["`python:` may also be a mapping:", _table("python_source", schema.PYTHON_SOURCE_FIELDS)]
    parts += ["## Modules", MODULES, "### A module file", _table("module_file", schema.MODULE_FILE_FIELDS)]
    parts += ["### Its header `module`", _table("module_header", schema.MODULE_HEADER_FIELDS)]
    parts += ["## `deploy`", _table("deploy", schema.DEPLOY_FIELDS)]
    parts += ["## `debug`", _table("debug", schema.DEBUG_FIELDS)]
    parts += ["## `type_rules`", _table("type_rule", schema.TYPE_RULE_FIELDS)]
    parts += ["## Types", TYPES.format(widenings=_widenings()), _types(STANDARD_TYPES.values())]
    parts += ["## Keys of older versions", _legacy()]
    return "\n\n".join(parts) + "\n"


def key_table(table: str, fields: Iterable[Field]) -> str:
    """The keys of one mapping, each with an example."""
    rows = []
    for field in fields:
        default = "required" if field.is_required else "" if field.default is None else f"`{shown(field.default)}`"
        rows.append([f"`{field.name}`", field.type.expected, default, field.doc, f"`{example(table, field.name)}`"])
    return markdown_table(["key", "value", "default", "meaning", "example"], rows)


def markdown_table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def shown(value: object) -> str:
    """A default as it would stand in YAML."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _table(table: str, fields: Table) -> str:
    return key_table(table, fields.values())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _widenings() -> str:
    return ", ".join(f"{_short(narrow)} to {_short(wide)}" for narrow, wide in WIDENINGS)


def _short(urn: str) -> str:
    return urn.rpartition("/")[2]


def _types(types: Iterable[Type]) -> str:
    rows = []
    for each in types:
        fields = ", ".join(f"{field.name}: {field.type}" for field in each.fields)
        rows.append([f"`{each.urn}`", f"`{each.arrow}`", fields])
    return markdown_table(["type", "Arrow type", "fields"], rows)


def _legacy() -> str:
    rows = [["`custom:`", "move its keys up to the node, and write `path:` for `source:`"]]
    rows += [[f"`{old}`", f"write `{new}`"] for old, new in RENAMED.items()]
    rows += [[f"`{old}`", hint] for old, hint in DROPPED_ROOT.items()]
    intro = "They are read, each with a warning; `dora migrate FILE` rewrites them and keeps comments."
    return f"{intro}\n\n{markdown_table(['key', 'instead'], rows)}"
