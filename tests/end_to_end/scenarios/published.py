"""Nodes as others have published them, installed by their `build` line: they run unmodified, on our dora.

Strategy: a checking node of ours looks at everything that comes out of them and prints what it counted; the dataflow is
stopped when it has seen enough.  Afterwards every environment that a build has touched is asked whose `dora` it holds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dora.runner.own_wheel import own_version, own_wheel
from end_to_end.running import Flow, wait_until
from end_to_end.scenarios.marks import Mark

PATIENCE_S = 400.0
"""for the builds, which may download 100 MB"""

ARM_CHECKER = """
import json, os
import pyarrow as pa
from dora import Node

node = Node()
wanted = int(os.environ["COUNT"])
found = {"positions": 0, "echoed": 0, "wrong": []}
target = pa.array([0.5 * joint for joint in range(8)], type=pa.float32())
for event in node:
    if event["type"] != "INPUT":
        continue
    value, metadata = event["value"], event["metadata"]
    if event["id"] == "position":
        found["positions"] += 1
        if type(metadata["timestamp"]) is not int or value.type != pa.float32() or len(value) != 8:
            found["wrong"].append(str((metadata, value)))
        if found["positions"] == 1:
            node.send_output("move", target)
        elif found["positions"] >= 5 and value != target:
            found["wrong"].append(str(value))
        node.send_output("text", pa.array([f"position {found['positions']}"]), {"n": found["positions"]})
    else:
        found["echoed"] += 1
        if value.to_pylist() != [f"position {metadata['n']}"]:
            found["wrong"].append(str((metadata, value)))
        if found["echoed"] == wanted:
            node.send_output("command", pa.array(["quit"]))
            break
print(json.dumps(found))
"""

IMAGE_CHECKER = """
import json, os
import numpy as np
import pyarrow as pa
from dora import Node

node = Node()
wanted = int(os.environ["COUNT"])
found = {"frames": 0, "jpegs": 0, "wrong": []}
boxes = {"bbox": [10.0, 10.0, 60.0, 60.0], "conf": [0.9], "labels": ["cup"]}
for event in node:
    if event["type"] != "INPUT":
        continue
    value, metadata = event["value"], event["metadata"]
    size = metadata["width"], metadata["height"]
    if event["id"] == "frame":
        found["frames"] += 1
        frame = value.to_numpy().reshape(size[1], size[0], 3)
        is_right = size == (320, 240) and metadata["encoding"] == "bgr8" and metadata["primitive"] == "image"
        is_right &= bool(frame.any()) and value.type == pa.uint8()
        node.send_output("bbox", pa.array([boxes]), {"format": "xyxy"})
        node.send_output("text", pa.array([f"frame {found['frames']}"]))
    else:
        found["jpegs"] += 1
        jpeg = value.to_numpy().tobytes()
        is_right = size == (160, 120) and jpeg[:2] == bytes([255, 216]) and jpeg[-2:] == bytes([255, 217])
    if not is_right:
        found["wrong"].append(f"{event['id']} {metadata}")
    if min(found["frames"], found["jpegs"]) >= wanted:
        break
print(json.dumps(found))
"""


def index_fault(folder: Path) -> str:
    """Why the package index cannot be used, or ""; `folder` is for what is downloaded."""
    options = ["-q", "--disable-pip-version-check", "--retries", "0", "--timeout", "10", "--no-deps", "-d", folder]
    command = [sys.executable, "-m", "pip", "download", *options, "dora-echo"]
    result = subprocess.run(command, capture_output=True, text=True)
    return result.stderr.strip().rpartition("\n")[2] if result.returncode else ""


def add_arm(flow: Flow, count: int) -> None:
    """Timer -> quitter -> mimicked arm -> checker -> echo -> checker; the arm's output `status` is not declared."""
    ticks = {"request_position": "dora/timer/millis/20", "command": "checker/command"}
    _add(flow, "dora-openarm-quitter", "quitter", inputs=ticks, outputs=["request_position"])
    requests = {"request_position": "quitter/request_position", "move_position": "checker/move"}
    _add(flow, "dora-openarm-dummy", "arm", inputs=requests, outputs=["position"])
    _add(flow, "dora-echo", "echo", inputs={"text": "checker/text"}, outputs=["text"])
    inputs = {"position": "arm/position", "text": "echo/text"}
    outputs = ["move", "text", "command"]
    flow.node("checker", ARM_CHECKER, inputs=inputs, outputs=outputs, env={"COUNT": count})


def add_cameras(flow: Flow, count: int) -> None:
    """Camera (no device: it draws its frames) -> echo -> plot and checker; mimicked camera -> checker."""
    tick = {"tick": "dora/timer/millis/50"}
    size = {"IMAGE_WIDTH": 320, "IMAGE_HEIGHT": 240, "CI": "true"}
    _add(flow, "opencv-video-capture", "camera", inputs=tick, outputs=["image"], env=size)
    small = {"IMAGE_WIDTH": 160, "IMAGE_HEIGHT": 120, "PATTERN": "ball"}
    _add(flow, "dora-openarm-dummy-camera", "mimic", inputs=tick, outputs=["image"], env=small)
    _add(flow, "dora-echo", "echo", inputs={"image": "camera/image"}, outputs=["image"])
    plotted = {"image": "echo/image", "bbox": "checker/bbox", "text": "checker/text"}
    _add(flow, "opencv-plot", "plot", inputs=plotted, env={"CI": "true"})
    inputs = {"frame": "echo/image", "jpeg": "mimic/image"}
    flow.node("checker", IMAGE_CHECKER, inputs=inputs, outputs=["bbox", "text"], env={"COUNT": count})


