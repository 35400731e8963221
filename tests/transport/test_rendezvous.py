"""How running dataflows are found: cards beside their sockets."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from dora.errors import ResourceError
from dora.transport import control, rendezvous


def leave(folder: Path, name: str) -> rendezvous.Card:
    """A card in a runtime directory, whose socket nobody listens on yet."""
    (folder / name).mkdir()
    card = rendezvous.Card(str(folder / name / rendezvous.SOCKET_NAME), "id", "flow.yml", {"probe": "token"}, ["a"])
    rendezvous.leave_card(card)
    return card


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment whose first place is `tmp_path`, and that has no other runs."""
    return {"DORA_HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "x"), "TMPDIR": str(tmp_path / "t")}


def test_run_that_listens_is_found_with_its_card(tmp_path: Path, environ: dict[str, str]) -> None:
    card = leave(tmp_path, "run-1")
    with control.listen(card.socket):
        assert card in rendezvous.running(environ)


def test_run_that_is_dead_is_not_found(tmp_path: Path, environ: dict[str, str]) -> None:
    card = leave(tmp_path, "run-1")
    control.listen(card.socket).close()
    assert card not in rendezvous.running(environ)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"socket": 1}'])
def test_card_that_is_not_understood_is_passed_over(tmp_path: Path, environ: dict[str, str], text: str) -> None:
    card = leave(tmp_path, "run-1")
    (tmp_path / "run-1" / "nodes.json").write_text(text)
    with control.listen(card.socket):
        assert not [found for found in rendezvous.running(environ) if found.socket == card.socket]


def test_card_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    leave(tmp_path, "run-1")
    assert stat.S_IMODE((tmp_path / "run-1" / "nodes.json").stat().st_mode) == 0o600


def test_directory_that_was_moved_is_found_where_it_is(tmp_path: Path, environ: dict[str, str]) -> None:
    leave(tmp_path, "run-1")
    moved = (tmp_path / "run-1").rename(tmp_path / "run-2")
    with control.listen(str(moved / rendezvous.SOCKET_NAME)):
        assert str(moved / rendezvous.SOCKET_NAME) in [card.socket for card in rendezvous.running(environ)]


@pytest.mark.parametrize("mode", [None, 0o755])
def test_place_that_nobody_named_is_open_to_its_owner_only(tmp_path: Path, mode: int | None) -> None:
    place = tmp_path / "dora-1000"
    if mode is not None:
        place.mkdir()
        place.chmod(mode)
    rendezvous.make_base(str(place), is_asked_for=False)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_directory_that_was_asked_for_and_cannot_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root, who may run this, may write anywhere
    with pytest.raises(ResourceError, match="cannot be written"):
        rendezvous.usable_base({"DORA_HOME": str(tmp_path)})


@pytest.mark.parametrize("home", ["/proc/nowhere", "/dev/null"])
def test_directory_that_was_asked_for_and_cannot_be_made_is_refused(home: str) -> None:
    with pytest.raises(ResourceError, match=f"no place for the runtime directory of dora; tried {home}: "):
        rendezvous.usable_base({"DORA_HOME": home})
