"""Structured log entries, from `node.log` and from Python's `logging`: one line of JSON each on standard output.

Strategy: the runner reads the node's standard output anyway and knows such a line from ordinary text, so an entry
keeps its place among what the node prints.  `logging` is bridged only where the user's program imports it: until
then a finder at the front of `sys.meta_path` waits for that import (a dictionary look-up per new import) and loads
nothing.  A dynamic node has nobody who reads its output but its user: he gets readable lines, and his `logging` is
left alone.
"""

from __future__ import annotations

import datetime
import json
import sys
from typing import Any, Final

from dora.node.link import Link

_LEVELS: Final = {
    "error": "ERROR", "warn": "WARN", "warning": "WARN", "info": "INFO", "debug": "DEBUG", "trace": "TRACE",
}  # fmt: skip
_MOST_FIELD_BYTES: Final = 60_000
_LONGEST_LINE: Final = 1_000_000  # the runner cuts a line at 1 MiB, and half a line of JSON is no entry
_CUT_AT: Final = 75_000
_CUT: Final = "... [truncated]"


class NodeLog:
    """Where the entries of this process go.

    Args:
        node_id: stands in every entry.
        is_read: dora reads standard output; otherwise a person does.
        min_level: the node's `min_log_level`, or None.
    """

    def __init__(self, node_id: str, *, is_read: bool = True, min_level: str | None = None) -> None:
        self.node_id: Final = node_id
        self.is_read: Final = is_read
        self.min_level: Final = min_level

    @classmethod
    def of(cls, link: Any) -> NodeLog:
        """The log of the node behind that link."""
        is_attached = isinstance(link, Link) and not link.is_spawned
        level = None if is_attached or not isinstance(link, Link) else _min_level(link)
        return cls(link.config.node_id, is_read=not is_attached, min_level=level)

    def log(self, level: str, message: str, target: Any = None, fields: dict[str, Any] | None = None) -> None:
        """One entry of `node.log`."""
        if not isinstance(level, str) or not isinstance(message, str):
            raise TypeError(f"level and message must be str, not {type(level).__name__} and {type(message).__name__}")
        if isinstance(target, dict) and fields is None:
            target, fields = None, target
        if not isinstance(target, str | None) or not isinstance(fields, dict | None):
            raise TypeError(
                f"target must be str or None and fields a dict or None, not {type(target).__name__} and "
                f"{type(fields).__name__} (a dict as third argument is taken as fields)"
            )
        now = datetime.datetime.now(datetime.timezone.utc)
        self.write(_LEVELS.get(level.lower(), "INFO"), message, now, fields=fields, target=target)

    def write(
        self,
        level: str,
        message: str,
        at: datetime.datetime,
        *,
        fields: dict[str, Any] | None = None,
        **place: Any,
    ) -> None:
        """Write one entry; `place` is where it comes from: `target`, `module_path`, `file`, `line`, as far as known."""
        out = sys.stdout
        if out is None:
            return
        texts = {str(name): value if isinstance(value, str) else str(value) for name, value in (fields or {}).items()}
        if not self.is_read:
            shown = "".join(f" {name}={value}" for name, value in texts.items())
            out.write(f"{level} {message}{shown}\n")
            out.flush()
            return
        if texts and len(json.dumps(texts)) > _MOST_FIELD_BYTES:
            print(
                f"dora: the fields of a log entry are longer than {_MOST_FIELD_BYTES} bytes: left out", file=sys.stderr
            )
            texts = {}
        instant = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        entry = {"timestamp": instant, "level": level, "node_id": self.node_id, "message": message}
        entry |= {name: value for name, value in place.items() if value is not None}
        out.write(_line(entry | {"fields": texts} if texts else entry))
        out.flush()


def bridge_logging(log: NodeLog) -> None:
    """Route `logging` into the log: now if it is loaded, else when it is first imported."""
    if not log.is_read:
        return
    if "logging" in sys.modules:
        _install(log)
    elif not any(isinstance(finder, _WhenImported) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WhenImported(log))


def _install(log: NodeLog) -> None:
    from dora.node.log_bridge import install  # imports logging

    install(log)


class _WhenImported:
    """A finder that finds nothing, only hears that `logging` is imported."""

    def __init__(self, log: NodeLog) -> None:
        self._log = log

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """For `logging`, what the other finders find, with the bridge laid after the module has run."""
        if name != "logging":
            return None
        sys.meta_path.remove(self)  # a finder needs no base class
        found = (finder.find_spec(name, path, target) for finder in sys.meta_path)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is None or spec.loader is None:
            return spec
        loader: Any = spec.loader  # this one object, not its class
        execute = loader.exec_module

        def execute_and_bridge(module: Any) -> None:
            execute(module)
            _install(self._log)

        loader.exec_module = execute_and_bridge
        return spec


def _min_level(link: Link) -> str | None:
    nodes = link.config.descriptor.get("nodes")
    for node in nodes if isinstance(nodes, list) else ():
        if isinstance(node, dict) and node.get("id") == link.config.node_id:
            level = node.get("min_log_level")
            return level.lower() if isinstance(level, str) else None
    return None


def _line(entry: dict[str, Any]) -> str:
    line = json.dumps(entry)
    if len(line) > _LONGEST_LINE:
        line = json.dumps(entry | {"message": entry["message"][:_CUT_AT] + _CUT})
    if "\\ud" in line:
        line = json.dumps(_without_surrogates(entry))
    return line + "\n"


def _without_surrogates(value: Any) -> Any:
    """Half a surrogate pair is no text in JSON; a whole one is one character."""
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(inner) for name, inner in value.items()}
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value
