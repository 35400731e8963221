"""The descriptor as nodes see it: `dataflow_descriptor()` and `node_config()` (dora node-api, section 9).

Strategy: plain dicts and lists in the shape of dora-rs 1.1: the file with defaults filled in, the keys
that published nodes read present on every node, other keys where the file states them.
"""

from __future__ import annotations

from typing import Any, Final

from dora.dataflow.descriptor import OutputSource
from dora.dataflow.fields import Fields, Stated
from dora.dataflow.nodes import RUNTIME, NodeDraft
from dora.dataflow.operator_checks import is_single
from dora.dataflow.operators import OperatorDraft
from dora.dataflow.ports import InputDraft
from dora.dataflow.scalars import Plain
from dora.dataflow.sources import source_text

_OPTIONAL: Final = (
    "path_sha256", "build", "input_types", "output_types", "output_framing", "output_metadata", "pattern",
    "shared_memory_pool_size", "send_stdout_as", "send_logs_as", "min_log_level", "max_log_size",
    "max_rotated_files", "restart_delay", "max_restart_delay", "restart_window", "health_check_timeout",
    "startup_timeout", "finish_grace_secs", "cpu_affinity",
)  # fmt: skip


def describe_dataflow(root: Fields, drafts: list[NodeDraft], env: dict[str, Plain]) -> dict[str, Any]:
    """What `node.dataflow_descriptor()` returns."""
    debug = root.get("debug")
    described = {
        "nodes": [describe_node(draft) for draft in drafts],
        "env": env or None,
        "deploy": _plain(root.get("deploy")),
        "debug": {"enable_debug_inspection": debug.get("enable_debug_inspection", False) if debug else False},
        "health_check_interval": root.get("health_check_interval"),
    }
    for key in ("exit_when_nodes_finish", "strict_types", "type_rules"):
        if key in root.stated:
            described[key] = _plain(root.get(key))
    return described


def describe_node(draft: NodeDraft) -> dict[str, Any]:
    """One entry of the descriptor's `nodes`."""
    get = draft.fields.get
    described = {
        "id": draft.id,
        "name": get("name"),
        "description": get("description"),
        "path": get("path"),
        "args": get("args"),
        "env": draft.env or None,
        "outputs": [] if draft.operators else list(draft.outputs),
        "inputs": {} if draft.operators else {name: _describe_input(entry) for name, entry in draft.inputs.items()},
        "restart_policy": get("restart_policy", "never"),
        "max_restarts": get("max_restarts", 0),
        "deploy": _plain(get("deploy")),
    }
    described.update({key: _plain(get(key)) for key in _OPTIONAL if key in draft.fields.stated})
    if draft.kind == RUNTIME:
        operators = [_describe_operator(operator) for operator in draft.operators]
        described |= {"operator": operators[0]} if is_single(draft) else {"operators": operators}
    return described


def _describe_operator(draft: OperatorDraft) -> dict[str, Any]:
    get = draft.fields.get
    described = {
        "id": draft.id,
        "name": get("name"),
        "description": get("description"),
        "python": {"source": draft.source, "conda_env": draft.conda_env} if draft.conda_env else draft.source,
        "build": get("build"),
        "outputs": list(draft.outputs),
        "inputs": {name: _describe_input(entry) for name, entry in draft.inputs.items()},
    }
    described.update({key: _plain(get(key)) for key in _OPTIONAL if key in draft.fields.stated})
    return described


def node_config(raw: dict[str, Any], node_id: str) -> dict[str, Any]:
    """What `node.node_config()` returns: the node's inputs and outputs, those of operators as `<operator>/<name>`.

    Args:
        raw: the `raw` of a `Dataflow`.
    """
    node = next(entry for entry in raw["nodes"] if entry["id"] == node_id)
    operators = [node["operator"]] if "operator" in node else node.get("operators", [])
    if not operators:
        return {"inputs": node["inputs"], "outputs": node["outputs"]}
    return {
        "inputs": {f"{each['id']}/{name}": source for each in operators for name, source in each["inputs"].items()},
        "outputs": [f"{each['id']}/{name}" for each in operators for name in each["outputs"]],
    }


def _describe_input(entry: InputDraft) -> str | dict[str, Any]:
    source = entry.fields.get("source", "")  # an operator's output as the user names it, with or without operator
    if entry.source is not None and not isinstance(entry.source, OutputSource):
        source = source_text(entry.source)
    options = {key: stated.value for key, stated in entry.fields.stated.items() if key != "source"}
    return {"source": source, **options} if options else source


def _plain(value: Any) -> Any:
    """A stated value without its places."""
    if isinstance(value, Fields):
        return {key: _plain(stated.value) for key, stated in value.stated.items()}
    if isinstance(value, Stated):
        return _plain(value.value)
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item, _ in value]
    return value
