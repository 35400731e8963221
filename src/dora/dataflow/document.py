"""YAML text to a tree of values that know their place in the file.

Strategy: the tree is built from PyYAML's event stream, not from its composed nodes: events keep
quoting and explicit tags, nesting needs no recursion, and aliases are counted as they are met, so an
"alias bomb" ends after a bounded number of values.  This is the only module that imports yaml.

Duplicate keys are errors.  Merge keys (`<<`) and anchors work.  Plain scalars are left as text here;
`scalars.py` says what they mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Union

import yaml

from dora.dataflow.report import Place, Report, shown
from dora.dataflow.syntax import syntax_error

MAX_VALUES: Final = 100_000
MAX_DEPTH: Final = 64

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE: Final = "<<"
TAG_PREFIX: Final = "tag:yaml.org,2002:"
_SCALAR_TAGS: Final = frozenset({"str", "int", "float", "bool", "null"})


class YamlScalar(NamedTuple):
    """A text, number, truth value or nothing.

    Attributes:
        is_plain: written without quotes or block style, so that it may mean a number.
        tag: an explicit tag such as `tag:yaml.org,2002:str`, or None.
    """

    place: Place
    text: str
    is_plain: bool
    tag: str | None = None


class Entry(NamedTuple):
    """One key of a mapping with its value."""

    place: Place
    value: YamlValue


@dataclass(eq=False)
class YamlMap:
    """A mapping; keys are texts, in file order."""

    place: Place
    entries: dict[str, Entry] = field(default_factory=dict)


@dataclass(eq=False)
class YamlList:
    """A list of values."""

    place: Place
    items: list[YamlValue] = field(default_factory=list)


YamlValue = Union[YamlScalar, YamlMap, YamlList]


def parse_document(text: str, report: Report, file: str = "") -> YamlValue | None:
    """The tree of the one document in `text`, None if there is none.

    Duplicate keys and the like are noted in `report`; broken YAML raises `DescriptorError`.

    Args:
        file: the `file` of all places.
    """
    builder = _Builder(report, file)
    try:
        for event in _events(text):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise syntax_error(error, text, report, file) from None
    except yaml.reader.ReaderError as error:
        raise report.fatal(_place_of_offset(text, error, file), _unreadable(error)) from None
    except (ValueError, OverflowError) as error:
        # an escape such as "\\UFFFFFFFF" that names no character
        raise report.fatal(Place(1, 1, file), f"not valid YAML: {error}") from None
    return builder.root


def _events(text: str) -> Iterator[Any]:
    loader = _LOADER(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    finally:
        loader.dispose()


@dataclass(eq=False)
class _Frame:
    """A mapping or list whose end has not been seen yet."""

    value: YamlMap | YamlList
    anchor: str | None
    weight: int = 1
    key: YamlScalar | None = None
    merged: list[YamlMap] = field(default_factory=list)


class _Builder:
    """Takes events, leaves the tree in `root`."""

    def __init__(self, report: Report, file: str) -> None:
        self.root: YamlValue | None = None
        self._report = report
        self._file = file
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[YamlValue | None, int]] = {}
        self._values = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)

    def _at(self, event: Any) -> Place:
        mark = event.start_mark
        return Place(mark.line + 1, mark.column + 1, self._file)

    def start_document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            raise self._report.fatal(
                self._at(event), "expected one YAML document, found a second one", "remove the '---'"
            )

    def scalar(self, event: Any) -> None:
        tag = event.tag if event.tag not in (None, "!") else None
        if tag is not None and tag.removeprefix(TAG_PREFIX) not in _SCALAR_TAGS:
            self._report.error(self._at(event), f"tag {shown(tag)} is not known here", "remove it")
        is_plain = event.implicit[0] or (event.style in (None, "") and event.tag is None)
        self._place(YamlScalar(self._at(event), event.value, bool(is_plain), tag), event.anchor, 1)

    def start_map(self, event: Any) -> None:
        self._open(YamlMap(self._at(event)), event)

    def start_list(self, event: Any) -> None:
        self._open(YamlList(self._at(event)), event)

    def end(self, event: Any) -> None:
        frame = self._stack.pop()
        if isinstance(frame.value, YamlMap):
            for source in frame.merged:
                for key, entry in source.entries.items():
                    frame.value.entries.setdefault(key, entry)
        self._place(frame.value, frame.anchor, frame.weight)

    def alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise self._report.fatal(self._at(event), f"alias {shown('*' + event.anchor)} has no anchor")
        value, weight = self._anchors[event.anchor]
        if value is None:
            raise self._report.fatal(self._at(event), f"alias {shown('*' + event.anchor)} contains itself")
        self._place(value, None, weight, at=self._at(event))

    def _open(self, value: YamlMap | YamlList, event: Any) -> None:
        if event.tag not in (None, "!", TAG_PREFIX + "map", TAG_PREFIX + "seq"):
            self._report.error(self._at(event), f"tag {shown(event.tag)} is not known here", "remove it")
        if len(self._stack) >= MAX_DEPTH:
            raise self._report.fatal(self._at(event), f"nested more than {MAX_DEPTH} levels deep")
        if event.anchor is not None:
            self._anchors[event.anchor] = (None, 0)
        self._stack.append(_Frame(value, event.anchor))

    def _place(self, value: YamlValue, anchor: str | None, weight: int, at: Place | None = None) -> None:
        """Put a finished value into the open mapping or list; `at` is where an alias stands."""
        self._values += weight if at is not None else 1
        if self._values > MAX_VALUES:
            raise self._report.fatal(at or value.place, f"more than {MAX_VALUES} values, aliases counted in full")
        if anchor is not None:
            self._anchors[anchor] = (value, weight)
        if not self._stack:
            self.root = value
            return
        frame = self._stack[-1]
        frame.weight += weight
        if isinstance(frame.value, YamlList):
            frame.value.items.append(value)
        elif frame.key is None:
            frame.key = self._as_key(value, at)
        else:
            key, frame.key = frame.key, None
            self._add_entry(frame, key, value)

    def _as_key(self, value: YamlValue, at: Place | None) -> YamlScalar:
        if isinstance(value, YamlScalar):
            return value if at is None else value._replace(place=at)
        self._report.error(at or value.place, "expected a text as key, found a list or mapping")
        return YamlScalar(at or value.place, "", is_plain=False)

    def _add_entry(self, frame: _Frame, key: YamlScalar, value: YamlValue) -> None:
        assert isinstance(frame.value, YamlMap)
        if key.text == _MERGE and key.is_plain:
            self._merge(frame, key, value)
            return
        first = frame.value.entries.get(key.text)
        if first is None:
            frame.value.entries[key.text] = Entry(key.place, value)
            return
        where = f"first one in line {first.place.line}"
        self._report.error(key.place, f"key {shown(key.text)} is given twice ({where})", "remove one of them")

    def _merge(self, frame: _Frame, key: YamlScalar, value: YamlValue) -> None:
        sources = value.items if isinstance(value, YamlList) else [value]
        maps = [source for source in sources if isinstance(source, YamlMap)]
        if len(maps) < len(sources):
            self._report.error(key.place, "expected a mapping (or a list of mappings) after '<<'")
        frame.merged.extend(maps)


_HANDLERS: Final[dict[type, Any]] = {
    yaml.DocumentStartEvent: _Builder.start_document,
    yaml.ScalarEvent: _Builder.scalar,
    yaml.MappingStartEvent: _Builder.start_map,
    yaml.SequenceStartEvent: _Builder.start_list,
    yaml.MappingEndEvent: _Builder.end,
    yaml.SequenceEndEvent: _Builder.end,
    yaml.AliasEvent: _Builder.alias,
}


def _unreadable(error: yaml.reader.ReaderError) -> str:
    character = error.character
    code = character if isinstance(character, int) else ord(character[:1] or "\0")
    return f"not valid YAML: character U+{code:04X} is not allowed"


def _place_of_offset(text: str, error: yaml.reader.ReaderError, file: str) -> Place:
    """The C reader counts bytes, the Python reader characters: looked up as what fits."""
    data = text.encode("utf-8", errors="surrogatepass")
    before = data[: max(error.position, 0)].decode("utf-8", errors="replace")
    return Place(before.count("\n") + 1, len(before) - before.rfind("\n"), file)
