"""Keys of dora-rs 0.x, turned into today's with a warning.

Strategy: the YAML tree is rewritten before anything reads it, so the rest of the model knows one
generation of keys only.  Each warning says what to write instead; `migration.py` writes it.
"""

from __future__ import annotations

from typing import Final

from dora.dataflow.document import Entry, YamlMap, YamlScalar
from dora.dataflow.report import Place, Report
from dora.dataflow.scalars import is_null

RENAMED: Final = {"_unstable_deploy": "deploy", "_unstable_debug": "debug", "envs": "env"}
DROPPED_ROOT: Final = {
    "communication": "remove it: there is nothing to configure",
    "version": "remove it",
    "name": "remove it, or write it as a comment",
}
DEBUG_RENAMED: Final = {"publish_all_messages_to_zenoh": "enable_debug_inspection"}
CUSTOM_RENAMED: Final = {"source": "path", "envs": "env"}
BESIDE_OPERATOR: Final = ("inputs", "outputs")
"""Keys of a node that are its only operator's; `operators.py` reads them so."""

OPERATOR_KEYS: Final = (
    "python", "build", "inputs", "outputs", "input_types", "output_types", "output_framing", "output_metadata",
    "pattern", "send_stdout_as", "send_logs_as", "min_log_level", "max_log_size", "max_rotated_files",
)  # fmt: skip
"""Keys below `operator:` that are not indented."""

_MIGRATE: Final = "`dora migrate FILE` does it"


def modernise_root(root: YamlMap, report: Report) -> None:
    """Rewrite the keys of the file's root in place; keys that start with `x-` may hold anything."""
    drop_anchors(root)
    for key, hint in DROPPED_ROOT.items():
        if key in root.entries:
            report.warn(root.entries.pop(key).place, f"key '{key}' of older versions is ignored", hint)
    _rename(root, RENAMED, report)
    debug = root.entries.get("debug")
    if debug is not None and isinstance(debug.value, YamlMap):
        _rename(debug.value, DEBUG_RENAMED, report, "'debug': ")


def has_path_and_source(custom: YamlMap) -> bool:
    """A `custom` block of the last 0.x versions: `source` says that `path` is on this machine."""
    return "path" in custom.entries and "source" in custom.entries


def drop_anchors(root: YamlMap) -> None:
    """Leave out the keys that start with `x-`."""
    for key in [key for key in root.entries if key.startswith("x-")]:
        del root.entries[key]


def modernise_node(node: YamlMap, subject: str, report: Report) -> None:
    """Rewrite the keys of one node in place."""
    _rename(node, RENAMED, report, f"{subject}: ")
    _indent_operator(node, subject, report)
    custom = node.entries.get("custom")
    if custom is None or not isinstance(custom.value, YamlMap):
        return
    hint = f"move its keys up to the node, and write `path:` for `source:`; {_MIGRATE}"
    text = f"{subject}: key 'custom' of older versions is read as part of the node"
    report.warn(custom.place, text, hint)
    del node.entries["custom"]
    if has_path_and_source(custom.value):
        del custom.value.entries["source"]
    _split_run(custom.value)
    for key, entry in custom.value.entries.items():
        node.entries.setdefault(CUSTOM_RENAMED.get(key, key), entry)


def _rename(mapping: YamlMap, names: dict[str, str], report: Report, prefix: str = "") -> None:
    for old, new in names.items():
        if old not in mapping.entries:
            continue
        entry = mapping.entries.pop(old)
        report.warn(
            entry.place, f"{prefix}key '{old}' of older versions is read as '{new}'", f"write '{new}'; {_MIGRATE}"
        )
        mapping.entries.setdefault(new, entry)


def _split_run(custom: YamlMap) -> None:
    """`run: python x.py --flag` is the program and its arguments in one text."""
    run = custom.entries.pop("run", None)
    if run is None or not isinstance(run.value, YamlScalar):
        return
    program, arguments = split_run(run.value)
    custom.entries.setdefault("path", _text_entry(run.place, run.value.place, program))
    if arguments:
        custom.entries.setdefault("args", _text_entry(run.place, run.value.place, arguments))


def split_run(value: YamlScalar) -> tuple[str, str]:
    """The program and its arguments in the `run` of a `custom` block."""
    program, _, arguments = value.text.strip().partition(" ")
    return program, arguments.strip()


def is_operator_unindented(node: YamlMap) -> bool:
    """`operator:` holds nothing, and its `python` stands beside it."""
    entry = node.entries.get("operator")
    return entry is not None and is_null(entry.value) and "python" in node.entries


def _indent_operator(node: YamlMap, subject: str, report: Report) -> None:
    if not is_operator_unindented(node):
        return
    entry = node.entries["operator"]
    text = f"{subject}: what stands beside the empty 'operator' is read as the operator's"
    report.warn(entry.place, text, f"indent it; {_MIGRATE}")
    own: dict[str, Entry] = {str(key): node.entries.pop(key) for key in OPERATOR_KEYS if key in node.entries}
    node.entries["operator"] = Entry(entry.place, YamlMap(entry.place, own))


def _text_entry(key_at: Place, at: Place, text: str) -> Entry:
    return Entry(key_at, YamlScalar(at, text, is_plain=False))
