"""What `dora topic pub` makes of JSON."""

from __future__ import annotations

from pathlib import Path

import click
import pyarrow as pa
import pytest

from dora.cli.main import run_command
from dora.cli.payloads import array_of, document, documents_of_file, documents_of_lines, wanted_type

BYTES = ("large_binary", "binary", "binary_view", "uint8")
ARRAYS = [
    (42, None, (), pa.array([42])),
    ([1, 2.5], None, (), pa.array([1.0, 2.5])),
    ("hello", None, (), pa.array(["hello"])),
    ({"t": 25.5}, None, (), pa.array([{"t": 25.5}])),
    ([1, 2], pa.float32(), (), pa.array([1, 2], pa.float32())),
    ([1, 2], None, ("float",), pa.array([1, 2], pa.float32())),
    ([1, 2], None, BYTES, pa.array([1, 2], pa.uint8())),
    ("0aff", None, BYTES, pa.array([b"\x0a\xff"], pa.large_binary())),
]


@pytest.mark.parametrize(("data", "kind", "accepted", "expected"), ARRAYS)
def test_json_becomes_an_array_of_the_wanted_or_stated_or_fitting_type(
    data: object, kind: object, accepted: tuple[str, ...], expected: pa.Array
) -> None:
    assert array_of(data, kind, accepted, "std/core/v1/X").equals(expected)


def test_what_does_not_have_the_type_of_the_output_is_refused() -> None:
    with pytest.raises(click.ClickException, match="the output is std/core/v1/Int32: expected data of Arrow"):
        array_of([1.5], None, ("int32",), "std/core/v1/Int32")
    with pytest.raises(click.ClickException, match=r"is std/core/v1/Int32 \(int32\), but --type says double"):
        array_of([1.5], pa.float64(), ("int32",), "std/core/v1/Int32")


def test_a_type_is_a_name_or_json() -> None:
    assert wanted_type("Float32") == wanted_type("float32") == pa.float32()
    assert wanted_type('{"FixedSizeBinary": 4}') == pa.binary(4)
    with pytest.raises(click.UsageError, match="--type: there is no data type 'Flot32'"):
        wanted_type("Flot32")


def test_a_file_holds_one_document_or_one_in_each_line(tmp_path: Path) -> None:
    file = tmp_path / "data.json"
    for text, found in (('{"a":\n [1,\n 2]}', [{"a": [1, 2]}]), ("1\n\n[2]\n", [1, [2]]), ('"one"', ["one"])):
        file.write_text(text)
        assert documents_of_file(str(file)) == found


def test_lines_are_handed_on_as_they_come() -> None:
    lines = iter(["1\n", "no\n"])
    found = documents_of_lines(lines, "stdin")
    assert next(found) == 1
    with pytest.raises(click.ClickException, match="stdin, line 2, is no JSON"):
        next(found)


def test_a_text_without_quotes_is_explained() -> None:
    with pytest.raises(click.ClickException, match=r"the message is no JSON: .*; a text needs quotes of its own"):
        document("hello", "the message")


WRONG = [
    (("a/b",), 2, "error: say what to send: either JSON behind the output, or --file FILE"),
    (("a/b", "1", "--file", "x"), 2, "error: say what to send: either JSON"),
    (("a/b", "1", "--metadata", "7"), 2, "error: --metadata must be an object"),
    (("a/b", "1", "--metadata", '{"n": 18446744073709551616}'), 2, "error: --metadata: Python int too large"),
    (("a/b", "1", "--metadata", '{"n": %s}' % ("[" * 200 + "]" * 200)), 2, "error: --metadata: metadata 'n' is nested"),
    (("a/b", "[" * 100_000), 1, "error: the message is nested too deep"),
    (("a/b", "--file", "-", "--count", "2"), 2, "error: stdin can be sent only once"),
    (("a/b", "--file", "nowhere.json"), 1, "error: cannot read nowhere.json: "),
    (("a/b", "1", "--cuont", "7"), 2, "error: no such option: --cuont"),
    (("a/b", "1", "--rate", "0"), 2, "error: invalid value for '--rate'"),
]


@pytest.mark.parametrize(("words", "code", "text"), WRONG)
def test_a_wrong_command_line_is_refused_before_anything_runs(
    words: tuple[str, ...], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["topic", "pub", *words]) == code
    assert capsys.readouterr().err.startswith(text)
