"""Any file has a picture, or a problem that says why not."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dora.dataflow.flattened import flatten_dataflow
from dora.dataflow.picture import graph_of_file
from dora.dataflow.schema import INPUT_FIELDS, NODE_FIELDS, OPERATOR_FIELDS, ROOT_FIELDS
from dora.errors import DescriptorError


def mapping(known: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these keys."""
    return st.fixed_dictionaries({}, optional=known)


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "a", "b/o", "a/op/o", "x.py"]))
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), mapping({"a": inner, "b": inner}))
)


def keys(table: Any, own: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some keys of a table, most of them right where `own` says how."""
    return mapping({**dict.fromkeys(table, ANYTHING), **own})


SOURCES = st.sampled_from(["a/o", "b/o", "b/op/o", "a", "dora/timer/hz/30", "dora/timer/x", "dora/logs/info/a", "", 5])
INPUTS = mapping({"i": SOURCES, "j": st.one_of(SOURCES, keys(INPUT_FIELDS, {"source": SOURCES}))})
PORTS = {"inputs": st.one_of(INPUTS, ANYTHING), "outputs": st.one_of(st.just(["o"]), ANYTHING)}
OPERATORS = keys(OPERATOR_FIELDS, {**PORTS, "id": st.sampled_from(["op", "p", 5]), "python": st.just("o.py")})
NODES = keys(
    NODE_FIELDS,
    {
        **PORTS,
        "id": st.sampled_from(["a", "b", "a.b", ".", 5]),
        "path": st.sampled_from(["x.py", "dynamic", "dora/timer/hz/30", "dora/timer", ""]),
        "operator": st.one_of(OPERATORS, ANYTHING),
        "operators": st.one_of(st.lists(OPERATORS, max_size=2), ANYTHING),
    },
)
FILES = keys(ROOT_FIELDS, {"nodes": st.one_of(st.lists(NODES, max_size=3), ANYTHING)})


@settings(max_examples=150, deadline=None)
@given(FILES)
@pytest.mark.slow
def test_every_file_has_a_picture_or_a_problem(content: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "f.yml")
        file.write_text(json.dumps(content))
        graph, problems = graph_of_file(file)
        assert graph is not None or problems
        if graph is not None:
            assert graph.page("f.yml").endswith("</html>\n")
            assert graph.mermaid().startswith("flowchart TB\n")
            assert graph.svg().startswith("<svg ")
        try:
            assert flatten_dataflow(file).text
        except DescriptorError as error:
            assert error.problems  # noqa: PT017  # an error is as good as a text
