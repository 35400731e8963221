"""Kills, stops and restarts everything at random: `python benchmarks/chaos.py [--minutes N] [--seed N] [--keep]`.

A graph of 13 nodes (`chaos_graph.py`: all restart policies, queue policies and kinds of nodes, 64 B to 40 MB) runs
through the real `dora run`.  Again and again something happens to it: nodes are ended by signals or by themselves, in
twos, or while they import, or are restarted by command; nodes, the minder and the runner stand still (SIGSTOP), also
while others die; dynamic nodes come, leave and die.  After every event all must be back, every connection must flow
again, and: nothing is lost on lossless inputs, drops are counted, order is kept, restarts and silences are told
(`chaos_checks.py`), nobody survives, descriptors and memory stay flat (`chaos_sizes.py`).
After a minute or so the command or its minder is killed, or the run is stopped, nothing may be left, all figures must
agree with the counters, and the next run begins.  Exit code 1: something did not hold.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from chaos_checks import Account, Moment, account, silences, untold, violations
from chaos_graph import (
    MORTAL,
    NODES,
    PARTS,
    RESTARTED,
    ROLES,
    STATIC,
    TIMEOUT_S,
    add_nodes,
    environment,
    role_environment,
)
from chaos_sizes import ARENAS_KB, Size, grown, size_of, too_large

from dora.dataflow.load import load_dataflow
from dora.messages import runner_daemon
from dora.runner.state.routes import counted_routes
from dora.runs.link import RunnerLink
from dora.transport.counters import CountersPage, EdgeCounts
from end_to_end.lineage import minder_pid, wait_all_gone
from end_to_end.running import TOKEN, Flow, Run, wait_until

RECOVERY_S = 30.0
"""how long everything may take to be back; on a loaded machine a start is slow"""
ROUND_S = 80.0
GONE_S = 2.0
QUIET_S = 10.0
"""how long it may take, when all is back, until nothing of the past is held any more"""
SUICIDE = (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT, signal.SIGUSR2)


def find_page(runner: int) -> CountersPage:
    """The counters page of a run, for reading, also when the run is over."""
    folder = Path(f"/proc/{runner}/fd")
    while True:
        for entry in folder.iterdir():
            with contextlib.suppress(OSError):
                if "dora-counters" in os.readlink(entry):
                    return CountersPage.attach(os.open(entry, os.O_RDWR))
        time.sleep(0.01)


class World:
    """One run of the graph, and what happens to it."""

    def __init__(self, flow: Flow, journals: Path, choice: random.Random) -> None:
        self.flow = flow
        self.journals = journals
        self.choice = choice
        self.dynamic: dict[str, subprocess.Popen[bytes]] = {}
        self.wrong: list[str] = []
        self.first: dict[frozenset[str], dict[str, Size]] = {}
        """what processes held at first, by the dynamic nodes that were there"""
        self.has_failed = False
        self.ended: dict[int, str] = {}
        """processes that were ended since all was well, and their nodes"""
        self.together: Counter[frozenset[str]] = Counter()
        """how often these two nodes were ended at once"""
        self.run: Run = flow.start()
        self.runner = self.run.process.pid
        self.page = find_page(self.runner)
        self.slots = {(r.reader, r.input): r.slot for r in counted_routes(load_dataflow(flow.folder / "dataflow.yml"))}

    # -- looking

    def counters(self) -> dict[tuple[str, str], EdgeCounts]:
        """By reader and input."""
        found = {}
        for (reader, port), slot in self.slots.items():
            operator, _, name = port.partition("/")
            key = (f"{reader}-{operator}", name) if name else (reader, port)
            found[key] = self.page.edge(slot)
        return found

    def pids_of(self, name: str) -> list[int]:
        """Its living processes."""
        return [pid for node, pid in self.run.nodes().items() if node == name]

    def flows(self, before: Account) -> list[str]:
        """Connections on which nothing has come since, from the newest run of the one end to that of the other."""
        now = account(self.journals)
        return [
            f"{feed.node} -> {part}/{port}"
            for part, role in PARTS.items()
            for port, feed in role.feeds.items()
            if self.is_on(part)
            and self.is_on(feed.node)
            and (not now.heard(part, port).count or now.heard(part, port) == before.heard(part, port))
        ]

    def is_on(self, part: str) -> bool:
        """Whether it runs now, as far as it depends on this command."""
        if part == MORTAL:
            return not self.has_failed
        return PARTS[part].policy != "dynamic" or part in self.dynamic

    @property
    def static(self) -> list[str]:
        """Nodes that must have a process."""
        return sorted(name for name in STATIC if name != MORTAL or not self.has_failed)

    def recover(self) -> None:
        """Wait until what was ended has gone, every node runs and every connection flows, and check everything.

        Then also all is read that ended runs have sent: it comes before what the newest has sent.
        """
        end_s = time.monotonic() + RECOVERY_S
        if left := self.wait_gone(end_s):
            self.wrong.append(f"still there after {RECOVERY_S} s, though it was ended: {left}")
        for names in {frozenset(pair) for pair in itertools.combinations(sorted(self.ended.values()), 2)}:
            self.together[names] += 1
        self.ended.clear()
        before = account(self.journals)
        stalled = ["?"]
        while stalled and time.monotonic() < end_s:
            if self.run.process.poll() is not None:
                self.wrong.append(f"the run has ended: {self.run.wait()}")
                return
            time.sleep(0.1)
            stalled = self.flows(before)
        if stalled:
            self.wrong.append(f"nothing flows after {RECOVERY_S} s: {', '.join(stalled)}")
        self.check()

    def wait_gone(self, end_s: float) -> dict[int, str]:
        """Wait until the processes that were ended are gone; returns those that are not."""
        while left := {pid: self.ended[pid] for pid in self.run.pids() if pid in self.ended}:
            if time.monotonic() > end_s or self.run.process.poll() is not None:
                break
            time.sleep(0.05)
        return left

    def check(self) -> None:
        """All that must hold while it runs."""
        moment = Moment(together=self.together)
        self.wrong += violations(account(self.journals), self.counters(), moment)
        if self.untold():
            time.sleep(1)
            self.wrong += self.untold()
        self.wrong += self.wrong_processes()
        for name in ARENAS_KB:
            for pid in self.pids_of(name):
                self.wrong += too_large(name, size_of(pid))

    def untold(self) -> list[str]:
        """What the reader that lives as long as the run did not hear."""
        restarts = self.restarts()
        return untold(account(self.journals), restarts, has_failed=self.has_failed)

    @contextlib.contextmanager
    def link(self) -> Iterator[RunnerLink]:
        """To the runner."""
        (path,) = self.flow.home.glob("run-*/admin.sock")
        with RunnerLink.open(str(path)) as link:
            yield link

    def restarts(self) -> dict[str, int]:
        """Of each node, as the runner counts them."""
        with self.link() as link:
            described = link.ask(runner_daemon.Describe(), runner_daemon.Described)
        return {node.id: node.restarts for node in described.nodes}

    def wrong_processes(self) -> list[str]:
        """Not one process per node, besides runner and minder."""
        names = list(self.run.nodes())
        expected = len(self.static) + 2 + len(self.dynamic)
        pids = self.run.pids()
        if sorted(names) == self.static and len(pids) == expected:
            return []
        time.sleep(1)
        pids = self.run.pids()
        if sorted(self.run.nodes()) == self.static and len(pids) == expected:
            return []
        commands = [Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode() for pid in pids]
        return [f"{len(pids)} processes instead of {expected}: {commands}"]

    def warm_up(self) -> None:
        """Note the sizes with any of the dynamic nodes, each of which was there once.

        In the end `relay` comes anew while nobody feeds its `cmd`: for such an input the runner keeps an arena, which
        the next `teleop` gets.
        """
        self.recover()
        for act, name in (("attach", "plot"), ("attach", "teleop"), ("detach", "plot"), ("detach", "teleop")):
            self.attach(name) if act == "attach" else self.detach(name, signal.SIGINT)
            if not self.dynamic:
                self.kill("relay", signal.SIGKILL)
            self.recover()
            self.first[frozenset(self.dynamic)] = self.sizes() if not self.wrong else {}

    def sizes(self) -> dict[str, Size]:
        """Of those that live as long as the run."""
        nodes = self.run.nodes()
        return {"runner": size_of(self.runner)} | {name: size_of(nodes[name]) for name in ("rx", "tx")}

    def check_sizes(self) -> None:
        """A moment after all is back, nothing is held that was not held at first."""
        first = self.first[frozenset(self.dynamic)]
        end_s = time.monotonic() + QUIET_S
        while (left := grown(first, self.sizes())) and time.monotonic() < end_s:
            time.sleep(0.2)
        self.wrong += left

    def detach_all(self) -> None:
        """As it was when the warm-up had ended."""
        for name in list(self.dynamic):
            self.detach(name, signal.SIGINT)

    # -- acting

    def end_node(self, name: str) -> str:
        """In any way."""
        ways = [*SUICIDE, signal.SIGUSR1] if ROLES.get(name, ROLES["joints"]).policy == "always" else list(SUICIDE)
        if name == "vision":
            ways = [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM]
        way = self.choice.choice(ways)
        self.kill(name, way)
        return f"{way.name} to {name}"

    def kill(self, name: str, way: signal.Signals) -> None:
        """The process that it has now."""
        for pid in self.pids_of(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, way)
                self.ended[pid] = name

    def one(self) -> str:
        """A node ends."""
        return self.end_node(self.choice.choice(RESTARTED))

    def for_good(self) -> str:
        """A node ends that is not restarted."""
        if self.has_failed:
            return self.one()
        self.has_failed = True
        way = self.choice.choice([signal.SIGKILL, signal.SIGSEGV, signal.SIGUSR2])
        self.kill(MORTAL, way)
        return f"{way.name} to {MORTAL}, for good"

    def two(self) -> str:
        """Two nodes end at once."""
        return " and ".join(self.end_node(name) for name in self.choice.sample(RESTARTED, 2))

    def again(self) -> str:
        """A node is killed three times, as soon as its next process is there."""
        name = self.choice.choice(RESTARTED)
        pauses = []
        for _ in range(3):
            end_s = time.monotonic() + 5
            while not (pids := self.pids_of(name)) and time.monotonic() < end_s:
                time.sleep(0.005)
            pause_s = self.choice.random() * 0.6
            time.sleep(pause_s)
            pauses.append(f"{pause_s:.2f} s")
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.ended[pid] = name
        return f"SIGKILL to {name} after {', '.join(pauses)}"

    def restart(self) -> str:
        """A node is restarted by command."""
        name = self.choice.choice(RESTARTED)
        self.ask_restart(name)
        return f"restart of {name}"

    def ask_restart(self, name: str) -> None:
        """With a grace of two seconds."""
        self.ended |= dict.fromkeys(self.pids_of(name), name)
        with self.link() as link:
            link.ask(runner_daemon.RestartNode(name, 2.0), runner_daemon.Done)

    def restart_both(self) -> str:
        """A reader is restarted by command, and its sender before the reader is back: nothing may be lost."""
        reader, sender = self.choice.choice([("relay", "joints"), ("fusion", "relay")])
        before = self.restarts()[reader]
        self.ask_restart(reader)
        wait_until(lambda: self.restarts()[reader] > before, RECOVERY_S, f"the end of {reader}")
        self.wait_gone(time.monotonic() + RECOVERY_S)
        self.ended.clear()  # one after the other, not at once
        self.ask_restart(sender)
        return f"restart of {reader}, then of {sender}"

    def silence(self) -> str:
        """The mapper stands still for so long that `rx` must be told."""
        before = silences(account(self.journals))
        said = self.pause("mapper", self.pids_of("mapper"), least_s=TIMEOUT_S + 1.5)
        if silences(account(self.journals)) == before:
            self.wrong.append("rx was not told of a silence of the map")
        return said

    def stop_one(self) -> str:
        """A node stands still for a moment."""
        name = self.choice.choice(self.static)
        return self.pause(name, self.pids_of(name))

    def stop_runner(self) -> str:
        """The runner stands still while a node ends."""
        return self.pause("runner", [self.runner], self.one)

    def stop_minder(self) -> str:
        """The minder stands still while a node ends."""
        return self.pause("minder", [minder_pid(self.run)], self.choice.choice([self.one, self.for_good]))

    def stop_all(self) -> str:
        """Everything stands still."""
        return self.pause("all", self.run.pids())

    def pause(
        self, what: str, pids: list[int], meanwhile: Callable[[], str] = lambda: "", *, least_s: float = 0.0
    ) -> str:
        """SIGSTOP, and SIGCONT after a while."""
        pause_s = least_s + self.choice.random() * 2
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        try:
            said = meanwhile()
            time.sleep(pause_s)
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        return f"{what} stopped for {pause_s:.2f} s {said}"

    def toggle(self) -> str:
        """A dynamic node comes, leaves or dies."""
        name = self.choice.choice(["plot", "teleop"])
        if name not in self.dynamic:
            self.attach(name)
            return f"{name} attaches"
        return self.detach(name, self.choice.choice([signal.SIGKILL, signal.SIGINT, signal.SIGUSR1]))

    def attach(self, name: str) -> None:
        """Start it."""
        env = self.flow.environment | environment(self.journals) | role_environment(name)
        token = {TOKEN: self.run._token}
        command = [sys.executable, str(NODES / "chaos_node.py"), name]
        self.dynamic[name] = subprocess.Popen(command, env=env | token, stderr=subprocess.DEVNULL)

    def detach(self, name: str, way: signal.Signals) -> str:
        """End it."""
        process = self.dynamic.pop(name)
        process.send_signal(way)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            self.wrong.append(f"{name} did not end after {way.name}")
            process.kill()
            process.wait()
        return f"{way.name} to {name}"

    # -- the end

    def finish(self) -> str:
        """End the run in one of many ways, and check what is left and how the figures add up."""
        ways = {
            "Ctrl-C": ([self.runner], signal.SIGINT, {int(self.has_failed)}, 8.0),
            "SIGTERM": ([self.runner], signal.SIGTERM, {int(self.has_failed)}, 8.0),
            "SIGKILL to the command": ([self.runner], signal.SIGKILL, {-9}, GONE_S),
            "SIGKILL to the minder": ([minder_pid(self.run)], signal.SIGKILL, {1}, GONE_S),
            "SIGKILL to both": ([self.runner, minder_pid(self.run)], signal.SIGKILL, {-9}, GONE_S),
        }
        name = self.choice.choice(list(ways))
        pids, signum, codes, limit_s = ways[name]
        for pid in pids:
            os.kill(pid, signum)
        for process in self.dynamic.values():
            if signum == signal.SIGKILL:
                process.kill()
        try:
            seconds = wait_all_gone(self.run, 20)
        except AssertionError as error:
            seconds = 20.0
            self.wrong.append(str(error))
        for process in self.dynamic.values():
            process.kill()
            process.wait()
        ended = self.run.wait()
        if seconds > limit_s:
            self.wrong.append(f"{name}: all gone only after {seconds:.2f} s")
        if ended.code not in codes:
            self.wrong.append(f"{name}: {ended}")
        was_killed = signum == signal.SIGKILL and self.runner in pids
        moment = Moment(is_over=True, was_killed=was_killed, together=self.together)
        self.wrong += violations(account(self.journals), self.counters(), moment)
        self.wrong += self.run.end()
        if name != "SIGKILL to both":
            self.wrong += [f"left behind: {path}" for path in self.flow.home.iterdir()]
        return f"{name}, exit code {ended.code}, all gone after {seconds:.2f} s"


EVENTS: list[tuple[Callable[[World], str], int]] = [
    (World.one, 6),
    (World.two, 2),
    (World.again, 2),
    (World.for_good, 1),
    (World.restart, 2),
    (World.restart_both, 2),
    (World.silence, 1),
    (World.stop_one, 2),
    (World.stop_runner, 1),
    (World.stop_minder, 1),
    (World.stop_all, 1),
    (World.toggle, 3),
]


def play_round(flow: Flow, folder: Path, choice: random.Random, end_s: float) -> list[str]:
    """One run of the graph; returns what did not hold."""
    folder.mkdir()
    flow.environment |= environment(folder)
    world = World(flow, folder, choice)
    try:
        world.warm_up()
        while not world.wrong and time.monotonic() < end_s:
            act = choice.choices([event for event, _ in EVENTS], [weight for _, weight in EVENTS])[0]
            began_s = time.monotonic()
            what = act(world)
            world.recover()
            if not world.wrong:
                world.check_sizes()
            print(f"  {what}: back after {time.monotonic() - began_s:.1f} s", flush=True)
            for text in world.wrong:
                print(f"    WRONG: {text}", flush=True)
        if not world.wrong:
            world.detach_all()
            world.check_sizes()
            for name, now in world.sizes().items():
                print(f"  {name}: {_brief(world.first[frozenset()][name])} -> {_brief(now)}", flush=True)
            for text in world.wrong:
                print(f"    WRONG: {text}", flush=True)
        wrong_before = list(world.wrong)
        print(f"  {world.finish()}", flush=True)
        for text in world.wrong[len(wrong_before) :]:
            print(f"    WRONG: {text}", flush=True)
        report(account(folder), world)
        return world.wrong
    finally:
        for process in world.dynamic.values():
            process.kill()
            process.wait()
        world.run.end()


def _brief(size: Size) -> str:
    return f"{size.fds} + {size.wake_ups} descriptors, {size.private_kb:,} + {size.shared_kb:,} kB, {size.maps} arenas"


def report(found: Account, world: World) -> None:
    """A line with the sums of a round."""
    sent = sum(counts.sent for counts in found.tallies.values())
    got = sum(counts.got for counts in found.tallies.values())
    dropped = sum(counts.dropped for counts in world.counters().values())
    runs = sum(len(lives) for lives in found.lives.values())
    told = silences(found)
    print(f"  {sent:,} messages sent, {got:,} received, {dropped:,} dropped; {runs} processes, {told} silences")


def main() -> int:
    """As long as the command line says."""
    parser = argparse.ArgumentParser(description="Kill, stop and restart everything at random.")
    parser.add_argument("--minutes", type=float, default=3.0, help="how long (3)")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "little"), help="of all choices")
    parser.add_argument("--keep", action="store_true", help="keep the folder with journals and logs")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    choice = random.Random(options.seed)
    end_s = time.monotonic() + options.minutes * 60
    wrong: list[str] = []
    rounds = 0
    print(f"seed {options.seed}, {options.minutes:g} minutes", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="dora-chaos-"))
    flow = Flow(folder)
    add_nodes(flow)
    try:
        while time.monotonic() < end_s and not wrong:
            rounds += 1
            print(f"round {rounds}", flush=True)
            wrong += play_round(flow, folder / f"round-{rounds}", choice, min(end_s, time.monotonic() + ROUND_S))
        flow.run("--stop-after", "1ms")  # sweeps what a command left that was killed together with its minder
    finally:
        left = flow.leftovers()
        if options.keep or wrong:
            print(f"kept: {folder}")
        else:
            subprocess.run(["rm", "-rf", str(folder)], check=False)
    wrong += left
    print(f"seed {options.seed}: {rounds} rounds, {len(wrong)} violations", flush=True)
    for text in wrong:
        print(f"  {text}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
