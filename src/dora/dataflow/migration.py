"""Rewrites a dataflow file from keys of older versions to today's; comments, order and style stay (`dora migrate`).

Strategy: one small change of the text at a time, at the place that the parser gives, then the text is read anew and the
next one is looked for; so no change has to know what the others moved.  What `legacy.py` reads under another name is
changed here, and nothing else.  Where a change would need more than moving whole lines (a mapping in braces, a key
that is already there), it is left to the author and said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from dora.dataflow.document import Entry, YamlList, YamlMap, YamlScalar, parse_document
from dora.dataflow.legacy import (
    BESIDE_OPERATOR,
    CUSTOM_RENAMED,
    DEBUG_RENAMED,
    DROPPED_ROOT,
    OPERATOR_KEYS,
    RENAMED,
    has_path_and_source,
    is_operator_unindented,
    split_run,
)
from dora.dataflow.report import Report

MAX_CHANGES: Final = 10_000

_PLAIN: Final = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./=+@ -]*[A-Za-z0-9_./=+@-]|[A-Za-z0-9_./]")


class Migrated(NamedTuple):
    """A file in today's keys.

    Attributes:
        changes: what was changed, `line: text` each, by the lines of the text given.
        left: what is of an older version still, `line:column: text` each.
    """

    text: str
    changes: list[str]
    left: list[str]


class _Change(NamedTuple):
    """One change: the lines instead of those from `first` up to, but without, `end` (counted from 0)."""

    first: int
    end: int
    lines: list[str]
    what: str


def migrate_text(text: str, file: str) -> Migrated:
    """The text with today's keys.

    Raises:
        DescriptorError: it is no YAML.
    """
    changes: list[str] = []
    left: dict[str, None] = {}
    while len(changes) < MAX_CHANGES:
        lines = text.splitlines(keepends=True)
        left.clear()
        change = next(_found(text, lines, file, left), None)
        if change is None:
            break
        text = "".join([*lines[: change.first], *change.lines, *lines[change.end :]])
        changes.append(change.what)
    return Migrated(text, changes, list(left))


def _found(text: str, lines: list[str], file: str, left: dict[str, None]) -> Iterator[_Change]:
    """What may be changed next; what cannot be is put into `left`."""
    report = Report(file)
    root = parse_document(text, report)
    report.check()
    if not isinstance(root, YamlMap):
        return
    page = _Page(lines, left)
    yield from page.renamed(root, RENAMED)
    debug = root.entries.get("debug")
    if debug is not None and isinstance(debug.value, YamlMap):
        yield from page.renamed(debug.value, DEBUG_RENAMED)
    for key in DROPPED_ROOT:
        if key in root.entries and "module" not in root.entries:
            yield from page.removed(root, key)
    nodes = root.entries.get("nodes")
    for node in nodes.value.items if nodes is not None and isinstance(nodes.value, YamlList) else ():
        if isinstance(node, YamlMap):
            yield from _in_node(node, page)


def _in_node(node: YamlMap, page: _Page) -> Iterator[_Change]:
    yield from page.renamed(node, RENAMED)
    custom = node.entries.get("custom")
    if custom is not None and isinstance(custom.value, YamlMap):
        if "run" in custom.value.entries:
            yield from page.split(custom.value, "run")
            return
        if has_path_and_source(custom.value):
            yield from page.removed(custom.value, "source")
            return
        yield from page.renamed(custom.value, CUSTOM_RENAMED)
        yield from page.lifted(node, "custom")
    if is_operator_unindented(node):
        yield from page.indented(node, "operator", OPERATOR_KEYS)
    operator = node.entries.get("operator")
    if operator is not None and isinstance(operator.value, YamlMap):
        for key in BESIDE_OPERATOR:
            if key in node.entries:
                yield from page.sunk(node, key, "operator")


class _Page:
    """The lines of the text, and what can be done with them."""

    def __init__(self, lines: list[str], left: dict[str, None]) -> None:
        self._lines = lines
        self._left = left

    def renamed(self, mapping: YamlMap, names: dict[str, str]) -> Iterator[_Change]:
        """A key under its new name."""
        for old, new in names.items():
            entry = mapping.entries.get(old)
            if entry is None:
                continue
            index, column = entry.place.line - 1, entry.place.column - 1
            line = self._lines[index]
            if new in mapping.entries:
                self._leave(entry, f"'{old}' and '{new}' are both there: keep one")
            elif line[column:].startswith(old):
                yield self._of(index, [line[:column] + new + line[column + len(old) :]], f"'{old}' is '{new}'")
            else:
                self._leave(entry, f"write '{new}' for '{old}'")

    def removed(self, mapping: YamlMap, key: str) -> Iterator[_Change]:
        """The text without a key and its value."""
        entry = mapping.entries[key]
        if self._is_block(entry):
            first, end = self._extent(entry)
            yield _Change(first, end, [], f"{first + 1}: '{key}' is gone")
        else:
            self._leave(entry, f"remove '{key}'")

    def split(self, mapping: YamlMap, key: str) -> Iterator[_Change]:
        """`run: program arguments` as `path` and `args`."""
        entry = mapping.entries[key]
        made = split_run(entry.value) if isinstance(entry.value, YamlScalar) else None
        first, end = self._extent(entry)
        is_clear = isinstance(entry.value, YamlScalar) and (entry.value.is_plain or "#" not in entry.value.text)
        if made is None or not self._is_block(entry) or end != first + 1 or not is_clear:
            self._leave(entry, f"write 'path' and 'args' for '{key}'")
            return
        program, arguments = made
        line = self._lines[first]
        head, tail = line[: entry.place.column - 1], self._comment_after(entry)
        ending = line[len(line.rstrip("\r\n")) :]
        lines = [f"{head}path: {_quoted(program)}{tail}{ending}"]
        if arguments:
            lines.append(f"{' ' * len(head)}args: {_quoted(arguments)}{ending}")
        yield self._of(first, lines, f"'{key}' is 'path' and 'args'")

    def lifted(self, mapping: YamlMap, key: str) -> Iterator[_Change]:
        """The keys of a mapping in the place of the key that holds it."""
        entry = mapping.entries[key]
        value = entry.value
        assert isinstance(value, YamlMap)
        twice = [name for name in value.entries if name in mapping.entries]
        if twice or not self._is_block(entry) or not value.entries or value.place.line == entry.place.line:
            self._leave(entry, f"'{twice[0]}' is there twice" if twice else f"write the keys of '{key}' without it")
            return
        first, end = self._extent(entry)
        column = entry.place.column - 1
        lines = [_shifted(line, column + 1 - value.place.column) for line in self._lines[first + 1 : end]]
        head = self._lines[first][:column]
        comment = self._comment_after(entry).strip()
        start = next(index for index, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#"))
        if head.strip():  # the key stands behind the dash of a list
            lines[start] = head + lines[start][column:]
        if comment:
            lines.insert(0, f"{' ' * column}{comment}\n")
        yield _Change(first, end, lines, f"{first + 1}: the keys of '{key}' are the node's")

    def sunk(self, mapping: YamlMap, key: str, into: str) -> Iterator[_Change]:
        """A key and its value moved to the end of the mapping that another key holds."""
        entry, target = mapping.entries[key], mapping.entries[into]
        assert isinstance(target.value, YamlMap)
        first, end = self._extent(entry)
        start, goal = self._extent(target)
        is_first = bool(self._lines[first][: entry.place.column - 1].strip())
        can_move = self._is_block(entry) and self._is_block(target) and target.value.place.line > target.place.line
        if key in target.value.entries or not can_move or is_first:
            self._leave(entry, f"move '{key}' into '{into}'")
            return
        moved = [_shifted(line, target.value.place.column - entry.place.column) for line in self._lines[first:end]]
        if goal <= first:
            lines = [*self._ended(start, goal), *moved, *self._lines[goal:first]]
            yield _Change(start, end, lines, f"{first + 1}: '{key}' is in '{into}'")
        else:
            lines = [*self._lines[end:start], *self._ended(start, goal), *moved]
            yield _Change(first, goal, lines, f"{first + 1}: '{key}' is in '{into}'")

    def indented(self, mapping: YamlMap, key: str, names: tuple[str, ...]) -> Iterator[_Change]:
        """The keys that stand below an empty one, as its value."""
        entry = mapping.entries[key]
        own = [mapping.entries[name] for name in names if name in mapping.entries]
        first = entry.place.line - 1
        end = max(self._extent(each)[1] for each in own)
        between = [each for each in mapping.entries.values() if first < each.place.line - 1 < end]
        if not all(self._is_block(each) and each.place.line - 1 > first for each in own) or len(between) > len(own):
            self._leave(entry, f"indent what belongs to '{key}'")
            return
        lines = [self._lines[first], *(_shifted(line, 2) for line in self._lines[first + 1 : end])]
        yield _Change(first, end, lines, f"{first + 1}: what belongs to '{key}' is indented")

    def _of(self, index: int, lines: list[str], what: str) -> _Change:
        return _Change(index, index + 1, lines, f"{index + 1}: {what}")

    def _leave(self, entry: Entry, text: str) -> None:
        self._left[f"{entry.place.line}:{entry.place.column}: {text}"] = None

    def _ended(self, first: int, end: int) -> list[str]:
        """Lines of which the last one ends."""
        lines = self._lines[first:end]
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += "\n"
        return lines

    def _is_block(self, entry: Entry) -> bool:
        """The key starts its line, but for the dash of a list, so that whole lines may be moved."""
        head = self._lines[entry.place.line - 1][: entry.place.column - 1]
        return not head.replace("-", "", 1).strip()

    def _extent(self, entry: Entry) -> tuple[int, int]:
        """The lines of a key and its value; comments and empty lines after it belong to what comes next."""
        first, column = entry.place.line - 1, entry.place.column - 1
        is_list = isinstance(entry.value, YamlList) and entry.value.place.column - 1 == column
        end = first + 1
        for index in range(first + 1, len(self._lines)):
            line = self._lines[index]
            text = line.strip()
            indent = len(line) - len(line.lstrip(" "))
            if not text or (text.startswith("#") and indent <= column):
                continue
            if indent < column or (indent == column and not (is_list and text.startswith("-"))):
                break
            end = index + 1
        return first, end

    def _comment_after(self, entry: Entry) -> str:
        """The comment behind a value that is one line, or behind a key alone in its line."""
        line = self._lines[entry.place.line - 1].rstrip("\r\n")
        found = re.search(r"\s+#.*$", line[entry.place.column - 1 :])
        return found[0] if found else ""


def _shifted(line: str, columns: int) -> str:
    """The line moved to the right, or to the left as far as it goes."""
    if not line.strip():
        return line
    if columns >= 0:
        return " " * columns + line
    indent = len(line) - len(line.lstrip(" "))
    return line[min(indent, -columns) :]


def _quoted(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return "'" + text.replace("'", "''") + "'"
