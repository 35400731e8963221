"""A module that is not installed is looked for once."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from dora.node.absences import remember_absence

NAME = "dora_test_absent"


class Searcher:
    """A finder behind the one that is tested, which counts how often it is asked."""

    def __init__(self) -> None:
        self.count = 0

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        self.count += name == NAME


@pytest.fixture
def searcher(monkeypatch: pytest.MonkeyPatch) -> Searcher:
    searcher = Searcher()
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", [searcher, *sys.meta_path])
    monkeypatch.delitem(sys.modules, NAME, raising=False)
    remember_absence(NAME)
    return searcher


def is_imported() -> bool:
    try:
        importlib.import_module(NAME)
    except ModuleNotFoundError:
        return False
    return True


def test_it_is_not_searched_for_twice(searcher: Searcher) -> None:
    assert not is_imported()
    count = searcher.count
    with pytest.raises(ModuleNotFoundError, match=f"No module named '{NAME}'") as raised:
        importlib.import_module(NAME)
    assert raised.value.name == NAME
    assert searcher.count == count > 0


def test_it_is_found_once_it_is_on_the_path(searcher: Searcher, tmp_path: Path) -> None:
    assert not is_imported()
    (tmp_path / f"{NAME}.py").touch()
    sys.path.append(str(tmp_path))
    assert is_imported()
    del sys.modules[NAME]


def test_it_is_searched_for_again_when_something_was_installed(searcher: Searcher, tmp_path: Path) -> None:
    sys.path.append(str(tmp_path))
    assert not is_imported()
    (tmp_path / f"{NAME}.py").touch()
    importlib.invalidate_caches()
    assert is_imported()
    del sys.modules[NAME]


def test_other_modules_are_found(searcher: Searcher, tmp_path: Path) -> None:
    (tmp_path / "dora_test_present.py").touch()
    sys.path.append(str(tmp_path))
    assert importlib.import_module("dora_test_present").__name__ == "dora_test_present"
    del sys.modules["dora_test_present"]
