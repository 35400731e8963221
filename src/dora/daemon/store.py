"""What the service remembers: dataflows that it started or saw, and parameters; one SQLite file, disposable.

Strategy: the runners know what runs, the store only what is over and what cannot be asked of anybody.  So it may be
lost at any time: a file that cannot be read, or is of another version, is moved aside with one warning, and a disk
that is full costs history, not dataflows.  Every change is one small transaction; kill -9 in the middle of it leaves
the state before.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from dora.messages import api

VERSION: Final = 1
MOST_ENDED: Final = 200
_IN_MEMORY: Final = ":memory:"
MOVED: Final = ".unreadable"
_TABLES: Final = """
CREATE TABLE dataflows (id TEXT PRIMARY KEY, ended_ns INTEGER, info BLOB NOT NULL, request TEXT NOT NULL);
CREATE INDEX ended ON dataflows (ended_ns);
CREATE TABLE params (dataflow TEXT, node TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (dataflow, node, key));
"""

_decode: Final = msgspec.json.Decoder(api.DataflowInfo).decode


class Store:
    """The history of this user's dataflows.

    Args:
        warn: takes a line for whoever reads the service's log.
    """

    def __init__(self, path: str, warn: Callable[[str], None]) -> None:
        self._path = path
        self._warn = warn
        self._has_warned = False
        try:
            self._base = _open(path)
        except (sqlite3.Error, _OtherVersion, OSError) as error:
            self._base = self._start_anew(error)

    def remember(self, info: api.DataflowInfo, request: str = "") -> None:
        """Keep a dataflow, running or ended; forgets the oldest ended ones above `MOST_ENDED`."""
        self._do(
            "INSERT INTO dataflows VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET ended_ns = excluded.ended_ns, "
            "info = excluded.info, request = CASE excluded.request WHEN '' THEN request ELSE excluded.request END",
            (info.id, info.ended_ns, api.encode(info), request),
        )
        old = "SELECT id FROM dataflows WHERE ended_ns IS NOT NULL ORDER BY ended_ns DESC LIMIT -1 OFFSET ?"
        for (identity,) in self._do(old, (MOST_ENDED,)):
            self.forget(identity)

    def dataflows(self) -> list[api.DataflowInfo]:
        """All that is known, the newest first; also those that ran when the last service ended."""
        found = []
        for (blob,) in self._do("SELECT info FROM dataflows ORDER BY ended_ns IS NULL DESC, ended_ns DESC"):
            with contextlib.suppress(msgspec.MsgspecError):
                found.append(_decode(blob))
        return found

    def request_of(self, identity: str) -> str:
        """How it was started, as JSON, or ""."""
        rows = self._do("SELECT request FROM dataflows WHERE id = ?", (identity,))
        return str(rows[0][0]) if rows else ""

    def forget(self, identity: str) -> None:
        """Forget a dataflow and its parameters."""
        self._do("DELETE FROM dataflows WHERE id = ?", (identity,))
        self._do("DELETE FROM params WHERE dataflow = ?", (identity,))

    def params(self, dataflow: str, node: str) -> dict[str, str]:
        """The parameters of a node, each as JSON."""
        return dict(
            self._do("SELECT key, value FROM params WHERE dataflow = ? AND node = ? ORDER BY key", (dataflow, node))
        )

    def set_param(self, dataflow: str, node: str, key: str, value: str | None) -> None:
        """Set a parameter to that JSON text, or with None forget it."""
        if value is None:
            self._do("DELETE FROM params WHERE dataflow = ? AND node = ? AND key = ?", (dataflow, node, key))
        else:
            self._do("INSERT OR REPLACE INTO params VALUES (?, ?, ?, ?)", (dataflow, node, key, value))

    def replace_params(self, dataflow: str, nodes: Mapping[str, Mapping[str, str]]) -> None:
        """Keep these parameters of a dataflow, by node and key, and no others."""
        self._do("DELETE FROM params WHERE dataflow = ?", (dataflow,))
        for node, params in nodes.items():
            for key, value in params.items():
                self.set_param(dataflow, node, key, value)

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def _do(self, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
        try:
            with self._base:
                return self._base.execute(statement, values).fetchall()
        except sqlite3.OperationalError as error:  # the disk is full, or the folder is gone
            if not self._has_warned:
                self._has_warned = True
                self._warn(f"{self._path}: {error}; history and parameters may be incomplete from now on")
        except sqlite3.Error as error:
            self._base.close()
            self._base = self._start_anew(error)
        return []

    def _start_anew(self, error: Exception) -> sqlite3.Connection:
        aside = self._path + MOVED
        with contextlib.suppress(OSError):
            os.replace(self._path, aside)
            self._warn(f"{self._path}: {error}; moved to {aside}, starting with an empty history")
        for suffix in ("-journal", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                os.remove(self._path + suffix)
        try:
            return _open(self._path)
        except (sqlite3.Error, _OtherVersion) as second:
            self._warn(f"{self._path}: {second}; the history is kept in memory only")
            return _open(_IN_MEMORY)


class _OtherVersion(Exception):
    def __init__(self, found: int) -> None:
        super().__init__(f"is of version {found}, this dora writes {VERSION}")


def _open(path: str) -> sqlite3.Connection:
    if path != _IN_MEMORY:
        with contextlib.suppress(OSError):  # sqlite says what is wrong
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # `--env` may hold secrets
            os.chmod(path, 0o600)
    base = sqlite3.connect(path, timeout=2.0)
    try:
        base.execute("PRAGMA synchronous = OFF")  # a power cut may cost the history, nothing else
        version = base.execute("PRAGMA user_version").fetchone()[0]
        tables = base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if version == 0 and not tables:
            base.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        elif version != VERSION:
            raise _OtherVersion(version)
        elif (verdict := base.execute("PRAGMA quick_check").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(str(verdict))
    except BaseException:
        base.close()
        raise
    return base
