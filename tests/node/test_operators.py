"""One operator: which classes are taken, what they are called with, what their answers mean, how errors are told."""

from __future__ import annotations

import enum
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from dora import DoraStatus
from dora.node import events, operator_files
from dora.node.operators import CONTINUE, STOP, STOP_ALL, HostedOperator, OperatorError

INPUT = events.input_event("image", pa.array([1, 2], pa.uint8()), {"k": "v"})


@pytest.fixture(autouse=True)
def imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is imported here stays here."""
    known, path = set(sys.modules), list(sys.path)
    monkeypatch.setattr(operator_files, "_loaded", {})
    yield
    sys.path[:] = path
    for name in set(sys.modules) - known:
        del sys.modules[name]


class Folder:
    """Writes operator files and loads them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, source: str, name: str = "op_under_test.py") -> Path:
        """Write a file of that source."""
        file = self.path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(textwrap.dedent(source))
        return file

    def load(self, source: str, name: str = "op_under_test.py", operator_id: str = "det") -> HostedOperator:
        """The operator of that source."""
        operator = HostedOperator(operator_id, str(self.write(source, name)))
        operator.load()
        return operator

    def answering(self, answer: object) -> HostedOperator:
        """An operator that answers that to every event."""
        operator = self.load("class Operator:\n    def on_event(self, event, send_output): return self.answer\n")
        operator._instance.answer = answer
        return operator


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return Folder(tmp_path)


def tell(operator: HostedOperator, event: events.Event = INPUT) -> list[Any]:
    """What the operator sends when it is told that event."""
    sent: list[Any] = []
    operator.tell(events.Event(event), lambda *arguments: sent.append(arguments))
    return sent


ECHO = "class Operator:\n    def on_event(self, event, send_output): send_output('out', event)\n"


def test_operator_is_called_with_the_event_and_a_way_to_send(folder: Folder) -> None:
    assert tell(folder.load(ECHO)) == [("out", INPUT)]


class Own(enum.Enum):
    """As in files of dora 0.1, which define their own."""

    GO_ON = 0
    END = 1


ANSWERS = [
    (None, CONTINUE), (DoraStatus.CONTINUE, CONTINUE), (DoraStatus.STOP, STOP), (DoraStatus.STOP_ALL, STOP_ALL),
    (0, CONTINUE), (1, STOP), (2, STOP_ALL), (Own.GO_ON, CONTINUE), (Own.END, STOP),
    (SimpleNamespace(value=2), STOP_ALL),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "status"), ANSWERS)
def test_answer_is_a_status_its_number_or_nothing(folder: Folder, answer: object, status: int) -> None:
    assert folder.answering(answer).tell(INPUT, print) == status


@pytest.mark.parametrize("answer", [3, -1, "STOP", True, 1.0, SimpleNamespace(value=5), SimpleNamespace(value="x")])
def test_any_other_answer_is_an_error_that_names_it(folder: Folder, answer: object) -> None:
    with pytest.raises(OperatorError) as caught:
        folder.answering(answer).tell(INPUT, print)
    expected = "expected DoraStatus.CONTINUE, .STOP or .STOP_ALL, 0, 1, 2 or None"
    what = f"returned {answer!r} ({type(answer).__name__}) at INPUT `image`: {expected}"
    assert str(caught.value) == f"operator `det` (op_under_test.py) {what}"


def test_dora_0_1_operator_with_three_arguments_gets_bytes(folder: Folder) -> None:
    source = "class Operator:\n    def on_input(self, input_id, value, send_output): send_output(input_id, value)\n"
    assert tell(folder.load(source)) == [("image", b"\x01\x02")]


def test_dora_0_1_operator_with_two_arguments_gets_a_dict(folder: Folder) -> None:
    source = "class Operator:\n    def on_input(self, dora_input, send_output): send_output('x', dora_input)\n"
    assert tell(folder.load(source)) == [("x", {"id": "image", "data": b"\x01\x02", "metadata": {"k": "v"}})]


