"""The text of a file, or why there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from dora.dataflow.files import MAX_BYTES, read_text
from dora.dataflow.report import Report
from dora.errors import DescriptorError


def test_missing_file_names_the_one_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").touch()
    with pytest.raises(DescriptorError) as caught:
        read_text(str(tmp_path / "flow.yml"), Report("flow.yml"))
    assert str(caught.value) == f"flow.yml: file not found; did you mean '{tmp_path / 'flow.yaml'}'?"


def test_missing_file_in_a_missing_folder_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(DescriptorError, match=r"^f: file not found$"):
        read_text(str(tmp_path / "nowhere" / "flow.yml"), Report("f"))


def test_directory_is_refused_and_its_dataflows_are_named(tmp_path: Path) -> None:
    (tmp_path / "flow.yml").touch()
    with pytest.raises(DescriptorError) as caught:
        read_text(str(tmp_path), Report("d"))
    expected = f"expected a YAML file, found a directory; there is: {tmp_path / 'flow.yml'}"
    assert str(caught.value) == f"d: {expected}"


@pytest.mark.parametrize(("path", "reason"), [("a\0b", "embedded null byte"), ("x" * 5000, "File name too long")])
def test_impossible_file_names_are_one_problem(path: str, reason: str) -> None:
    with pytest.raises(DescriptorError, match=f"f: cannot read the file: .*{reason}"):
        read_text(path, Report("f"))


def test_text_that_is_not_utf_8_is_refused_with_the_place(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"a: 1\nb: \xff\xfe")
    with pytest.raises(DescriptorError, match="f:2:4: expected UTF-8 text, found byte 0xff; save the file as UTF-8"):
        read_text(str(tmp_path / "f"), Report("f"))


def test_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_text(str(tmp_path / "f"), Report("f")) == "a: 1"


def test_huge_file_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "f").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(DescriptorError, match="f: file is larger than 4194304 bytes"):
        read_text(str(tmp_path / "f"), Report("f"))


def test_directory_without_dataflows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DescriptorError, match=r"^d: expected a YAML file, found a directory$"):
        read_text(str(tmp_path), Report("d"))


def test_url_is_answered_with_what_to_do() -> None:
    with pytest.raises(DescriptorError, match=r"^f: file not found; a URL cannot stand here: download"):
        read_text("https://example.org/flow.yml", Report("f"))
