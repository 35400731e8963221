"""What nodes print, and what stands in log files."""

from __future__ import annotations

import json
import tempfile
from contextlib import closing
from pathlib import Path

from dora.dataflow.descriptor import LogSettings
from dora.logs.encoding import decode_file_line, encode_log_message
from dora.logs.entry import plain_entries
from dora.logs.formats import FORMATS, make_format
from dora.logs.levels import LEVELS
from dora.logs.places import Run, file_of
from dora.logs.reading import LogQuery, RunReader
from dora.runner.log_files import LogFile
from dora.runner.logs import NodeLog
from fuzzing.choices import Choices

LINES = (
    b'{"level":"info","timestamp":"2026-01-31T12:00:00.5Z","message":"hi","target":"t","fields":{"a":[1,{"b":null}]}}',
    b'{"timestamp":"0001-01-01T00:00:00+14:00","level":"ERROR","fields":{"message":"m"},"file":"a.py","line":3}',
    b"plain \xc3\xa4 text",
    b"50%\r100%",
    b"",
)
SHAPES = [make_format(name, is_coloured=colour, dataflow_id="id") for name in FORMATS for colour in (True, False)]


def lines(data: bytes) -> None:
    """A node prints anything: every line becomes an entry that can be stored, read again, shown and sent."""
    choices = Choices(data)
    with tempfile.TemporaryDirectory(prefix="dora-fuzz-") as folder:
        limit = choices.one((None, 200, 2000))
        file = LogFile(Path(folder) / "log_a.jsonl", limit, 1000)
        log = NodeLog("a", file, LogSettings(min_log_level=choices.one((None, *LEVELS))), warn=lambda text: None)
        entries = []
        while not choices.is_over:
            stream = choices.one(("stdout", "stderr"))
            for part in (choices.mutated(choices.one(LINES)), b"\n" * choices.below(2)):
                entries += log.feed(stream, part)
        entries += log.close("stdout") + log.close("stderr")
        file.close()
        for entry in entries:
            assert "\n" not in entry.raw
            assert json.loads(encode_log_message(entry, "id"))["message"] == entry.message
        for shape in SHAPES:
            shape(entries)
        with closing(RunReader(Run("id", Path(folder), 0), LogQuery())) as reader:
            stored = [(entry.stream, entry.message, entry.level) for entry in reader.history()]
            assert reader.complaints() == []
        assert sorted(stored) == sorted((entry.stream, entry.message, entry.level) for entry in entries)


def files(data: bytes) -> None:
    """A log file holds anything: it is read from both ends alike, and what is no entry is left out."""
    choices = Choices(data)
    with tempfile.TemporaryDirectory(prefix="dora-fuzz-") as folder:
        good = LogFile(Path(folder) / "good", None)
        good.append(plain_entries(5, "a", "stdout", ["one", "two"]))
        good.close()
        known = (*LINES, *good.path.read_bytes().splitlines())
        content = b""
        while not choices.is_over:
            content += choices.mutated(choices.one(known)) + b"\n" * choices.below(2)
        file_of(Path(folder), "a").write_bytes(content)
        run = Run("id", Path(folder), 0)
        count = choices.below(8)
        with closing(RunReader(run, LogQuery())) as whole, closing(RunReader(run, LogQuery(tail=count))) as end:
            every = [entry.message for entry in whole.history()]
            last = [entry.message for entry in end.history()]
            assert last == (every[-count:] if count else [])
            assert whole.news() == end.news() == []
        assert len(every) == sum(decode_file_line(line, "a") is not None for line in content.split(b"\n")[:-1])