def test_dora_0_1_operator_hears_of_inputs_only(folder: Folder) -> None:
    operator = folder.load("class Operator:\n    def on_input(self, *args): raise KeyError\n")
    for event in (events.stop("MANUAL"), events.input_closed("image"), events.reload("det")):
        assert operator.tell(event, print) == CONTINUE


def test_on_event_wins_over_on_input(folder: Folder) -> None:
    assert tell(folder.load(ECHO + "    def on_input(self, a, b, c): raise KeyError\n")) == [("out", INPUT)]


NO_OPERATORS = [
    ("x = 1", "has no class `Operator`: no `Operator` class found in module"),
    ("class Operator: pass", "has a class `Operator` without the method `on_event(self, event, send_output)`"),
    (
        "class Operator:\n    def on_input(self, x): pass",
        "has a method `on_input` that is neither (self, input_id, value, send_output) nor (self, dora_input, "
        "send_output): it takes 1 arguments",
    ),
    ("class Operator:\n    def __init__(self): 1 / 0", "failed in Operator(): ZeroDivisionError: division by zero"),
    ("import nowhere_to_be_found", "cannot be imported: ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
    ("import sys\nsys.exit()", "cannot be imported: SystemExit"),
    ("def (", "cannot be imported: SyntaxError: invalid syntax (op_under_test.py, line 1)"),
]


@pytest.mark.parametrize(("source", "what"), NO_OPERATORS)
def test_file_that_holds_no_operator_is_an_error_that_says_why(folder: Folder, source: str, what: str) -> None:
    with pytest.raises(OperatorError) as caught:
        folder.load(source)
    assert str(caught.value) == f"operator `det` (op_under_test.py) {what}"
    assert "op_under_test" not in sys.modules or "import" not in what


def test_report_shows_the_traceback_of_the_users_code_and_then_the_operator(folder: Folder) -> None:
    operator = folder.load(
        "class Operator:\n    def on_event(self, event, send_output):\n        raise ValueError('bad')"
    )
    with pytest.raises(OperatorError) as caught:
        operator.tell(INPUT, print)
    lines = caught.value.report().splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{operator.file}", line 3, in on_event'
    assert lines[-2:] == [
        "ValueError: bad",
        "dora: operator `det` (op_under_test.py) failed at INPUT `image`: ValueError: bad",
    ]


@pytest.mark.parametrize("raised", ["SystemExit(0)", "KeyboardInterrupt", "BaseException('x')"])
def test_end_of_the_process_from_within_an_operator_is_an_error(folder: Folder, raised: str) -> None:
    operator = folder.load(f"class Operator:\n    def on_event(self, event, send_output): raise {raised}")
    with pytest.raises(OperatorError, match="failed at STOP `MANUAL`"):
        operator.tell(events.stop("MANUAL"), print)


@pytest.mark.parametrize("arguments", ["on_event(self, event, send_output)", "on_input(self, dora_input, send_output)"])
def test_operator_that_is_async_is_told_to_be_plain(folder: Folder, arguments: str) -> None:
    operator = folder.load(f"class Operator:\n    async def {arguments}: return 0")
    with pytest.raises(OperatorError, match=r"has an `async def` for its events: write a plain `def`"):
        operator.tell(INPUT, print)


def test_descriptor_is_an_attribute_from_after_the_construction_on(folder: Folder) -> None:
    source = """
        class Operator:
            def __init__(self): self.had = hasattr(self, "dataflow_descriptor")
            def on_event(self, event, send_output): send_output(self.had, self.dataflow_descriptor)
    """
    operator = folder.load(source)
    operator.describe({"nodes": []})
    assert tell(operator) == [(False, {"nodes": []})]


def test_instance_without_attributes_does_without_the_descriptor(folder: Folder) -> None:
    operator = folder.load("class Operator:\n    __slots__ = ()\n    def on_event(self, event, send_output): pass")
    operator.describe({"nodes": []})
    assert tell(operator) == []


ENDINGS = """
class Operator:
    def on_event(self, event, send_output): pass
    def drop_operator(self): print("dropped")
    def __del__(self): print("deleted")
"""


def test_end_calls_drop_operator_and_destroys_the_instance(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    folder.load(ENDINGS).drop()
    assert capsys.readouterr().out == "dropped\ndeleted\n"


def test_error_in_drop_operator_is_told(folder: Folder) -> None:
    with pytest.raises(OperatorError, match="failed in drop_operator: ZeroDivisionError"):
        folder.load(ENDINGS.replace('print("dropped")', "1 / 0")).drop()


# -- modules -------------------------------------------------------------------------------------------------


def test_file_is_a_module_of_its_stem_and_its_folder_is_on_the_path(folder: Folder) -> None:
    folder.write("WORD = 'beside'", "lib/beside_the_operator.py")
    source = "from beside_the_operator import WORD\nimport sys\n" + ECHO.replace("event)\n", "(__name__, WORD))\n")
    assert tell(folder.load(source, "lib/det_op.py")) == [("out", ("det_op", "beside"))]
    assert sys.path[-1] == str(folder.path / "lib")
    assert "det_op" in sys.modules


def test_two_operators_of_one_file_share_its_module(folder: Folder) -> None:
    source = "COUNT = []\n" + ECHO.replace("event)", "COUNT.append(1) or len(COUNT))")
    first, second = folder.load(source), folder.load(source, operator_id="other")
    assert tell(first) + tell(second) == [("out", 1), ("out", 2)]


def test_files_of_one_name_in_two_folders_are_two_modules(folder: Folder) -> None:
    first = folder.load(ECHO.replace("event)\n", "1)\n"), "one/op.py")
    second = folder.load(ECHO.replace("event)\n", "2)\n"), "two/op.py")
    assert tell(first) + tell(second) == [("out", 1), ("out", 2)]


@pytest.mark.parametrize("name", ["json.py", "sched.py", "pyarrow.py"])
def test_file_named_like_a_library_takes_no_others_place(folder: Folder, name: str) -> None:
    stem = name.removesuffix(".py")
    operator = folder.load(f"import {stem}\n" + ECHO.replace("event)\n", f"{stem}.__file__)\n"), name)
    ((_, file),) = tell(operator)
    assert not file.startswith(str(folder.path))


def test_dataclass_in_an_operator_file_finds_its_module(folder: Folder) -> None:
    source = "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass D:\n    x: int\n"
    assert tell(folder.load(source + ECHO))


# -- reload --------------------------------------------------------------------------------------------------

COUNTER = """
STEP = 1
class Operator:
    def __init__(self):
        self.count = 0
    def on_event(self, event, send_output):
        self.count += STEP
        send_output("count", self.count)
"""


def test_reload_runs_the_new_code_with_the_old_state(folder: Folder) -> None:
    operator = folder.load(COUNTER)
    tell(operator)
    folder.write(COUNTER.replace("STEP = 1", "STEP = 5").replace("count = 0", "count = 70"))
    operator.reload()
    assert tell(operator) == [("count", 6)]


def test_reload_of_a_save_within_the_same_second_and_size_is_seen(folder: Folder) -> None:
    operator = folder.load(COUNTER)
    for step in range(2, 6):
        folder.write(COUNTER.replace("STEP = 1", f"STEP = {step}"))
        operator.reload()
    assert tell(operator) == [("count", 5)]


WRONG = ["STEP = 9\ndef (", "STEP = 9\nraise ValueError", "STEP = 9", "STEP = 9\nclass Operator:\n    x = 1"]


@pytest.mark.parametrize("source", WRONG)
def test_reload_that_fails_leaves_the_old_code_with_its_globals(folder: Folder, source: str) -> None:
    operator = folder.load(COUNTER)
    folder.write(source)
    with pytest.raises(OperatorError):
        operator.reload()
    assert tell(operator) == [("count", 1)]


def test_attribute_that_only_the_new_version_has_is_there(folder: Folder) -> None:
    operator = folder.load(COUNTER)
    folder.write(COUNTER.replace("self.count = 0", "self.count = 0; self.more = 40").replace("STEP\n", "self.more\n"))
    operator.reload()
    assert tell(operator) == [("count", 40)]