def _add(flow: Flow, package: str, name: str, **keys: Any) -> None:
    flow.other_node(name, package, build=f"pip install {package}", **keys)


def arm(flow: Flow, count: int, *options: str, **start: Any) -> list[Mark]:
    """Run the arm until `count` texts came back, see that the nodes it feeds end by themselves, and stop the rest."""
    add_arm(flow, count)
    found = _run_until_checked(flow, *options, ends_alone=("arm", "quitter", "echo"), **start)
    refused = sum("Ignoring output `status`" in line for line in flow.said("arm"))
    return [
        Mark("texts that came back from dora-echo", found["echoed"], "==", count),
        Mark("positions of dora-openarm-dummy", found["positions"], ">=", count),
        Mark("warnings of an undeclared output", refused, "==", 1),
        Mark("wrong messages", len(found["wrong"]), "==", 0),
    ]


def cameras(flow: Flow, count: int, *options: str, **start: Any) -> list[Mark]:
    """Run the cameras until `count` frames of each have come, and stop them."""
    add_cameras(flow, count)
    found = _run_until_checked(flow, *options, ends_alone=("checker",), **start)
    return [
        Mark("frames of opencv-video-capture through dora-echo", found["frames"], ">=", count),
        Mark("pictures of dora-openarm-dummy-camera", found["jpegs"], ">=", count),
        Mark("wrong pictures", len(found["wrong"]), "==", 0),
        Mark("lines that opencv-plot said", len(flow.said("plot")), "==", 0),
    ]


def managed(flow: Flow, count: int) -> list[Mark]:
    """All of them, each in an environment that `--uv` makes."""
    marks: list[Mark] = []
    for scenario, folder in ((arm, flow.folder / "arm"), (cameras, flow.folder / "cameras")):
        with _part(folder) as part:
            marks += [*scenario(part, count, "--uv"), *foreign_doras(folder)]
    return marks


def prepared(flow: Flow, count: int) -> list[Mark]:
    """All of them in one virtual environment that holds our dora, filled by pip; then a package for dora 0.3.5 only."""
    venv = flow.folder / "venv"
    variables = _prepared_environment(venv)
    marks: list[Mark] = []
    for scenario, folder in ((arm, flow.folder / "arm"), (cameras, flow.folder / "cameras")):
        with _part(folder) as part:
            marks += scenario(part, count, environment=variables)
            marks += foreign_dora(venv / "bin" / "python", f"the {folder.name}")
    with _part(flow.folder / "stubborn") as part:
        part.other_node("stubborn", "video-encoder", build="pip install video-encoder")
        ended = part.run(environment=variables, timeout_s=PATIENCE_S)
        marks.append(Mark("refusals of a package for dora-rs 0.3.5", "; use --uv, which" in ended.stderr, "==", 1))
    return [*marks, *foreign_dora(venv / "bin" / "python", "the refused package")]


def managed_stubborn(flow: Flow, count: int) -> list[Mark]:
    """A package for dora-rs 0.3.5 alone is installed beside ours where `--uv` manages the environment."""
    flow.node("stubborn", "import video_encoder; print('imported')", build="pip install video-encoder")
    ended = flow.run("--uv", timeout_s=PATIENCE_S)
    assert ended.code == 0, ended
    return [Mark("imports", flow.said("stubborn").count("imported"), "==", 1), *foreign_doras(flow.folder)]


def _run_until_checked(flow: Flow, *options: str, ends_alone: tuple[str, ...], **start: Any) -> Any:
    run = flow.start(*options, **start)
    run.wait_said("checker", "{", timeout_s=PATIENCE_S)
    wait_until(lambda: not set(ends_alone) & run.nodes().keys(), what=f"the end of {', '.join(ends_alone)}")
    ended = run.stop()
    assert ended.code == 0, ended
    return flow.figures("checker")


def foreign_doras(folder: Path) -> list[Mark]:
    """`foreign_dora` of all managed environments of a folder."""
    pythons = sorted(folder.glob(".dora/python-envs/*/bin/python"))
    assert pythons
    return [mark for python in pythons for mark in foreign_dora(python, python.parts[-3])]


def foreign_dora(python: Path, name: str) -> list[Mark]:
    """Whether an environment imports another dora than ours, or lists another version of it."""
    question = "import dora, importlib.metadata as m; print(dora.__version__, m.version('dora-rs'), dora.__file__)"
    answer = subprocess.run([python, "-c", question], capture_output=True, text=True, check=True, cwd="/")
    imported, listed, file = answer.stdout.split()
    is_ours = {imported, listed} == {own_version()} and (Path(file).parent / "runner" / "minder.py").exists()
    return [Mark(f"foreign dora in the environment of {name}", not is_ours, "==", 0)]


@contextmanager
def _part(folder: Path) -> Iterator[Flow]:
    """One of several dataflows of a run; nothing of it may be left."""
    folder.mkdir()
    part = Flow(folder)
    try:
        yield part
    finally:
        left = part.leftovers()
    assert not left, "\n".join(left)


def _prepared_environment(folder: Path) -> dict[str, str]:
    """Make a virtual environment with our dora in it; returns the variables that activate it."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    wheel = own_wheel(folder / "wheel")
    subprocess.run([folder / "bin" / "pip", "install", "-q", wheel], check=True, stderr=subprocess.DEVNULL)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {"VIRTUAL_ENV": str(folder), "PATH": path}
