"""The history of dataflows: kept, bounded, and never in the way."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from dora.daemon.store import MOST_ENDED, VERSION, Store
from dora.messages import api


def info(identity: str, ended_ns: int | None = None, name: str = "n") -> api.DataflowInfo:
    """A dataflow."""
    return api.DataflowInfo(id=identity, name=name, file="/f.yml", state="finished", ended_ns=ended_ns)


@pytest.fixture
def warnings() -> list[str]:
    """What the store has complained about."""
    return []


@pytest.fixture
def open_store(tmp_path: Path, warnings: list[str]) -> Callable[[], Store]:
    """Opens the store, any number of times."""
    return lambda: Store(str(tmp_path / "history.sqlite3"), warnings.append)


def test_what_was_remembered_is_there_after_a_restart(open_store: Callable[[], Store], warnings: list[str]) -> None:
    store = open_store()
    store.remember(info("a"), '{"file": "/f.yml"}')
    store.remember(info("a", ended_ns=5))
    store.close()
    again = open_store()
    assert again.dataflows() == [info("a", ended_ns=5)]
    assert again.request_of("a") == '{"file": "/f.yml"}'
    again.close()
    assert not warnings


def test_nobody_else_may_read_it(open_store: Callable[[], Store], tmp_path: Path) -> None:
    open_store().close()
    assert (tmp_path / "history.sqlite3").stat().st_mode & 0o777 == 0o600


def test_ended_dataflows_are_listed_the_latest_first(open_store: Callable[[], Store]) -> None:
    store = open_store()
    for identity, ended_ns in (("a", 1), ("b", 3), ("c", 2)):
        store.remember(info(identity, ended_ns))
    assert [one.id for one in store.dataflows()] == ["b", "c", "a"]
    store.close()


def test_the_oldest_are_forgotten(open_store: Callable[[], Store]) -> None:
    store = open_store()
    for number in range(MOST_ENDED + 3):
        store.remember(info(str(number), ended_ns=number + 1))
    assert len(store.dataflows()) == MOST_ENDED
    assert store.dataflows()[-1].id == "3"
    store.close()


def test_parameters_are_forgotten_with_their_dataflow(open_store: Callable[[], Store]) -> None:
    store = open_store()
    store.remember(info("a", 1))
    store.set_param("a", "camera", "rate", "30")
    store.set_param("a", "camera", "gain", "1.5")
    store.set_param("a", "camera", "gain", None)
    assert store.params("a", "camera") == {"rate": "30"}
    store.forget("a")
    assert store.params("a", "camera") == {}
    store.close()


def other_version(path: Path) -> None:
    with sqlite3.connect(path) as base:
        base.execute(f"PRAGMA user_version = {VERSION + 7}")
        base.execute("CREATE TABLE t (x)")
    base.close()


def cut_short(path: Path) -> None:
    store = Store(str(path), lambda _: None)
    for number in range(100):
        store.remember(info(str(number), number))
    store.close()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


DAMAGES = {
    "other-version": other_version,
    "truncated": cut_short,
    "zeros": lambda path: path.write_bytes(bytes(8192)),
    "text": lambda path: path.write_text("nonsense" * 1000),
    "a-table-of-others": lambda path: sqlite3.connect(path).executescript("CREATE TABLE t (x);").connection.close(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_file_that_cannot_be_used_is_moved_aside_with_one_warning(
    damage: Callable[[Path], object], tmp_path: Path, open_store: Callable[[], Store], warnings: list[str]
) -> None:
    damage(tmp_path / "history.sqlite3")
    store = open_store()
    store.remember(info("a", 1))
    assert [one.id for one in store.dataflows()] == ["a"]
    store.close()
    assert len(warnings) == 1
    assert "moved to" in warnings[0]
    assert (tmp_path / "history.sqlite3.unreadable").exists()


def test_a_file_that_is_damaged_while_it_is_used_costs_the_history_only(
    tmp_path: Path, open_store: Callable[[], Store], warnings: list[str]
) -> None:
    store = open_store()
    store.remember(info("a", 1))
    (tmp_path / "history.sqlite3").write_bytes(b"x" * 20_000)
    store.dataflows()
    store.remember(info("b", 2))
    assert [one.id for one in store.dataflows()] == ["b"]
    store.close()
    assert len(warnings) == 1


def test_a_folder_that_vanishes_costs_the_history_only(tmp_path: Path, warnings: list[str]) -> None:
    store = Store(str(tmp_path / "missing" / "history.sqlite3"), warnings.append)
    store.remember(info("a", 1))
    assert [one.id for one in store.dataflows()] == ["a"]
    assert len(warnings) == 1
    assert "in memory" in warnings[0]
    store.close()
