"""Where the running dataflows of this user are found: their runtime directories, and the card in each.

Strategy: every run has a private directory `run-XXXXXXXX`, in the first usable place of design.md 11.17.  In it lie
the control socket and a card that names the run's nodes, with the tokens of the dynamic ones.  Whoever may
read the directory (mode 0700) may attach; nothing has to run for that but the run itself.  A card is written whole,
by rename, after its socket listens.  Whether a run is alive is asked of its socket: a dead one refuses connections.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Mapping
from typing import Final, NamedTuple

from dora import env
from dora.errors import ResourceError
from dora.transport import control

PREFIX: Final = "run-"
SOCKET_NAME: Final = "nodes.sock"
ADMIN_SOCKET_NAME: Final = "admin.sock"
"""where a run answers questions about itself (`messages/runner_daemon.py`)"""
RECORDS_NAME: Final = "records"
"""folder of a base in which background runs leave how they ended"""
SERVICE_SOCKET_NAME: Final = "service.sock"
"""in a base: where the background service of this user listens"""
SERVICE_LOCK_NAME: Final = "service.lock"
"""in a base: the service holds its lock, and has written its PID into it"""
STORE_NAME: Final = "history.sqlite3"
TOKEN_NAME: Final = "token"
"""in a base: what the service keeps, for this user's eyes only"""
_CARD_NAME: Final = "nodes.json"


class Card(NamedTuple):
    """What a run says of itself.

    Attributes:
        socket: path of its control socket.
        file: the dataflow file.
        dynamic: tokens of its dynamic nodes, by node id.
        static: ids of the nodes that it starts itself.
    """

    socket: str
    dataflow_id: str
    file: str
    dynamic: dict[str, str]
    static: list[str]


def bases(environ: Mapping[str, str]) -> list[str]:
    """Where runtime directories may lie, in order of preference."""
    uid = os.geteuid()
    places = [environ.get(env.HOME)]
    xdg = environ.get("XDG_RUNTIME_DIR")
    places.append(os.path.join(xdg, "dora") if xdg else None)
    places.append(f"/run/user/{uid}/dora")
    places.append(os.path.join(environ.get("TMPDIR") or "/tmp", f"dora-{uid}"))
    return list(dict.fromkeys(os.path.abspath(place) for place in places if place))


def places_to_look(environ: Mapping[str, str]) -> list[str]:
    """Where runs and the service are looked for: DORA_HOME alone where it is set, so that it sets a world apart."""
    home = environ.get(env.HOME)
    return [os.path.abspath(home)] if home else bases(environ)


def usable_base(environ: Mapping[str, str]) -> str:
    """The first of `bases` that is ours alone, made if missing.

    Raises:
        ResourceError: there is none; or DORA_HOME is set and cannot be used.
    """
    refused: list[str] = []
    for base in bases(environ):
        is_asked_for = bool(environ.get(env.HOME)) and not refused
        try:
            make_base(base, is_asked_for=is_asked_for)
        except OSError as error:
            refused.append(f"{base}: {error.strerror or error}")
            if is_asked_for:
                break
        else:
            return base
    raise ResourceError("no place for the runtime directory of dora; tried " + "; ".join(refused))


def make_base(base: str, *, is_asked_for: bool) -> None:
    """Make sure that `base` is a directory of ours alone; its parents are only made where the user named it."""
    if is_asked_for:
        os.makedirs(base, 0o700, exist_ok=True)
        if not os.access(base, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "cannot be written")
        return
    try:
        os.mkdir(base, 0o700)
    except FileExistsError:
        found = os.lstat(base)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(0, "belongs to another user") from None
        if found.st_mode & 0o077:
            os.chmod(base, 0o700)
    else:
        if os.stat(os.path.dirname(base)).st_uid not in (0, os.geteuid()):
            os.rmdir(base)
            raise PermissionError(0, "its parent belongs to another user")


def leave_card(card: Card) -> None:
    """Put the card beside its socket."""
    path = os.path.join(os.path.dirname(card.socket), _CARD_NAME)
    fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        json.dump(card._asdict(), file)
    os.rename(path + ".new", path)


def running(environ: Mapping[str, str]) -> list[Card]:
    """The cards of all runs of this user that are alive."""
    found = (_card_in(entry) for base in bases(environ) for entry in _runs_in(base))
    return [card for card in found if card is not None and _answers(card.socket)]


def admin_sockets(environ: Mapping[str, str]) -> list[str]:
    """Where the runs of this user can be asked, dead ones included: the caller connects, or is refused."""
    found = [
        os.path.join(entry.path, ADMIN_SOCKET_NAME) for base in places_to_look(environ) for entry in _runs_in(base)
    ]
    return sorted(path for path in found if os.path.exists(path))


def _runs_in(base: str) -> list[os.DirEntry[str]]:
    try:
        entries = [entry for entry in os.scandir(base) if entry.name.startswith(PREFIX)]
        return [entry for entry in entries if entry.stat(follow_symlinks=False).st_uid == os.geteuid()]
    except OSError:
        return []


def _card_in(folder: os.DirEntry[str]) -> Card | None:
    try:
        with open(os.path.join(folder.path, _CARD_NAME), encoding="utf-8") as file:
            card = Card(**json.load(file))
    except (OSError, ValueError, TypeError):
        return None  # just starting, or of another version of dora
    return card._replace(socket=os.path.join(folder.path, SOCKET_NAME))


def _answers(path: str) -> bool:
    try:
        control.connect(path).close()
    except OSError:
        return False
    return True
