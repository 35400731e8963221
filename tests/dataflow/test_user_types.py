"""Types that stand below `types/` beside the dataflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataflow.conftest import Load, Problems
from dora.dataflow.report import Report
from dora.dataflow.std_types import Type, TypeField
from dora.dataflow.user_types import read_user_types

USES = "nodes: [{id: a, path: a.py, outputs: [o], output_types: {o: %s}}]"
LIDAR = """\
types:
  Scan:
    arrow: Struct
    description: One turn.
    params: [{name: rate, default: 10}, {name: kind}]
    metadata: [angle]
    fields:
      - {name: points, type: List<Vector3>}
      - {name: count, type: UInt32, nullable: false}
  Raw: {arrow: LargeBinary}
"""


@pytest.fixture
def types(tmp_path: Path) -> Path:
    """A file of types."""
    (tmp_path / "types" / "my").mkdir(parents=True)
    file = tmp_path / "types" / "my" / "lidar.yml"
    file.write_text(LIDAR)
    return file


def test_types_are_named_after_their_file(types: Path) -> None:
    report = Report("f")
    scan, raw = read_user_types(str(types.parent.parent.parent / "f.yml"), report)
    assert scan == Type(
        "my/lidar/Scan",
        "Struct",
        (TypeField("points", "List<Vector3>"), TypeField("count", "UInt32", is_nullable=False)),
        {"rate": "10", "kind": None},
        "One turn.",
        ("angle",),
    )
    assert raw == Type("my/lidar/Raw", "LargeBinary")
    assert report.error_lines() == report.warning_lines() == []


def test_dataflow_may_use_them(load: Load, types: Path) -> None:
    dataflow = load(USES % "'my/lidar/Scan[rate=20]'")
    assert (dataflow.type_warnings, dataflow.user_types) == ((), ("my/lidar/Scan", "my/lidar/Raw"))


def test_files_are_left_alone_where_no_port_states_a_type(load: Load, types: Path) -> None:
    types.write_text("broken: [")
    assert load("nodes: [{id: a, path: a.py, outputs: [o]}]").user_types == ()


def test_dataflow_without_types_of_its_own_knows_the_standard_ones(load: Load) -> None:
    assert load(USES % "std/core/v1/Bool").type_warnings == ()


WRONG = [
    ("", "types/my/lidar.yml: expected a mapping with 'types'; add `types: {Name: {arrow: Float32}}`"),
    ("x: 1", "types/my/lidar.yml: expected a mapping with 'types'"),
    ("types: [x]", "types/my/lidar.yml:1:8: 'types': expected a mapping from name to type, found a list"),
    (
        "types: {A: {}}",
        "types/my/lidar.yml:1:12: 'types': 'A': expected a text as 'arrow', found none; add `arrow:",
    ),
    (
        "types: {A: {arrow: Struct, fields: [{name: x, type: Flot32}]}}",
        "types/my/lidar.yml:1:37: type 'my/lidar/A': field 'x': there is no type 'Flot32'",
    ),
    ("types: [", "types/my/lidar.yml:2:1: not valid YAML: "),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_wrong_file_of_types_is_explained(problems: Problems, types: Path, text: str, message: str) -> None:
    types.write_text(text)
    assert any(line.startswith(message) for line in problems(USES % "std/core/v1/Bool"))


def test_names_of_the_standard_library_are_taken(problems: Problems, types: Path) -> None:
    types.parent.rename(types.parent.parent / "std")
    (found,) = problems(USES % "std/core/v1/Bool")
    assert found == "types/std/lidar.yml: names that start with std/ are those of dora; rename the file"
