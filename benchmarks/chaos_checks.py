"""What must hold of the journals of the chaos command, whatever was killed, stopped or restarted.

Strategy: journals are read anew each time, those of readers before those of senders, so that a sender has noted
everything that a reader can have.  The messages of an output are put in one row, run after run of its sender; where
what was received stands in that row says what is missing and whether the order was kept.
A process that is ended from outside leaves at most one message per thread unaccounted: read and not noted.
What a queue held when both its ends died at once is an orphan: the next run of the reader begins with a later run of
the sender.  A queue holds no more than its size, so no more may be missing there, and nothing where the ends went one
after the other.
Behind a STOP a send that finds no room is given up and counted, on lossless inputs too: of a sender that was stopped,
the messages that it sent when it had heard of it, and the one before, in which it may have been blocked.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from chaos_graph import LOSSLESS, MORTAL, PARTS, SOURCES, Feed, ports_of

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
        orphaned: how many of the others may have gone with a queue whose reader and sender were both dead.
        faults: what is wrong in any case, in words.
        late: messages that a stopped sender may have given up.
        missing_late, misplaced_late: how many of the missing and the misplaced ones are late.
    """

    begun: int
    sent: int
    got: int
    missing: int
    misplaced: int
    orphaned: int
    faults: tuple[str, ...]
    late: int = 0
    missing_late: int = 0
    misplaced_late: int = 0


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
        return Tally(sum(begun), sum(sent), len(key), 0, 0, 0, (*faults, "messages of an unknown sender"))
    if not (np.diff(key) > 0).all():
        at = int(np.flatnonzero(np.diff(key) <= 0)[0])
        faults.append(f"order broken or message twice: {_text(key[at])} then {_text(key[at + 1])}")
    late = [_first_late(life, out_port, count) for life, count in zip(senders, sent, strict=True)]
    counts = Tally(sum(begun), sum(sent), len(key), 0, 0, 0, tuple(faults), sum(sent) - sum(late))
    return counts._replace(**_missing(key, owner, Sends(sent, late), feed.queue_size)) if len(key) else counts


class Sends(NamedTuple):
    """Of each run of a sender: how many sends have returned, and from which on they may have been given up."""

    sent: list[int]
    late: list[int]


def _first_late(sender: Life, port: int, sent: int) -> int:
    """From which number on that run may have given up messages of a port."""
    stops = np.flatnonzero(sender.entries["kind"] == j.STOPPED)
    if not len(stops):
        return sent
    before = sender._replace(entries=sender.entries[: stops[0]])
    return min(sent, max(0, len(before.numbers(j.BEGUN, port)) - 1))


def _missing(key: np.ndarray, owner: np.ndarray, sends: Sends, queue_size: int) -> dict[str, int]:
    """Of those before the last that was received: fields of `Tally`."""
    run, number = key >> _RUN_SHIFT, key & ((1 << _RUN_SHIFT) - 1)
    lengths = np.array(sends.sent, dtype=np.int64)
    np.maximum.at(lengths, run, number + 1)
    begins = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    place = begins[run] + number
    if not (np.diff(place) > 0).all():
        return {}  # in disorder: that is said
    lost = np.setdiff1d(np.arange(place[-1]), place)
    behind = np.searchsorted(place, lost)  # which of the received ones comes next
    of_run = np.searchsorted(begins, lost, side="right") - 1
    is_late = lost - begins[of_run] >= np.array(sends.late, dtype=np.int64)[of_run]
    same_reader = np.diff(owner, prepend=0) == 0
    is_misplaced = same_reader[behind]
    gaps = np.diff(place, prepend=-1) - 1
    orphaned = 0
    for at in np.flatnonzero((gaps > 0) & ~same_reader):
        done = int(place[at - 1]) + 1 if at else 0
        for ended in range(int(run[at - 1]) if at else 0, int(run[at])):
            left = int(begins[ended] + lengths[ended]) - max(done, int(begins[ended]))
            orphaned += min(left, queue_size)
    return {
        "missing": len(lost),
        "misplaced": int(is_misplaced.sum()),
        "orphaned": orphaned,
        "missing_late": int(is_late.sum()),
        "misplaced_late": int((is_late & is_misplaced).sum()),
    }


def _text(key: int) -> str:
    return f"run {int(key) >> _RUN_SHIFT} message {int(key) & ((1 << _RUN_SHIFT) - 1)}"


