"""What ports say about types, metadata and patterns."""

from __future__ import annotations

import pytest

from dataflow.conftest import Load, Problems

CORE = "std/core/v1"


def flow(sent: str = "", expected: str = "", root: str = "") -> str:
    output = f", output_types: {{o: '{sent}'}}" if sent else ""
    entry = f", input_types: {{i: '{expected}'}}" if expected else ""
    nodes = f"[{{id: a, path: a.py, outputs: [o]{output}}}, {{id: b, path: b.py, inputs: {{i: a/o}}{entry}}}]"
    return f"nodes: {nodes}\n{root}"


def test_types_that_fit_are_no_problem(load: Load) -> None:
    assert load(flow(f"{CORE}/UInt8", f"{CORE}/UInt64")).type_warnings == ()


def test_types_that_do_not_fit_are_named_with_what_to_do(warnings: Problems) -> None:
    (found,) = warnings(flow(f"{CORE}/Int64", f"{CORE}/Float64"))
    rule = f"`type_rules: [{{from: {CORE}/Int64, to: {CORE}/Float64}}]`"
    assert found == (
        f"1:139: node 'b': input 'i' expects {CORE}/Float64, but a/o is {CORE}/Int64 "
        f"(Int64 is sent, Float64 expected); mend one of them, or allow it with {rule}"
    )


def test_rule_allows_what_would_not_fit(load: Load) -> None:
    rule = f"type_rules: [{{from: {CORE}/Int64, to: {CORE}/Float64}}]"
    assert load(flow(f"{CORE}/Int64", f"{CORE}/Float64", rule)).type_warnings == ()


def test_parameters_that_differ_are_a_problem(warnings: Problems) -> None:
    audio = "std/media/v1/AudioFrame"
    (found,) = warnings(flow(f"{audio}[sample_type=f32]", f"{audio}[sample_type=i16]"))
    assert found.endswith(f"but a/o is {audio}[sample_type=f32]; change the type")


NAMES = [
    ("Image", "node 'a': output 'o': there is no type 'Image'; did you mean 'std/media/v1/Image'?"),
    ("std/media/v1/Imag", "there is no type 'std/media/v1/Imag'; did you mean 'std/media/v1/Image'?"),
    ("Flot32", "there is no type 'Flot32'; did you mean 'std/core/v1/Float32'?"),
    ("zzz", "node 'a': output 'o': there is no type 'zzz'"),
    ("a b", "expected a type such as std/core/v1/Float32, found 'a b'"),
    ("std/media/v1/AudioFrame[rate=1]", "type std/media/v1/AudioFrame has no parameter 'rate'; has: sample_type"),
    ("std/core/v1/Bool[x=1]", "type std/core/v1/Bool has no parameter 'x'; remove it"),
]


@pytest.mark.parametrize(("sent", "message"), NAMES)
def test_type_that_does_not_exist_is_explained(warnings: Problems, sent: str, message: str) -> None:
    (found,) = warnings(flow(sent))
    assert found.endswith(message)


def test_input_without_a_type_takes_that_of_its_output(load: Load) -> None:
    assert load(flow(f"{CORE}/Int8")).inferred_types == {"b/i": f"{CORE}/Int8"}


def test_untyped_output_is_a_problem_only_where_types_are_strict(load: Load, problems: Problems) -> None:
    assert load(flow(expected=f"{CORE}/Int8")).type_warnings == ()
    (found,) = problems(flow(expected=f"{CORE}/Int8", root="strict_types: true"))
    text = (
        f"node 'b': input 'i' expects {CORE}/Int8, but a/o states no type; add `output_types: {{o: {CORE}/Int8}}` there"
    )
    assert found.endswith(text)


def test_wrong_types_are_errors_where_types_are_strict(problems: Problems) -> None:
    text = flow(f"{CORE}/Int64", f"{CORE}/Float64")
    assert problems(text) == []
    assert len(problems(text + "strict_types: true")) == 1
    assert len(problems(text, has_strict_types=True)) == 1


@pytest.mark.parametrize(("source", "sent"), [("dora/timer/secs/1", "UInt64"), ("dora/logs", "String")])
def test_timers_and_log_entries_have_types(load: Load, warnings: Problems, source: str, sent: str) -> None:
    text = f"nodes: [{{id: a, path: a.py, inputs: {{i: {source}}}, input_types: {{i: {CORE}/%s}}}}]"
    assert load(text % sent).type_warnings == ()
    (found,) = warnings(text % "Float32")
    assert f"expects {CORE}/Float32, but dora/" in found


def test_timer_node_has_the_type_of_a_timer(warnings: Problems) -> None:
    nodes = (
        "{id: t, path: dora/timer/secs/1, outputs: [k]}, {id: a, path: a.py, inputs: {i: t/k}, input_types: {i: %s}}"
    )
    assert warnings(f"nodes: [{nodes % (CORE + '/UInt64')}]") == []


def test_operators_state_types_like_nodes(warnings: Problems) -> None:
    first = f"{{id: x, python: x.py, inputs: {{t: dora/timer/secs/1}}, outputs: [o], output_types: {{o: {CORE}/Int8}}}}"
    second = f"{{id: y, python: y.py, inputs: {{i: r/x/o}}, input_types: {{i: {CORE}/Bool}}}}"
    (found,) = warnings(f"nodes: [{{id: r, operators: [{first}, {second}]}}]")
    assert f"node 'r': operator 'y': input 'i' expects {CORE}/Bool, but r/x/o is {CORE}/Int8" in found


PORTS = [
    (f"output_types: {{p: {CORE}/Bool}}", "'output_types' names 'p', which is no output of this node; has: o"),
    (f"input_types: {{p: {CORE}/Bool}}", "'input_types' names 'p', which is no input of this node"),
    ("output_metadata: {p: [k]}", "'output_metadata' names 'p', which is no output of this node; has: o"),
    ("pattern: service-serve", "'pattern': expected one of service-server, service-client, action-server, action-cl"),
]


@pytest.mark.parametrize(("fields", "message"), PORTS)
def test_annotation_of_nothing_is_a_warning_about_types(load: Load, fields: str, message: str) -> None:
    (found,) = load(f"nodes: [{{id: a, path: a.py, outputs: [o], {fields}}}]").type_warnings
    assert message in found


def test_rule_names_types_that_exist(warnings: Problems) -> None:
    (found,) = warnings(flow(root=f"type_rules: [{{from: {CORE}/Flot32, to: {CORE}/Bool}}]"))
    assert found == f"2:21: 'type_rules': there is no type '{CORE}/Flot32'; did you mean '{CORE}/Float32'?"


def test_warnings_about_types_are_among_all_warnings(load: Load) -> None:
    dataflow = load(flow("zzz", root="odd: 1"))
    assert len(dataflow.warnings) == 2
    assert set(dataflow.type_warnings) < set(dataflow.warnings)
