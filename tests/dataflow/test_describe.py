"""The descriptor as nodes see it."""

from __future__ import annotations

from dataflow.conftest import Load
from dora.dataflow.describe import node_config

TEXT = """
env: {R: 1}
health_check_interval: 2
exit_when_nodes_finish: true
type_rules: [{from: A, to: B}]
nodes:
- {id: tick, path: dora/timer/hz/5, outputs: [t]}
- id: a
  path: $HOME/a.py
  args: --x 1
  env: {A: 1, B: '2', C: true}
  outputs: [o]
  inputs:
    t: tick/t
    u: {source: a/o, queue_size: 3}
  output_types: {o: T}
  cpu_affinity: [1]
  deploy: {machine: m, labels: {k: v}}
- {id: b, path: b.py}
"""


def test_every_node_has_the_keys_that_published_nodes_read(load: Load) -> None:
    nodes = load(TEXT, env={"HOME": "/h"}).raw["nodes"]
    keys = [
        "id",
        "name",
        "description",
        "path",
        "args",
        "env",
        "outputs",
        "inputs",
        "restart_policy",
        "max_restarts",
        "deploy",
    ]
    assert [node["id"] for node in nodes] == ["tick", "a", "b"]
    assert all(list(node)[: len(keys)] == keys for node in nodes)


def test_node_is_described_as_in_the_file(load: Load) -> None:
    node = load(TEXT, env={"HOME": "/h"}).raw["nodes"][1]
    assert node["path"] == "$HOME/a.py"
    assert (node["args"], node["env"]) == ("--x 1", {"A": 1, "B": "2", "C": True})
    assert node["inputs"] == {"t": "dora/timer/millis/200", "u": {"source": "a/o", "queue_size": 3}}
    assert (node["output_types"], node["cpu_affinity"]) == ({"o": "T"}, [1])
    assert node["deploy"] == {"machine": "m", "labels": {"k": "v"}}


def test_node_that_states_nothing_is_described_with_defaults(load: Load) -> None:
    node = load(TEXT, env={}).raw["nodes"][2]
    assert (node["outputs"], node["inputs"], node["env"]) == ([], {}, None)
    assert (node["restart_policy"], node["max_restarts"]) == ("never", 0)


def test_root_is_described_with_defaults(load: Load) -> None:
    raw = load("nodes: []").raw
    assert raw == {
        "nodes": [],
        "env": None,
        "deploy": None,
        "debug": {"enable_debug_inspection": False},
        "health_check_interval": None,
    }


def test_stated_root_keys_are_described(load: Load) -> None:
    raw = load(TEXT, env={}).raw
    assert (raw["env"], raw["health_check_interval"], raw["exit_when_nodes_finish"]) == ({"R": 1}, 2.0, True)
    assert raw["type_rules"] == [{"from": "A", "to": "B"}]


def test_node_config_holds_inputs_and_outputs(load: Load) -> None:
    raw = load(TEXT, env={}).raw
    inputs = {"t": "dora/timer/millis/200", "u": {"source": "a/o", "queue_size": 3}}
    assert node_config(raw, "a") == {"inputs": inputs, "outputs": ["o"]}
    assert node_config(raw, "b") == {"inputs": {}, "outputs": []}


def test_log_input_is_described_as_written(load: Load) -> None:
    raw = load("nodes: [{id: a, path: a.py, inputs: {l: dora/logs/INFO/a}}]").raw
    assert raw["nodes"][0]["inputs"] == {"l": "dora/logs/info/a"}
