"""Bytes become the same lines, however they are chunked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dora.runner.log_lines import LIMIT_BYTES, TRUNCATED, UPDATE_INTERVAL_NS, LineSplitter

PIECES = st.sampled_from([b"a", b"bc", b"\n", b"\r", b"\r\n", b"\xc3\xa9", b"\xe2", b"\xff", b"", b"0123456789abcdef"])


def lines_of(chunks: list[bytes], limit_bytes: int = LIMIT_BYTES) -> list[str]:
    splitter = LineSplitter(limit_bytes)
    lines = [line for chunk in chunks for line in splitter.feed(chunk, 0)]
    return lines + splitter.close(0)


@given(st.lists(PIECES), st.sampled_from([4, 10, LIMIT_BYTES]))
def test_any_chunking_gives_the_same_lines(pieces: list[bytes], limit_bytes: int) -> None:
    whole = b"".join(pieces)
    expected = lines_of([whole], limit_bytes)
    assert lines_of(pieces, limit_bytes) == expected
    assert lines_of([bytes([byte]) for byte in whole], limit_bytes) == expected


@given(st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b"\xc3\xa9", b"\xe2", b"\xff"])))
def test_without_lone_carriage_returns_it_is_a_split_of_the_text(pieces: list[bytes]) -> None:
    text = b"".join(pieces).decode("utf-8", "replace").replace("\r\n", "\n")
    expected = text.split("\n")
    assert lines_of(pieces) == (expected if expected[-1] else expected[:-1])


def test_line_without_an_end_is_kept_until_the_stream_closes() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"one\ntw", 0) == ["one"]
    assert splitter.feed(b"o", 0) == []
    assert splitter.close(0) == ["two"]
    assert splitter.close(0) == []


def test_empty_lines_stay() -> None:
    assert lines_of([b"\n\na\r\n\r\n"]) == ["", "", "a", ""]


def test_bytes_that_are_not_utf_8_are_replaced() -> None:
    assert lines_of([b"caf\xe9 ol\xc3\xa9\n"]) == ["caf\ufffd olé"]


def test_progress_bar_shows_its_first_and_its_last_state() -> None:
    assert lines_of([b"\r 0%", b"\r 50%", b"\r 99%", b"\r100%\ndone\n"]) == [" 0%", "100%", "done"]


def test_progress_bar_that_clears_its_line_shows_no_empty_states() -> None:
    data = b"\x1b[2K\r10%\r\x1b[2K\r      \r\x1b[1m\x1b[K\r100%\n"
    assert LineSplitter().feed(data, 0) == ["10%", "100%"]


def test_progress_bar_shows_one_update_a_second() -> None:
    splitter = LineSplitter()
    shown = [splitter.feed(b"%d%%\rnext" % second, second * UPDATE_INTERVAL_NS // 2)[:1] for second in range(5)]
    assert shown == [["0%"], [], ["next2%"], [], ["next4%"]]


def test_windows_line_end_that_is_torn_ends_one_line() -> None:
    assert lines_of([b"a\r", b"\nb\r", b"\n"]) == ["a", "b"]


def test_line_of_exactly_the_limit_is_whole() -> None:
    line = b"x" * LIMIT_BYTES
    assert lines_of([line + b"\n"]) == [line.decode()]


def test_line_over_the_limit_is_cut_with_a_mark() -> None:
    lines = lines_of([b"x" * 1_000_000] * 5 + [b"\nnext\n"])
    assert lines == ["x" * LIMIT_BYTES + TRUNCATED, "next"]


def test_line_is_not_cut_in_the_middle_of_a_character() -> None:
    assert lines_of(["é".encode() * 10 + b"\n"], limit_bytes=5) == ["éé" + TRUNCATED]


def test_endless_line_takes_no_more_memory_than_the_limit() -> None:
    splitter = LineSplitter(limit_bytes=100)
    for _ in range(1000):
        splitter.feed(b"x" * 64, 0)
    assert splitter.close(0) == ["x" * 100 + TRUNCATED]
    assert splitter._held_bytes == 0


def test_progress_bar_goes_on_after_the_clock_was_set_back() -> None:
    splitter = LineSplitter()
    hour_ns = 3_600_000_000_000
    assert splitter.feed(b"1%\r2%", 2 * hour_ns) == ["1%"]
    assert splitter.feed(b"\r3%", hour_ns) == ["2%"]
