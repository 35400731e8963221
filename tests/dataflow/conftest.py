"""What the tests of the model share: YAML text in, dataflow or problems out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dora.dataflow.descriptor import Dataflow
from dora.dataflow.load import load_dataflow
from dora.errors import DescriptorError

GRAPH = """
env: {SPEED: 2}
nodes:
  - id: camera
    path: camera.py
    outputs: [image, info]
    output_types: {image: std/core/v1/UInt8}
  - id: lamp
    path: lamp.py
    inputs: {on: {source: camera/info, queue_size: 3, queue_policy: backpressure}, tick: clock/tick}
    input_types: {on: std/core/v1/String}
  - id: clock
    path: dora/timer/millis/50
    outputs: [tick]
  - id: doubler
    operator: {python: double.py, inputs: {in: camera/info}, outputs: [doubled]}
"""
"""a graph that changes while it runs"""

Load = Callable[..., Dataflow]
Problems = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Writes the text to a file and loads it; the environment is empty unless given."""

    def load_text(text: str, **options: Any) -> Dataflow:
        file = tmp_path / "dataflow.yml"
        file.write_bytes(text.encode())
        return load_dataflow(file, **{"env": {}, **options})

    return load_text


@pytest.fixture
def graph(load: Load) -> Dataflow:
    """A camera, a reader, a timer and an operator."""
    return load(GRAPH)


@pytest.fixture
def problems(load: Load, tmp_path: Path) -> Problems:
    """What is wrong with the text, as `line:column: text` lines; empty if nothing is."""

    def problems_of(text: str, **options: Any) -> list[str]:
        try:
            load(text, **options)
        except DescriptorError as error:
            return [_without_file(line, tmp_path) for line in error.problems]
        return []

    return problems_of


@pytest.fixture
def warnings(load: Load, tmp_path: Path) -> Problems:
    """The warnings of a text that can be loaded, as `line:column: text` lines."""

    def warnings_of(text: str, **options: Any) -> list[str]:
        found = load(text, **options).warnings
        return [_without_file(line, tmp_path) for line in found]

    return warnings_of


def _without_file(line: str, folder: Path) -> str:
    """Module files keep their names."""
    return line.removeprefix(f"{folder}/").removeprefix("dataflow.yml:").lstrip()
