"""A node of the chaos command: receives, sends, and notes both in its journal; ends as it is told by a signal.

Ports:
    in tick     timer, sends all outputs
    in ...      uint8[n] with marks, as `journal.Message` makes it, at any rate
    out ...     uint8[n] with marks: sizes in CHAOS_SIZES

CHAOS_FORWARDS names the input whose messages make it send all outputs; without it and without inputs CHAOS_RATE_HZ
says how often.  CHAOS_WORK_MS is what a message costs, CHAOS_KEEPS how many arrays are held.
SIGUSR1: exit with 0, at once; SIGUSR2: raise behind the next event.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time

from journal import BEGUN, SENT, Journal, Kept, Message

from dora import Node

SIZES = json.loads(os.environ.get("CHAOS_SIZES", "{}"))
FORWARDS = os.environ.get("CHAOS_FORWARDS", "tick")
RATE_HZ = float(os.environ.get("CHAOS_RATE_HZ", "0"))
WORK_S = float(os.environ.get("CHAOS_WORK_MS", "0")) / 1000
KEEPS = int(os.environ.get("CHAOS_KEEPS", "0"))
NAME = sys.argv[1]


is_to_fail = False
is_to_leave = False


def leave(signum: int, frame: object) -> None:
    """As the chaos command wants it: in the middle of whatever goes on, or soon."""
    global is_to_fail, is_to_leave
    if signum == signal.SIGUSR1:
        is_to_leave = True  # a finalizer may swallow the exception
        raise SystemExit(0)
    is_to_fail = True


def end_if_told() -> None:
    """Behind an event: what the signal said."""
    if is_to_fail:
        raise RuntimeError("chaos")
    if is_to_leave:
        raise SystemExit(0)


def send_all(node: Node, journal: Journal, messages: dict[str, Message]) -> None:
    """One message on every output."""
    for output, message in messages.items():
        number, data = message.next()
        journal.note(BEGUN, output, number=number)
        node.send_output(output, data)
        journal.note(SENT, output, number=number)


def follow(node: Node, journal: Journal, messages: dict[str, Message]) -> None:
    """Receive until the end."""
    due_s = time.monotonic()
    kept = Kept(journal, KEEPS)
    while True:
        timeout_s = None
        if RATE_HZ:
            timeout_s = max(0.0, due_s - time.monotonic())
        event = node.next(timeout=timeout_s)
        if event is None:
            return
        journal.note_event(event)
        end_if_told()
        if event["type"] == "INPUT":
            if KEEPS and event["id"] != "tick":
                kept.keep(event["id"], event["value"])
            if WORK_S:
                time.sleep(WORK_S)
            if event["id"] == FORWARDS:
                send_all(node, journal, messages)
        if RATE_HZ and time.monotonic() >= due_s:
            due_s += 1 / RATE_HZ
            send_all(node, journal, messages)


def main() -> None:
    """Until the stream ends, or something ends it."""
    signal.signal(signal.SIGUSR1, leave)
    signal.signal(signal.SIGUSR2, leave)
    node = Node(NAME) if "DORA_NODE_CONFIG" not in os.environ else Node()
    journal = Journal(NAME)
    with contextlib.suppress(KeyboardInterrupt):
        follow(node, journal, {output: Message(size) for output, size in SIZES.items()})


main()
