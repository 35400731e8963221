"""What must hold of the journals of the chaos command, whatever was killed, stopped or restarted.

Strategy: journals are read anew each time, those of readers before those of senders, so that a sender has noted
everything that a reader can have.  The messages of an output are put in one row, run after run of its sender; where
what was received stands in that row says what is missing and whether the order was kept.
A process that is ended from outside leaves at most one message per thread unaccounted: read and not noted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from chaos_graph import LOSSLESS, MORTAL, PARTS, SIBLING, SOURCES, Feed, ports_of

from dora.transport.counters import EdgeCounts

sys.path.insert(0, str(Path(__file__).parent / "nodes"))
import journal as j

ENTRIES = np.dtype([("kind", "u1"), ("port", "u1"), ("spare", "u2"), ("sender", "<u4"), ("number", "<u8")])
_RUN_SHIFT = 40


class Life(NamedTuple):
    """One process of a node, and what it noted."""

    pid: int
    born_ns: int
    entries: np.ndarray

    def numbers(self, kind: int, port: int) -> np.ndarray:
        """Of the messages of one port."""
        entries = self.entries
        return entries["number"][(entries["kind"] == kind) & (entries["port"] == port)]

    def count(self, kind: int) -> int:
        """How often that happened."""
        return int((self.entries["kind"] == kind).sum())


class Tally(NamedTuple):
    """One connection.

    Attributes:
        begun, sent: sends that were begun, that returned.
        got: messages that were noted by readers.
        missing: not received, although a later one was.
        misplaced: of these, those that did not go missing between two runs of the reader.
        faults: what is wrong in any case, in words.
    """

    begun: int
    sent: int
    got: int
    missing: int
    misplaced: int
    faults: tuple[str, ...]


def lives_of(folder: Path, part: str) -> list[Life]:
    """Its processes that came so far as to open their journal, in their order."""
    lives = []
    for path in folder.glob(f"{part}.*"):
        content = path.read_bytes()
        entries = np.frombuffer(content[: len(content) // ENTRIES.itemsize * ENTRIES.itemsize], dtype=ENTRIES)
        if len(entries):
            lives.append(Life(int(path.suffix[1:]), int(entries["number"][0]), entries))
    return sorted(lives, key=lambda life: life.born_ns)


def tally(reader: str, port: str, feed: Feed, readers: list[Life], senders: list[Life]) -> Tally:
    """Compare what was received on an input with what was sent to it."""
    in_port, out_port = ports_of(reader).index(port), ports_of(feed.node).index(feed.output)
    runs = {life.pid: rank for rank, life in enumerate(senders)}
    begun = [len(life.numbers(j.BEGUN, out_port)) for life in senders]
    sent = [len(life.numbers(j.SENT, out_port)) for life in senders]
    keys, owners, bad = [], [], 0
    for rank, life in enumerate(readers):
        chosen = life.entries[life.entries["port"] == in_port]
        bad += int((chosen["kind"] == j.BAD).sum())
        got = chosen[chosen["kind"] == j.GOT]
        senders_of = np.array([runs.get(int(pid), -1) for pid in got["sender"]], dtype=np.int64)
        keys.append((senders_of << _RUN_SHIFT) | got["number"].astype(np.int64))
        owners.append(np.full(len(got), rank))
    key = np.concatenate(keys) if keys else np.empty(0, dtype=np.int64)
    owner = np.concatenate(owners) if owners else np.empty(0, dtype=np.int64)
    faults = [f"{bad} messages with wrong content"] if bad else []
    if (key < 0).any():
        return Tally(sum(begun), sum(sent), len(key), 0, 0, (*faults, "messages of an unknown sender"))
    if not (np.diff(key) > 0).all():
        at = int(np.flatnonzero(np.diff(key) <= 0)[0])
        faults.append(f"order broken or message twice: {_text(key[at])} then {_text(key[at + 1])}")
    missing, misplaced = _missing(key, owner, sent)
    return Tally(sum(begun), sum(sent), len(key), missing, misplaced, tuple(faults))


def _missing(key: np.ndarray, owner: np.ndarray, sent: list[int]) -> tuple[int, int]:
    """How many are missing before the last that was received, and how many of them within one run of the reader."""
    if not len(key):
        return 0, 0
    run, number = key >> _RUN_SHIFT, key & ((1 << _RUN_SHIFT) - 1)
    lengths = np.array(sent, dtype=np.int64)
    np.maximum.at(lengths, run, number + 1)
    begins = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    place = begins[run] + number
    gaps = np.diff(place, prepend=-1) - 1
    same_reader = np.diff(owner, prepend=0) == 0
    return int(gaps.sum()), int(gaps[same_reader].sum())


def _text(key: int) -> str:
    return f"run {int(key) >> _RUN_SHIFT} message {int(key) & ((1 << _RUN_SHIFT) - 1)}"


class Account(NamedTuple):
    """All connections at one moment.

    Attributes:
        tallies: by reader and input.
        lives: of everything that has a journal.
    """

    tallies: dict[tuple[str, str], Tally]
    lives: dict[str, list[Life]]

    def ended(self, part: str) -> int:
        """Runs of it that are over."""
        return max(0, len(self.lives[part]) - 1)


def account(folder: Path) -> Account:
    """Read all journals."""
    first = {part: lives_of(folder, part) for part in PARTS}
    lives = {part: lives_of(folder, part) for part in PARTS}
    tallies = {
        (part, port): tally(part, port, feed, first[part], lives[feed.node])
        for part, role in PARTS.items()
        for port, feed in role.feeds.items()
    }
    return Account(tallies, lives)


def violations(found: Account, counted: dict[tuple[str, str], EdgeCounts], *, is_over: bool = False) -> list[str]:
    """What does not hold.

    Args:
        counted: by reader and input, what the counters page had after the journals were read.
        is_over: nothing runs any more: the figures are final, and a STOP has ended the lossless inputs' promise.
    """
    wrong = []
    for (reader, port), counts in found.tallies.items():
        feed = PARTS[reader].feeds[port]
        where = f"{feed.node}/{feed.output} -> {reader}/{port}"
        wrong += [f"{where}: {fault}" for fault in counts.faults]
        if feed.policy == SIBLING or "dynamic" in (PARTS[reader].policy, PARTS[feed.node].policy):
            continue
        ends = found.ended(reader), found.ended(feed.node)
        wrong += [
            f"{where}: {fault}; {counts}" for fault in _faults(counts, counted[reader, port], feed, ends, is_over)
        ]
    return wrong


def _faults(counts: Tally, page: EdgeCounts, feed: Feed, ends: tuple[int, int], is_over: bool) -> list[str]:
    """Of one connection.

    What is queued when its reader and its sender die together is gone: sent, neither taken nor dropped.
    """
    reader_ends, sender_ends = ends
    undelivered = max(0, page.sent - page.dropped - page.taken) if reader_ends and sender_ends else 0
    faults = []
    if feed.policy == LOSSLESS and not is_over:
        if counts.missing > reader_ends + undelivered or counts.misplaced:
            faults.append(f"{counts.missing} lost, {counts.misplaced} of them within a run, lossless; {page}")
        if page.dropped:
            faults.append(f"{page.dropped} counted as dropped, lossless")
    elif counts.missing > page.dropped + undelivered + reader_ends + sender_ends + is_over:
        faults.append(f"{counts.missing} missing; {page}")
    if is_over and page.dropped > counts.begun - counts.got:
        faults.append(f"{page.dropped} counted as dropped, but only {counts.begun - counts.got} did not arrive")
    if page.sent > counts.begun if is_over else page.sent < counts.sent:  # behind a STOP readers go before senders
        faults.append(f"{page.sent} counted as sent")
    if is_over and not counts.got <= page.taken <= counts.got + reader_ends + 1:
        faults.append(f"{page.taken} counted as taken")
    return faults


def untold(found: Account, *, has_failed: bool) -> list[str]:
    """What `rx`, which lives as long as the run, was not told, was told twice, or wrongly.

    Args:
        has_failed: the node that is not restarted was killed.
    """
    (rx,) = found.lives["rx"]
    wrong = []
    for source in sorted({feed.node.partition("-")[0] for feed in PARTS["rx"].feeds.values()} - {"tx", MORTAL}):
        ended = max(found.ended(part) for part in PARTS if part.partition("-")[0] == source)
        told = int(((rx.entries["kind"] == j.RESTARTED) & (rx.entries["sender"] == SOURCES.index(source))).sum())
        if told < ended:
            wrong.append(f"rx was told of {told} restarts of {source}, there were {ended}")
    ports = ports_of("rx")
    closed = rx.entries["port"][rx.entries["kind"] == j.CLOSED].tolist()
    recovered = rx.count(j.RECOVERED)
    silences = closed.count(ports.index("map"))
    if silences != recovered:
        wrong.append(f"rx was told of {silences} silences of the map, and {recovered} times that it came again")
    if len(closed) - silences != has_failed or rx.count(j.FAILED) != has_failed:
        names = [ports[port] for port in closed]
        wrong.append(f"rx got INPUT_CLOSED of {names} and {rx.count(j.FAILED)} NODE_FAILED; killed: {has_failed}")
    return wrong + (_misplaced_end(rx) if has_failed else [])


def _misplaced_end(rx: Life) -> list[str]:
    """The last message of the node that has failed, NODE_FAILED, INPUT_CLOSED: in this order."""
    port, entries = ports_of("rx").index("once"), rx.entries
    places = [
        np.flatnonzero((entries["kind"] == j.GOT) & (entries["port"] == port)),
        np.flatnonzero(entries["kind"] == j.FAILED),
        np.flatnonzero((entries["kind"] == j.CLOSED) & (entries["port"] == port)),
    ]
    if not all(len(found) for found in places):
        return []
    last = [int(found[-1]) for found in places]
    return [] if last == sorted(last) else [f"rx got the end of {MORTAL} in the wrong order: {last}"]
