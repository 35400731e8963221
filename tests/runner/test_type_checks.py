"""What a node is told to check."""

from __future__ import annotations

import pytest

from dora.dataflow.descriptor import Node
from dora.messages.node_runner import TypeCheck
from dora.runner.type_checks import type_checks

INT = "std/core/v1/Int64"
NODE = Node("a", "a.py", input_types={"i": INT}, output_types={"o": INT, "image": "std/media/v1/Image"})
ON_INPUT = TypeCheck("i", INT, ["int64"])


@pytest.mark.parametrize(("mode", "is_error"), [("1", False), ("true", False), ("WARN", False), ("error", True)])
def test_outputs_of_core_types_are_checked_where_asked_for(mode: str, is_error: bool) -> None:
    assert type_checks(NODE, mode) == [ON_INPUT, TypeCheck("o", INT, ["int64"], is_output=True, is_error=is_error)]


@pytest.mark.parametrize("mode", ["", "0", "off", "yes"])
def test_inputs_are_checked_always(mode: str) -> None:
    assert type_checks(NODE, mode) == [ON_INPUT]


def test_node_without_types_checks_nothing() -> None:
    assert type_checks(Node("a", "a.py"), "error") == []


def test_type_of_the_user_is_not_checked() -> None:
    assert type_checks(Node("a", "a.py", input_types={"i": "my/Own", "j": "a b"}), "error") == []