class Heard(NamedTuple):
    """Of one connection: the PIDs of the newest processes of its ends, and how many messages went between these two."""

    reader: int
    sender: int
    count: int


class Account(NamedTuple):
    """All connections at one moment.

    Attributes:
        tallies: by reader and input.
        lives: of everything that has a journal.
    """

    tallies: dict[tuple[str, str], Tally]
    lives: dict[str, list[Life]]

    def ended(self, part: str) -> int:
        """Runs of it that are over, or may be."""
        return max(0, len(self.lives[part]) - (PARTS[part].policy != "dynamic"))

    def heard(self, part: str, port: str) -> Heard:
        """What the newest run of a reader had of the newest run of its sender."""
        feed = PARTS[part].feeds[port]
        if not (self.lives[part] and self.lives[feed.node]):
            return Heard(0, 0, 0)
        reader, sender = self.lives[part][-1], self.lives[feed.node][-1]
        entries = reader.entries[reader.entries["kind"] == j.GOT]
        is_of_both = (entries["port"] == ports_of(part).index(port)) & (entries["sender"] == sender.pid)
        return Heard(reader.pid, sender.pid, int(is_of_both.sum()))


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


class Moment(NamedTuple):
    """When the figures are compared.

    Attributes:
        is_over: nothing runs any more: the figures are final.
        was_killed: it ended without a STOP, after which the promise of lossless inputs no longer holds, and readers may
            go before senders.
        together: how often two nodes have died at once.
    """

    is_over: bool = False
    was_killed: bool = False
    together: Mapping[frozenset[str], int] = {}


RUNNING = Moment()


def violations(found: Account, counted: dict[tuple[str, str], EdgeCounts], moment: Moment = RUNNING, /) -> list[str]:
    """What does not hold; `counted`: by reader and input, what the counters page had after the journals were read."""
    wrong = []
    for (reader, port), tallied in found.tallies.items():
        feed = PARTS[reader].feeds[port]
        ends = Ends(found.ended(reader), found.ended(feed.node), PARTS[reader].policy == "dynamic")
        counts = tallied._replace(orphaned=min(tallied.orphaned, _most_orphans(reader, feed, moment)))
        faults = [*counts.faults, *_faults(counts, counted[reader, port], feed, ends, moment)]
        page = counted[reader, port]
        wrong += [f"{feed.node}/{feed.output} -> {reader}/{port}: {fault}; {page}" for fault in faults]
    return wrong


def _most_orphans(reader: str, feed: Feed, moment: Moment) -> float:
    """What may be gone with queues at most: both ends in one process, dead at once, or one of them dynamic."""
    nodes = frozenset(part.partition("-")[0] for part in (reader, feed.node))
    if len(nodes) == 1 or "dynamic" in (PARTS[reader].policy, PARTS[feed.node].policy):
        return math.inf
    return moment.together.get(nodes, 0) * feed.queue_size


class Ends(NamedTuple):
    """How often the two ends of a connection came to their end.

    Attributes:
        is_dynamic: its reader is: nobody reads its queue, or moves it, while it is not there.
    """

    reader: int
    sender: int
    is_dynamic: bool = False


def _faults(counts: Tally, page: EdgeCounts, feed: Feed, ends: Ends, moment: Moment) -> list[str]:
    """Of one connection."""
    faults = _losses(counts, page, feed, ends, moment)
    waiting = page.sent - page.dropped - page.taken
    queues = 1 + (ends.reader + ends.sender if ends.is_dynamic else moment.is_over)
    most = queues * feed.queue_size + 1 + counts.orphaned + ends.reader + ends.sender
    if waiting > most:
        faults.append(f"{waiting} neither taken nor dropped, at most {most} can be in the queue")
    if moment.is_over and waiting < 0:
        faults.append(f"{-waiting} more taken and dropped than sent")
    if moment.is_over and page.dropped > counts.begun - counts.got:
        faults.append(f"{page.dropped} counted as dropped, but only {counts.begun - counts.got} did not arrive")
    if page.sent > counts.begun and moment.is_over:
        faults.append(f"{page.sent} counted as sent, {counts.begun} begun")
    if page.sent < counts.sent and not ends.is_dynamic and (moment.was_killed or not moment.is_over):
        faults.append(f"{page.sent} counted as sent, {counts.sent} were")
    if moment.is_over and not counts.got <= page.taken <= counts.got + ends.reader + 1:
        faults.append(f"{page.taken} counted as taken, {counts.got} were received")
    return faults


