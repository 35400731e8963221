"""Tests of the nodes beside this file; `node_harness` comes with dora, as a plugin of pytest."""

import pyarrow as pa
import pytest
from dora.testing import MockNode, at


def test_smooth_sends_the_mean_of_the_last_two_distances(node_harness):
    result = node_harness("smooth.py").run([("distance", [1.0]), ("distance", [2.0])])
    assert [array.to_pylist() for array in result.outputs["smoothed"]] == [[1.0], [1.5]]


def test_smooth_passes_metadata_on(node_harness):
    result = node_harness("smooth.py").run([("distance", [1.0], {"frame": 7})])
    assert result.sent[0].metadata["frame"] == 7


def test_smooth_warns_when_the_sensor_is_silent(node_harness):
    result = node_harness("smooth.py").run([at(0.0, "distance", [1.0]), at(1.5, "distance", [1.0])])
    assert [line.message for line in result.logs] == ["no distance for a second"]


@pytest.mark.parametrize(("value", "limited"), [(1.0, 1.0), (7.0, 3.0)])
def test_limit_lets_nothing_above_3_pass(node_harness, value, limited):
    result = node_harness("limit_op.py").run([("value", [value])])
    assert result.outputs["limited"][0].to_pylist() == [limited]


def count_inputs(node) -> int:
    """Code that is handed its node needs no harness."""
    return sum(event["type"] == "INPUT" for event in node)


def test_code_that_is_handed_a_node_takes_a_mock():
    assert count_inputs(MockNode([("a", pa.array([1])), ("b", pa.array([2]))])) == 2
