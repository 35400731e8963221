"""Builds with managed environments, as users have them: real packages, real commands, several at once."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from end_to_end.running import Flow
from end_to_end.scenarios.marks import Mark

PATIENCE_S = 500.0

TWO_NUMPYS = """
import json, os
import numpy as np
import pyarrow as pa
import dora
from dora import Node

node = Node()
me, wanted = os.environ["ME"], int(os.environ["COUNT"])
found = {"numpy": np.__version__, "dora": dora.__version__, "right": 0, "wrong": 0}
expected = np.arange(1000, dtype=np.float32)
if me == "old":
    node.send_output("array", expected)
for event in node:
    if event["type"] != "INPUT":
        continue
    value = event["value"].to_numpy()
    step = event["metadata"].get("step", 0)
    is_right = value.dtype == np.float32 and np.array_equal(value, expected + step)
    found["right" if is_right else "wrong"] += 1
    if found["right"] + found["wrong"] < wanted:
        node.send_output("array", value + np.float32(1), {"step": step + 1})
    else:
        node.send_output("array", value + np.float32(1), {"step": step + 1})
        break
print(json.dumps(found))
"""

INSIDE = """
import json, os, shutil, subprocess, sys
from importlib.metadata import version

found = {"prefix": sys.prefix, "pip": shutil.which("pip"), "python": shutil.which("python")}
subprocess.run(["pip", "install", "--quiet", "idna==3.6"], check=True)
subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "chardet==5.1.0"], check=True)
found["idna"], found["chardet"] = version("idna"), version("chardet")
found["script"] = shutil.which("chardetect")
subprocess.run(["pip", "install", "--quiet", "--upgrade", "dora-rs"], check=True)
import dora
found["dora"] = dora.__version__
found["file"] = dora.__file__
print(json.dumps(found))
"""


def build(
    flow: Flow, folder: Path, *options: str, **environment: str
) -> tuple[subprocess.CompletedProcess[str], float]:
    """`dora build` in a folder to its end; returns what it said, and how long it took."""
    started_s = time.monotonic()
    process = start_build(flow, folder, *options, **environment)
    output, _ = process.communicate(timeout=PATIENCE_S)
    wall_s = time.monotonic() - started_s
    return subprocess.CompletedProcess(process.args, process.returncode, output, ""), wall_s


def start_build(flow: Flow, folder: Path, *options: str, **environment: str) -> subprocess.Popen[str]:
    """Start `dora build` of the dataflow in a folder."""
    command = [sys.executable, "-m", "dora", "build", *options, "dataflow.yml"]
    env = {**flow.environment, **environment}
    return subprocess.Popen(command, env=env, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def write(folder: Path, nodes: list[dict[str, Any]]) -> None:
    """A dataflow whose nodes do nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    for node in nodes:
        (folder / node["path"]).write_text("import dora\n")
    (folder / "dataflow.yml").write_text(yaml.safe_dump({"nodes": nodes}))


def two_numpys(flow: Flow, count: int) -> list[Mark]:
    """numpy 1.26 and numpy 2 in one graph, arrays in both directions."""
    for me, other, numpy in (("old", "new", "numpy==1.26.4"), ("new", "old", "numpy>=2")):
        env = {"ME": me, "COUNT": count}
        inputs = {"in": {"source": f"{other}/array", "queue_size": 10}}
        flow.node(me, TWO_NUMPYS, build=f"pip install '{numpy}'", env=env, inputs=inputs, outputs=["array"])
    ended = flow.run("--uv", timeout_s=PATIENCE_S)
    assert ended.code == 0, str(ended)
    old, new = flow.figures("old"), flow.figures("new")
    print(f"  old: {old}\n  new: {new}")
    return [
        Mark("numpy of the old node, major version", int(old["numpy"].split(".")[0]), "==", 1),
        Mark("numpy of the new node, major version", int(new["numpy"].split(".")[0]), "==", 2),
        Mark("arrays that arrived right at the old node", old["right"], ">=", count - 1),
        Mark("arrays that arrived right at the new node", new["right"], ">=", count - 1),
        Mark("arrays that arrived wrong", old["wrong"] + new["wrong"], "==", 0),
    ]


