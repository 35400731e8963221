"""A node that is fed from a file: DORA_TEST_WITH_INPUTS (dora node-api, section 21).

The file is JSON: `{"id": ..., "events": [...]}`.  An event has `type` (`Input`, `InputClosed` or `Stop`),
`time_offset_secs` since the start of the node, an `id` (not for `Stop`), and for an input

    data, data_type             JSON and the name of an Arrow type; without a type Arrow finds one
    path, batch_index, column   or a record batch of an Arrow file: one column of it, or all as a struct
    metadata                    {"key": {"Integer": 1}}, also plain JSON values

without data the value is an empty null array.  Beside dora-rs's keys, `node_config` and `dataflow_descriptor` may say
what the node's methods of these names return.  What the node sends is written to a file of JSON lines as it is sent.
"""

from __future__ import annotations

import datetime
import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from dora import arrow_json, env
from dora.errors import NodeError
from dora.ids import data_id_fault, new_dataflow_id
from dora.node import events
from dora.node.schedule import RealClock, Schedule
from dora.node.standalone_session import StandaloneConfig, StandaloneSession

_NS_PER_S: Final = 1_000_000_000
_INPUT_KEYS: Final = frozenset(
    {"type", "id", "time_offset_secs", "data", "data_type", "path", "batch_index", "column", "metadata"}
)


def open_session(path: str) -> StandaloneSession:
    """The session of a node that receives what the file says, at the times that it says.

    Raises:
        NodeError: the file cannot be read, or is wrong; the text says where.
    """
    content = _read(path)
    timed = [_event(entry, at, path) for at, entry in enumerate(content["events"])]
    clock = RealClock()
    node_id = str(content.get("id", "test-node"))
    config = StandaloneConfig(node_id, new_dataflow_id(), stated_descriptor=content.get("dataflow_descriptor"))
    if "node_config" in content:
        config.io = content["node_config"]
    return StandaloneSession(config, Schedule(timed, clock), OutputFile(_output_path(path), clock))


def _read(path: str) -> dict[str, Any]:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NodeError(f"{env.TEST_WITH_INPUTS} names {path!r}, which cannot be read: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("events"), list):
        raise NodeError(f"{path}: expected a JSON object with a list of `events`")
    return content


def _event(entry: Any, at: int, path: str) -> tuple[int, events.Event]:
    where = f"{path}: event {at}"
    if not isinstance(entry, dict):
        raise NodeError(f"{where}: expected an object, found {entry!r}")
    read = _KINDS.get(entry.get("type", ""))
    if read is None:
        raise NodeError(f"{where}: expected one of the types {', '.join(_KINDS)}, found {entry.get('type')!r}")
    offset_s = entry.get("time_offset_secs")
    if isinstance(offset_s, bool) or not isinstance(offset_s, (int, float)) or not 0 <= offset_s < float("inf"):
        raise NodeError(f"{where}: expected seconds since the start as `time_offset_secs`, found {offset_s!r}")
    try:
        return round(offset_s * _NS_PER_S), read(entry, path)
    except (ValueError, OSError, KeyError) as error:
        raise NodeError(f"{where}: {error}") from error


def _input_event(entry: Mapping[str, Any], path: str) -> events.Event:
    unknown = entry.keys() - _INPUT_KEYS
    if unknown:
        raise ValueError(f"unknown keys {', '.join(sorted(unknown))} (known: {', '.join(sorted(_INPUT_KEYS))})")
    metadata = {key: _metadata_value(value) for key, value in (entry.get("metadata") or {}).items()}
    return events.input_event(_input_id(entry), _value(entry, path), metadata)


def _input_id(entry: Mapping[str, Any]) -> str:
    name = entry.get("id")
    fault = data_id_fault(name) if isinstance(name, str) else f"expected a text, found {name!r}"
    if fault is not None:
        raise ValueError(f"`id`: {fault}")
    return str(name)


def _value(entry: Mapping[str, Any], path: str) -> Any:
    if "path" in entry:
        here = Path(entry["path"])
        beside = Path(path).parent / here
        file = here if here.exists() else beside
        return arrow_json.array_from_file(file, entry.get("batch_index", 0), entry.get("column"))
    if "data" in entry:
        return arrow_json.array_from_json(entry["data"], entry.get("data_type"))
    return arrow_json.array_from_json([], entry.get("data_type"))


def _metadata_value(value: Any) -> Any:
    """A parameter as dora-rs writes it, a type name with a value, or a plain value."""
    if isinstance(value, dict) and len(value) == 1:
        ((kind, inner),) = value.items()
        if kind in _METADATA_KINDS:
            return _METADATA_KINDS[kind](inner)
    return value


def _instant(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


_METADATA_KINDS: Final[dict[str, Callable[[Any], Any]]] = {
    "Bool": bool,
    "Integer": int,
    "Float": float,
    "String": str,
    "ListInt": list,
    "ListFloat": lambda values: [float(value) for value in values],
    "ListString": list,
    "Timestamp": _instant,
}

_KINDS: Final[dict[str, Callable[[Mapping[str, Any], str], events.Event]]] = {
    "Input": _input_event,
    "InputClosed": lambda entry, path: events.input_closed(_input_id(entry)),
    "Stop": lambda entry, path: events.stop("MANUAL"),
}


def _output_path(inputs: str) -> Path:
    stated = os.environ.get(env.TEST_WRITE_OUTPUTS_TO)
    return Path(stated) if stated else Path(inputs).parent / "outputs.jsonl"


class OutputFile:
    """Writes what is sent, one JSON object a line: `id`, `time_offset_secs`, `data`, `data_type`."""

    def __init__(self, path: Path, clock: RealClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._has_times = not os.environ.get(env.TEST_NO_OUTPUT_TIME_OFFSET)
        try:
            self._file = path.open("w", encoding="utf-8")
        except OSError as error:
            raise NodeError(f"cannot write the outputs of this node to {str(path)!r}: {error}") from error

    def take(self, output: str, value: Any, metadata: dict[str, Any]) -> None:
        """Write one message; on disk when this returns."""
        line: dict[str, Any] = {"id": output}
        if self._has_times:
            line["time_offset_secs"] = self._clock.now_ns() / _NS_PER_S
        try:
            line |= {"data": arrow_json.array_to_json(value), "data_type": arrow_json.type_to_json(value.type)}
        except ValueError as error:
            raise NodeError(f"cannot write output {output!r} as JSON: {error}") from error
        with self._lock:
            self._file.write(json.dumps(line, separators=(",", ":")) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Nothing more comes."""
        self._file.close()
