"""Mistakes that type checkers find: each line marked so must be an error, and nothing else.  Never run."""

from __future__ import annotations

import dora
from dora import DoraStatus, Node, run
from dora.builder import DataflowBuilder
from dora.testing import NodeHarness

print(dora.Nodes)  # wrong: there is no such name
node = Node(5)  # wrong: an id is a str
node.send_output(5, b"")  # wrong: an output's name is a str
node.next("soon")  # wrong: a time-out is a number
node.sent_output("out", b"")  # wrong: there is no such method
for key in node.next():  # wrong: it may be None
    print(key)
node.send_service_response("out", b"")  # wrong: the request's metadata are missing
node.extension_store("maps", "floor", "text")  # wrong: bytes
status: int = DoraStatus.STOP  # wrong: not an int
run(5)  # wrong: a path
DataflowBuilder().add_node("a").add_input("in", 5)  # wrong: a source is text or an Output
NodeHarness("node.py").run(stop_after=5)  # wrong: `stop_at_s`