def hermetic(flow: Flow, count: int) -> list[Mark]:
    """What a node installs stays in its environment, whatever is active between build and run."""
    flow.node("tool", INSIDE, build="pip install 'idna==3.4'")
    (flow.folder / "dataflow.yml").write_text(
        yaml.safe_dump({"nodes": [{"id": "tool", "path": "tool.py", "build": "pip install 'idna==3.4'"}]})
    )
    before = installed()
    built, _ = build(flow, flow.folder, "--uv")
    assert built.returncode == 0, built.stdout
    marks: list[Mark] = []
    bare = flow.folder / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    around: list[dict[str, str]] = [
        {},
        {"VIRTUAL_ENV": str(bare), "PATH": f"{bare}/bin:{os.environ['PATH']}"},
        {"PYTHONPATH": str(bare), "PIP_TARGET": str(bare / "target"), "PIP_USER": "1", "UV_PYTHON": "/no/such"},
    ]
    env = str(flow.folder / ".dora" / "python-envs" / "tool")
    for turn in range(count):
        ended = flow.run("--uv", timeout_s=PATIENCE_S, environment=around[turn % len(around)])
        assert ended.code == 0, str(ended)
        found = flow.figures("tool")
        paths = [found["prefix"], found["pip"], found["python"], found["script"], found["file"]]
        marks.append(Mark(f"turn {turn}: programs and packages outside", sum(env not in p for p in paths), "==", 0))
        marks.append(Mark(f"turn {turn}: idna 3.6", found["idna"] == "3.6", "==", 1))
    marks.append(Mark("packages changed in the environment of dora", len(before ^ installed()), "==", 0))
    made = {path.name for path in flow.folder.iterdir() if not path.name.startswith("std")}
    extra = made - {".dora", "out", "bare", "tool.py", "dataflow.yml"}
    marks.append(Mark(f"other things in the folder {sorted(extra)}", len(extra), "==", 0))
    return marks


def installed() -> set[str]:
    """The packages of the interpreter that runs this."""
    command = [sys.executable, "-m", "pip", "list", "--format=json"]
    listed = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return {f"{package['name']} {package['version']}" for package in listed}


def rebuilding(flow: Flow, count: int) -> list[Mark]:
    """Three nodes with environments: the first build, then builds without changes."""
    nodes = [{"id": f"n{number}", "path": f"n{number}.py", "build": "pip install 'idna>=3'"} for number in range(3)]
    write(flow.folder, nodes)
    first, first_s = build(flow, flow.folder, "--uv")
    assert first.returncode == 0, first.stdout
    times = []
    for _ in range(count):
        again, wall_s = build(flow, flow.folder, "--uv")
        assert again.returncode == 0, again.stdout
        assert "unchanged, not built again: n0, n1, n2" in again.stdout, again.stdout
        times.append(wall_s)
    write(flow.folder, [*nodes[:2], {**nodes[2], "build": "pip install 'idna>=2'"}])
    changed, changed_s = build(flow, flow.folder, "--uv")
    assert "unchanged, not built again: n0, n1\n" in changed.stdout, changed.stdout
    print(
        f"  first build {first_s:.2f} s, one of three changed {changed_s:.2f} s, unchanged {min(times):.3f} s at best"
    )
    return [Mark("build without changes, median of s", statistics.median(times), "<=", 0.3)]


def at_once(flow: Flow, count: int) -> list[Mark]:
    """Builds of several folders, and several of the same folder, started together from an empty cache of wheels."""
    cache = flow.folder / "cache"
    folders = [flow.folder / f"flow {turn % 2}" for turn in range(count)]
    for folder in set(folders):
        nodes = [{"id": name, "path": f"{name}.py", "build": f"pip install '{what}'"} for name, what in PAIRS]
        write(folder, nodes)
    processes = [start_build(flow, folder, "--uv", XDG_CACHE_HOME=str(cache)) for folder in folders]
    outputs = [process.communicate(timeout=PATIENCE_S)[0] for process in processes]
    failed = [output for process, output in zip(processes, outputs, strict=True) if process.returncode]
    broken = 0
    for folder in set(folders):
        for name, what in PAIRS:
            python = folder / ".dora" / "python-envs" / name / "bin" / "python"
            check = f"import dora, numpy; assert numpy.__version__.startswith('{what.split('==')[1]}')"
            broken += subprocess.run([python, "-c", check], cwd="/", check=False).returncode != 0
    for output in failed:
        print(output)
    return [
        Mark("builds that failed", len(failed), "==", 0),
        Mark("environments that are broken", broken, "==", 0),
        Mark("builds that found it done", sum("unchanged, not" in output for output in outputs), ">=", count - 2),
    ]


PAIRS = (("one", "numpy==1.26.4"), ("two", "numpy==2.1.3"))