def _losses(counts: Tally, page: EdgeCounts, feed: Feed, ends: Ends, moment: Moment) -> list[str]:
    """What is missing and neither dropped nor gone with a process."""
    if feed.policy == LOSSLESS and (moment.was_killed or not moment.is_over):
        faults = []
        missing, misplaced = counts.missing - counts.missing_late, counts.misplaced - counts.misplaced_late
        if missing > counts.orphaned + ends.reader or misplaced:
            faults.append(f"{missing} lost, {misplaced} of them within a run, lossless")
        elif counts.missing > counts.orphaned + ends.reader + page.dropped:
            faults.append(f"{counts.missing_late} lost behind a STOP, {page.dropped} counted as dropped, lossless")
        if page.dropped > counts.late:
            faults.append(f"{page.dropped} counted as dropped, {counts.late} behind a STOP, lossless")
        return faults
    if ends.is_dynamic:
        missing, allowed = counts.misplaced, page.dropped + ends.sender
    else:
        missing, allowed = counts.missing, page.dropped + counts.orphaned + ends.reader + ends.sender
    return [f"{missing} missing, at most {allowed} may be"] if missing > allowed + moment.is_over else []


def untold(found: Account, restarts: Mapping[str, int], *, has_failed: bool) -> list[str]:
    """What `rx`, which lives as long as the run, was not told, was told twice, or wrongly.

    Args:
        restarts: of each node, as the runner counts them.
        has_failed: the node that is not restarted was killed.
    """
    (rx,) = found.lives["rx"]
    wrong = []
    for source in sorted({feed.node.partition("-")[0] for feed in PARTS["rx"].feeds.values()} - {"tx", MORTAL}):
        told = int(((rx.entries["kind"] == j.RESTARTED) & (rx.entries["sender"] == SOURCES.index(source))).sum())
        if told != restarts[source]:
            wrong.append(f"rx was told of {told} restarts of {source}, there were {restarts[source]}")
    for port, feed in PARTS["rx"].feeds.items():
        wrong += _told_late(rx, port, feed.node, found.lives[feed.node])
    ports = ports_of("rx")
    closed = rx.entries["port"][rx.entries["kind"] == j.CLOSED].tolist()
    silences = closed.count(ports.index("map"))
    wrong += _wrong_silences(rx, ports.index("map"))
    if len(closed) - silences != has_failed or rx.count(j.FAILED) != has_failed:
        names = [ports[port] for port in closed]
        wrong.append(f"rx got INPUT_CLOSED of {names} and {rx.count(j.FAILED)} NODE_FAILED; killed: {has_failed}")
    return wrong + (_misplaced_end(rx) if has_failed else [])


def _told_late(rx: Life, port: str, sender: str, lives: list[Life]) -> list[str]:
    """Messages of a run of the sender that came before NODE_RESTARTED told of that run."""
    entries, source = rx.entries, sender.partition("-")[0]
    is_got = (entries["kind"] == j.GOT) & (entries["port"] == ports_of("rx").index(port))
    is_told = (entries["kind"] == j.RESTARTED) & (entries["sender"] == SOURCES.index(source))
    told = np.cumsum(is_told)
    late = []
    for rank, life in enumerate(lives):
        firsts = np.flatnonzero(is_got & (entries["sender"] == life.pid))
        if len(firsts) and told[firsts[0]] < rank:
            late.append(f"rx got a message of run {rank} of {sender} after {told[firsts[0]]} NODE_RESTARTED")
    return late


def _wrong_silences(rx: Life, port: int) -> list[str]:
    """INPUT_CLOSED for a silence, then INPUT_RECOVERED, then a message, and nothing else of that input."""
    kinds = rx.entries["kind"][rx.entries["port"] == port].tolist()
    for before, after in itertools.pairwise([j.GOT, *kinds]):
        allowed = {j.CLOSED: (j.RECOVERED,), j.RECOVERED: (j.GOT,)}.get(before, (j.GOT, j.CLOSED))
        if after not in allowed:
            return [f"rx was told of a silence in the wrong order: entry {after} of the journal after {before}"]
    return ["rx was not told that the map came again"] if kinds and kinds[-1] == j.CLOSED else []


def silences(found: Account) -> int:
    """How often `rx` was told that the map is silent."""
    (rx,) = found.lives["rx"]
    is_map = rx.entries["port"] == ports_of("rx").index("map")
    return int(((rx.entries["kind"] == j.CLOSED) & is_map).sum())


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
