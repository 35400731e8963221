"""Interactive mode: a node whose events are typed in, on a terminal of its own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dora.node.interactive import Questions, value_of
from dora.node.receiver import END


class Person:
    """Types into a terminal and reads what it is asked.

    Attributes:
        fd: the node's side of the terminal.
        screen: what it was asked and told.
    """

    def __init__(self) -> None:
        self._typing, self.fd = pty.openpty()
        self.screen = ""

    def types(self, *lines: str) -> None:
        """Whole lines, at once."""
        os.write(self._typing, "".join(f"{line}\n" for line in lines).encode())

    def say(self, text: str, end: str = "\n") -> None:
        """What a node says to this person."""
        self.screen += text + end

    def leave(self) -> None:
        """Close the terminal."""
        os.close(self._typing)
        os.close(self.fd)


@pytest.fixture
def person() -> Iterator[Person]:
    person = Person()
    yield person
    person.leave()


def test_typed_lines_become_an_event(person: Person) -> None:
    questions = Questions(person.fd, person.say)
    person.types("image", "[1, 2]")
    assert questions.wait(5)
    event = questions.take()
    assert isinstance(event, dict)
    assert (event["type"], event["id"], event["value"]) == ("INPUT", "image", pa.array([1, 2]))
    assert person.screen.startswith("Input ID [empty input ID to stop]: Data [")


def test_nothing_comes_until_something_is_typed(person: Person) -> None:
    questions = Questions(person.fd, person.say)
    assert questions.take() is None
    assert questions.take() is None
    assert not questions.wait(0)
    assert person.screen.count("Input ID") == 1


def test_empty_id_stops_the_node(person: Person) -> None:
    questions = Questions(person.fd, person.say)
    person.types("")
    assert questions.wait(5)
    event = questions.take()
    assert isinstance(event, dict)
    assert (event["type"], event["id"]) == ("STOP", "MANUAL")
    assert questions.take() is END


def test_wrong_id_and_wrong_data_are_asked_for_again(person: Person) -> None:
    questions = Questions(person.fd, person.say)
    person.types("bad id", "good", "HEX:zz", "HEX:0a")
    assert questions.wait(5)
    event = questions.take()
    assert isinstance(event, dict)
    assert event["value"] == pa.array([10], pa.uint8())
    assert "'bad id' cannot be an input id" in person.screen
    assert "non-hexadecimal" in person.screen


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello", pa.array(["hello"])),
        ("", pa.array([""])),
        ("5", pa.array([5])),
        ('"q"', pa.array(["q"])),
        ('{"x": 1}', pa.array([{"x": 1}])),
        ("HEX:0a0b", pa.array([10, 11], pa.uint8())),
    ],
)
def test_text_and_json_and_bytes_are_understood(text: str, expected: Any) -> None:
    assert value_of(text) == expected


@pytest.mark.slow
def test_script_on_a_terminal_is_fed_by_a_person(person: Person, tmp_path: Path) -> None:
    script = tmp_path / "node.py"
    script.write_text(
        "from dora import Node\nnode = Node()\nfor event in node:\n    print(event['type'], event['id'])\n"
        "    if event['type'] == 'INPUT':\n        node.send_output('copy', event['value'], {'k': 1})\n"
    )
    environment = {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    person.types("a", "hi", "")
    ended = subprocess.run(
        [sys.executable, script], stdin=person.fd, capture_output=True, text=True, timeout=30, env=environment
    )
    assert ended.stdout == "INPUT a\nSTOP MANUAL\n"
    assert "interactive mode" in ended.stderr
    assert "node sends output copy (string): [\n  \"hi\"\n]\n  metadata: {'k': 1}" in ended.stderr


@pytest.mark.slow
def test_test_that_keeps_the_terminal_gets_an_error_and_no_questions(person: Person) -> None:
    code = "from dora import Node\ntry:\n    Node()\nexcept RuntimeError as error:\n    print(error)\n"
    environment = {**os.environ, "PYTEST_CURRENT_TEST": "x"}
    ended = subprocess.run(
        [sys.executable, "-c", code], stdin=person.fd, capture_output=True, text=True, timeout=30, env=environment
    )
    assert ended.stdout.startswith("Could not initiate node from environment variable.")
