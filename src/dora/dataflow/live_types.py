"""Whether an output may feed an input of a graph that runs, by the types that both state."""

from __future__ import annotations

from dora.dataflow.descriptor import Dataflow, LogsSource, Node, OutputSource, Source
from dora.dataflow.report import Report
from dora.dataflow.std_types import STRING, TICK
from dora.dataflow.types import TypeLibrary, TypeUse, parse_use
from dora.dataflow.user_types import read_user_types


def type_fault(dataflow: Dataflow, source: Source, reader: Node, port: str) -> str:
    """What does not fit between an output and the input that is to read it, or nothing.

    Types that nobody states fit everything.  A graph that runs is no place to try things out, so what a file may say
    with a warning is refused here.
    """
    text = reader.input_types.get(port)
    if text is None:
        return ""
    own = read_user_types(str(dataflow.path), Report(dataflow.file))
    rules = [(_urn(narrow), _urn(wide)) for narrow, wide in dataflow.type_rules]
    library = TypeLibrary(own, rules)
    expected = parse_use(text)
    if expected is None or library.get(expected.urn) is None:
        return f"there is no type {text!r}"
    sent = _sent(dataflow, source, reader)
    if sent is None or library.may_feed(sent, expected):
        return ""
    detail = library.difference(sent, expected)
    return f"it expects {expected}, and this is {sent}" + (f" ({detail})" if detail else "")


def _sent(dataflow: Dataflow, source: Source, reader: Node) -> TypeUse | None:
    if isinstance(source, OutputSource):
        nodes = (*dataflow.nodes, reader)
        text = next((node.output_types.get(source.output) for node in nodes if node.id == source.node), None)
        return None if text is None else parse_use(text)
    return TypeUse(STRING if isinstance(source, LogsSource) else TICK)


def _urn(text: str) -> str:
    use = parse_use(text)
    return text if use is None else use.urn
