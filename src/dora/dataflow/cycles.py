"""Warns of cycles that nothing starts: nodes that are fed by each other alone.

Strategy: the nodes of a cycle are a strongly connected part of the graph (Tarjan 1972, without recursion).  If no
input of the part comes from a timer, from logs or from a node outside, no message can be the first, unless a node sends
before it receives; that is legal, so it is a warning.
"""

from __future__ import annotations

from dora.dataflow.check import printed_outputs
from dora.dataflow.descriptor import OutputSource
from dora.dataflow.nodes import UNKNOWN, NodeDraft
from dora.dataflow.programs import DYNAMIC
from dora.dataflow.report import Report, shown

_MOST_NAMED = 6


def warn_of_cycles(drafts: list[NodeDraft], report: Report) -> None:
    """One warning for each cycle that nothing outside it feeds."""
    by_id = {draft.id: draft for draft in drafts}
    printed = {(draft.id, output) for draft in drafts for output in printed_outputs(draft)}
    feeds = {draft.id: _feeding(draft, printed) for draft in drafts}
    place = {node: at for at, node in enumerate(feeds)}
    for part in _parts(feeds):
        members = [by_id[node] for node in sorted(part, key=place.__getitem__)]
        is_cycle = len(part) > 1 or members[0].id in feeds[members[0].id]
        if is_cycle and all(_waits_for(draft, part, printed) for draft in members):
            _warn(members, feeds, report)


def _feeding(draft: NodeDraft, printed: set[tuple[str, str]]) -> list[str]:
    """The nodes whose messages it reads; what is printed needs no message to come first."""
    sources = [entry.source for entry in draft.inputs.values()]
    outputs = [source for source in sources if isinstance(source, OutputSource)]
    return list(dict.fromkeys(source.node for source in outputs if (source.node, source.output) not in printed))


def _waits_for(draft: NodeDraft, part: set[str], printed: set[tuple[str, str]]) -> bool:
    """The node gets nothing from outside the cycle; what nodes print counts as outside."""
    if draft.kind == UNKNOWN or draft.path == DYNAMIC:
        return False
    sources = [entry.source for entry in draft.inputs.values()]
    outputs = [source for source in sources if isinstance(source, OutputSource)]
    inside = [source for source in outputs if source.node in part and (source.node, source.output) not in printed]
    return len(inside) == len(sources)


def _warn(members: list[NodeDraft], feeds: dict[str, list[str]], report: Report) -> None:
    first = members[0]
    if len(members) == 1:
        text = f"{first.subject} is fed by itself alone"
    else:
        chain = _chain(first.id, {draft.id for draft in members}, feeds)
        more = ["..."] if len(chain) > _MOST_NAMED else []
        listed = " -> ".join([*map(shown, chain[:_MOST_NAMED]), *more, shown(first.id)])
        text = f"nodes {listed} are fed by each other alone"
    hint = "add a timer to one of them, or let one send before it receives"
    report.warn(first.fields.key_at("inputs"), f"{text}: nothing starts this cycle", hint)


def _chain(start: str, part: set[str], feeds: dict[str, list[str]]) -> list[str]:
    """The nodes of one way round, in the direction of the messages; `start` comes first."""
    readers: dict[str, list[str]] = {node: [] for node in part}
    for reader in feeds:
        for node in feeds[reader]:
            if reader in part and node in part:
                readers[node].append(reader)
    came_from = {start: ""}
    waiting = [start]
    for node in waiting:  # grows while it is read: breadth first, so the way is a shortest one
        if start in readers[node]:
            way = [node]
            while came_from[way[-1]]:
                way.append(came_from[way[-1]])
            return way[::-1]
        for reader in readers[node]:
            if reader not in came_from:
                came_from[reader] = node
                waiting.append(reader)
    return [start]


def _parts(feeds: dict[str, list[str]]) -> list[set[str]]:
    """The strongly connected parts."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    pending: list[str] = []
    is_pending: set[str] = set()
    parts: list[set[str]] = []
    for start in feeds:
        walk = [(start, iter(feeds[start]))] if start not in number else []
        while walk:
            node, rest = walk[-1]
            if node not in number:
                number[node] = low[node] = len(number)
                pending.append(node)
                is_pending.add(node)
            following = next((other for other in rest if other in feeds), None)
            if following is None:
                walk.pop()
                if walk:
                    low[walk[-1][0]] = min(low[walk[-1][0]], low[node])
                if low[node] == number[node]:
                    parts.append(_popped(pending, node))
                    is_pending -= parts[-1]
            elif following not in number:
                walk.append((following, iter(feeds[following])))
            elif following in is_pending:
                low[node] = min(low[node], number[following])
    return parts


def _popped(pending: list[str], last: str) -> set[str]:
    """What is taken off the end, up to and with `last`."""
    found = {pending.pop()}
    while last not in found:
        found.add(pending.pop())
    return found
