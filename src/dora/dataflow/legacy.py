"""Keys of dora-rs 0.x, turned into today's with a warning.

Strategy: the YAML tree is rewritten before anything reads it, so the rest of the model knows one
generation of keys only.  Each warning says what to write instead.
"""

from __future__ import annotations

from typing import Final

from dora.dataflow.document import Entry, YamlMap, YamlScalar
from dora.dataflow.report import Place, Report

_RENAMED: Final = {"_unstable_deploy": "deploy", "_unstable_debug": "debug", "envs": "env"}
_DROPPED_ROOT: Final = {
    "communication": "remove it: there is nothing to configure",
    "version": "remove it",
    "name": "remove it, or write it as a comment",
}
_CUSTOM_RENAMED: Final = {"source": "path", "envs": "env"}


def modernise_root(root: YamlMap, report: Report) -> None:
    """Rewrite the keys of the file's root in place; keys that start with `x-` may hold anything."""
    drop_anchors(root)
    for key, hint in _DROPPED_ROOT.items():
        if key in root.entries:
            report.warn(root.entries.pop(key).place, f"key '{key}' of older versions is ignored", hint)
    _rename(root, _RENAMED, report)


def drop_anchors(root: YamlMap) -> None:
    """Leave out the keys that start with `x-`."""
    for key in [key for key in root.entries if key.startswith("x-")]:
        del root.entries[key]


def modernise_node(node: YamlMap, subject: str, report: Report) -> None:
    """Rewrite the keys of one node in place."""
    _rename(node, _RENAMED, report, f"{subject}: ")
    custom = node.entries.get("custom")
    if custom is None or not isinstance(custom.value, YamlMap):
        return
    hint = "move its keys up to the node, and write `path:` for `source:`"
    text = f"{subject}: key 'custom' of older versions is read as part of the node"
    report.warn(custom.place, text, hint)
    del node.entries["custom"]
    _split_run(custom.value)
    for key, entry in custom.value.entries.items():
        node.entries.setdefault(_CUSTOM_RENAMED.get(key, key), entry)


def _rename(mapping: YamlMap, names: dict[str, str], report: Report, prefix: str = "") -> None:
    for old, new in names.items():
        if old not in mapping.entries:
            continue
        entry = mapping.entries.pop(old)
        report.warn(entry.place, f"{prefix}key '{old}' of older versions is read as '{new}'", f"write '{new}'")
        mapping.entries.setdefault(new, entry)


def _split_run(custom: YamlMap) -> None:
    """`run: python x.py --flag` is the program and its arguments in one text."""
    run = custom.entries.pop("run", None)
    if run is None or not isinstance(run.value, YamlScalar):
        return
    program, _, rest = run.value.text.strip().partition(" ")
    custom.entries.setdefault("path", _text_entry(run.place, run.value.place, program))
    if rest.strip():
        custom.entries.setdefault("args", _text_entry(run.place, run.value.place, rest.strip()))


def _text_entry(key_at: Place, at: Place, text: str) -> Entry:
    return Entry(key_at, YamlScalar(at, text, is_plain=False))
