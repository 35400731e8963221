"""Every example runs, as it stands, with the real command."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def copied(name: str, folder: Path) -> Path:
    """A fresh copy of an example, without what earlier runs left; returns its dataflow file."""
    skip = shutil.ignore_patterns(".dora", "out", "result", "__pycache__")
    return Path(shutil.copytree(EXAMPLES / name, folder / name, ignore=skip)) / "dataflow.yml"


def dora_run(dataflow: Path, *options: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """`dora run` of that file, from the command line."""
    command = [sys.executable, "-m", "dora", "run", *options, str(dataflow)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)


def png_size(path: Path) -> tuple[int, int]:
    """Width and height from a PNG's header (PNG specification, IHDR)."""
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", data[16:24])


def frames_in(video: Path, python: Path) -> int:
    """How many frames OpenCV, in the environment of `python`, reads from the video."""
    code = "import cv2, sys; v = cv2.VideoCapture(sys.argv[1]); print(sum(1 for _ in iter(lambda: v.read()[0], False)))"
    result = subprocess.run([python, "-c", code, video], capture_output=True, text=True, check=True, timeout=60)
    return int(result.stdout)


@pytest.mark.slow
def test_hello_world_prints_all_100_messages_in_order(tmp_path: Path) -> None:
    result = dora_run(copied("hello-world", tmp_path))
    assert result.returncode == 0, result.stderr
    received = [line.split("Received ")[1] for line in result.stdout.splitlines() if "Received " in line]
    assert received == [f"message: [{i}]" for i in range(100)]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_face_detection_ends_by_itself_with_video_and_sheet(tmp_path: Path) -> None:
    dataflow = copied("face-detection", tmp_path)
    result = dora_run(dataflow, "--uv", timeout_s=500)
    assert result.returncode == 0, result.stderr
    said = re.search(r"120 frames, a face in (\d+) of them", result.stdout)
    assert said, result.stdout
    assert int(said[1]) > 60
    folder = dataflow.parent
    python = folder / ".dora" / "python-envs" / "plot" / "bin" / "python"
    assert frames_in(folder / "result" / "annotated.mp4", python) == 120
    assert png_size(folder / "result" / "contact-sheet.png") == (1266, 692)


SAID = {
    "python-dataflow": ["68.0 degree Fahrenheit", "75.2 degree Fahrenheit"],
    "python-async": ["50 results, the last is 98"],
    "python-drain": ["drained 100 messages at once, 0 to 99"],
    "python-concurrent-rw": ["sent and received 100 messages in two threads"],
    "python-multiple-arrays": ["left: (48, 64, 3), mean 10", "right: (48, 64, 3), mean 20"],
    "python-logging": ["details of item 2", "item 2 is late", "ZeroDivisionError: division by zero"],
    "python-zero-copy-send": ["frame of (1080, 1920, 3), all 0", "frame of (1080, 1920, 3), all 2"],
    "parameters": ["step is 5", "parameters of ramp: {'step': 5}", "step is 1 again"],
    "service": ["4 squared is 16", "the timer ticked meanwhile: True"],
    "action": ["to 3: succeeded", "to 1000, canceled on the way: canceled"],
    "python-testing": ["at most 3.0, the last is 3.0"],
    "streaming": ["segment 0: The arm is ready", "segment 1: Please step back"],
}
"""Lines that an example prints, in this order."""


@pytest.mark.slow
@pytest.mark.parametrize("name", SAID)
def test_example_says_what_its_page_promises(tmp_path: Path, name: str) -> None:
    result = dora_run(copied(name, tmp_path))
    assert result.returncode == 0, result.stderr
    ends = [line for line in result.stdout.splitlines() if line.endswith(tuple(SAID[name]))]
    assert [line[-len(text) :] for line, text in zip(ends, SAID[name], strict=True)] == SAID[name], result.stdout


@pytest.mark.slow
def test_operators_find_the_spot_and_smooth_its_position(tmp_path: Path) -> None:
    result = dora_run(copied("python-operator-dataflow", tmp_path))
    assert result.returncode == 0, result.stderr
    assert "smoothed 100 positions" in result.stdout
    found = re.search(r"found: \d+ positions, (0\.\d+) pixels off on average", result.stdout)
    assert found, result.stdout
    assert "smoothed: " in result.stdout


@pytest.mark.slow
def test_nodes_and_operators_of_dora_0_1_run_as_they_are(tmp_path: Path) -> None:
    result = dora_run(copied("legacy-0.1", tmp_path))
    assert result.returncode == 0, result.stderr
    said = [line.partition("printer: ")[2] for line in result.stdout.splitlines() if "printer: " in line]
    assert [line for line in said if line.startswith("string")] == ["string b'string'"] * 10
    assert [line for line in said if line.startswith("counter")] == [f"counter {bytes([n])!r}" for n in range(1, 11)]
    assert "counted 10" in result.stdout


@pytest.mark.slow
def test_dataflow_that_is_made_in_python_runs_and_writes_the_file_that_stands_there(tmp_path: Path) -> None:
    dataflow = copied("python-dataflow-builder", tmp_path)
    written = dataflow.read_text()
    dataflow.unlink()
    command = [sys.executable, dataflow.with_name("dataflow.py")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "total: 5 ticks, 10 squares" in result.stdout, result
    assert dataflow.read_text() == written


@pytest.mark.slow
def test_tests_of_an_example_pass(tmp_path: Path) -> None:
    folder = copied("python-testing", tmp_path).parent
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "dora.testing.plugin"]
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # sooner
    result = subprocess.run(
        [*command, "--rootdir", folder, folder],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env=environ,
        check=False,
    )
    assert "6 passed" in result.stdout, result.stdout + result.stderr
