"""One line of YAML for every key, shown by the documentation and by editors.

Strategy: the tables of `schema.py` say what keys mean; what to write is shown here, by the table that a key is in.
Keys that nodes and operators share are listed once, under `node`.  A test reads every example with the loader.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

EXAMPLES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "root": {
            "nodes": "nodes: [{id: camera, path: camera.py, outputs: [image]}]",
            "env": "env: {SPEED: 2, HOST: '${HOST:-localhost}'}",
            "health_check_interval": "health_check_interval: 2",
            "exit_when_nodes_finish": "exit_when_nodes_finish: true",
            "strict_types": "strict_types: true",
            "type_rules": "type_rules: [{from: std/core/v1/Int32, to: std/core/v1/Float64}]",
            "debug": "debug: {enable_debug_inspection: true}",
            "deploy": "deploy: {machine: robot}",
        },
        "node": {
            "id": "id: camera",
            "name": "name: Front camera",
            "description": "description: Sends a picture at every tick.",
            "env": "env: {DEVICE: 0, TOKEN: $CAMERA_TOKEN}",
            "deploy": "deploy: {machine: robot}",
            "path": "path: camera.py",
            "path_sha256": f"path_sha256: {'9f' * 32}",
            "args": "args: --device 0 --name 'front camera'",
            "build": "build: pip install -r requirements.txt",
            "git": "git: https://github.com/user/camera.git",
            "branch": "branch: main",
            "tag": "tag: v1.2.0",
            "rev": "rev: 2f1acc8",
            "python": "python: /usr/bin/python3.12",
            "venv": "venv: .venv",
            "conda": "conda: vision",
            "inputs": "inputs: {tick: dora/timer/hz/30}",
            "outputs": "outputs: [image, info]",
            "input_types": "input_types: {image: std/media/v1/Image}",
            "output_types": "output_types: {image: std/media/v1/Image}",
            "output_framing": "output_framing: {image: arrow-ipc}",
            "output_metadata": "output_metadata: {image: [width, height]}",
            "pattern": "pattern: service-server",
            "shared_memory_pool_size": "shared_memory_pool_size: 64MB",
            "send_stdout_as": "send_stdout_as: printed",
            "send_logs_as": "send_logs_as: logs",
            "min_log_level": "min_log_level: info",
            "max_log_size": "max_log_size: 10MB",
            "max_rotated_files": "max_rotated_files: 3",
            "restart_policy": "restart_policy: on-failure",
            "max_restarts": "max_restarts: 3",
            "restart_delay": "restart_delay: 0.5",
            "max_restart_delay": "max_restart_delay: 10",
            "restart_window": "restart_window: 60",
            "health_check_timeout": "health_check_timeout: 5",
            "startup_timeout": "startup_timeout: 30",
            "finish_grace_secs": "finish_grace_secs: 10",
            "cpu_affinity": "cpu_affinity: [0, 1]",
            "operator": "operator: {python: detect.py, inputs: {image: camera/image}, outputs: [boxes]}",
            "operators": "operators: [{id: detect, python: detect.py, inputs: {image: camera/image}}]",
            "module": "module: modules/camera.yml",
            "params": "params: {device: 0}",
            "ros2": "ros2: {}",
            "hub": "hub: namespace/name",
        },
        "operator": {
            "id": "id: detect",
            "python": "python: detect.py",
            "shared-library": "shared-library: detect",
            "wasm": "wasm: detect.wasm",
        },
        "input": {
            "source": "source: camera/image",
            "queue_size": "queue_size: 1",
            "queue_policy": "queue_policy: backpressure",
            "input_timeout": "input_timeout: 0.5",
        },
        "python_source": {"source": "source: detect.py", "conda_env": "conda_env: vision"},
        "deploy": {
            "machine": "machine: robot",
            "labels": "labels: {gpu: 'true'}",
            "working_dir": "working_dir: robot",
            "distribute": "distribute: http",
        },
        "debug": {"enable_debug_inspection": "enable_debug_inspection: true"},
        "type_rule": {"from": "from: std/core/v1/Int32", "to": "to: std/core/v1/Float64"},
        "module_header": {
            "name": "name: camera",
            "inputs": "inputs: [tick]",
            "inputs_optional": "inputs_optional: [settings]",
            "outputs": "outputs: [image]",
        },
        "module_file": {
            "module": "module: {name: camera, inputs: [tick], outputs: [image]}",
            "nodes": "nodes: [{id: driver, path: driver.py, inputs: {tick: _mod/tick}, outputs: [image]}]",
            "build": "build: pip install -r requirements.txt",
        },
    }
)


def example(table: str, key: str) -> str:
    """What to write; operators show the examples of nodes where they have none of their own."""
    found = EXAMPLES[table].get(key)
    return EXAMPLES["node"][key] if found is None and table == "operator" else found or ""
