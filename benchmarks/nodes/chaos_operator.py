"""An operator of the chaos command: notes what comes, sends a small message for each.

Ports:
    in in    uint8[n] with marks, as `journal.Message` makes it, at any rate
    out out  uint8[100] with marks
"""

from __future__ import annotations

from journal import BEGUN, SENT, Journal, Message

from dora import DoraStatus


class NotingOperator:
    """Sends as many messages as it receives."""

    name = ""
    """of its journal"""

    def __init__(self):
        self.journal = Journal(self.name)
        self.message = Message(100)

    def on_event(self, event, send_output):
        self.journal.note_event(event)
        if event["type"] == "INPUT":
            number, data = self.message.next()
            self.journal.note(BEGUN, "out", number=number)
            send_output("out", data.copy())
            self.journal.note(SENT, "out", number=number)
        return DoraStatus.CONTINUE
