"""`dora topic pub`: send messages on an output of a running dataflow, as if its node had sent them."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import click

from dora.cli.payloads import array_of, document, documents_of_file, documents_of_lines, wanted_type
from dora.cli.targets import HELP, dataflow_option, examples
from dora.cli.topics import Topic, choose_topics, find_run, topics_of
from dora.errors import ConnectionLost
from dora.messages import metadata as metadata_codec
from dora.messages import runner_daemon as messages
from dora.runs.link import RunnerLink

if TYPE_CHECKING:
    from dora.publication import Delivery, Publication

_NOT_THERE_YET: Final = (messages.WAITING, messages.STARTING)
_LOOK_S: Final = 0.05
_SAY_WHO_IS_WAITED_FOR_AFTER_S: Final = 1.0
_LAST_PATIENCE_S: Final = 2.0
_MOST_LINES: Final = 100
_HELP: Final = """
Examples:
  dora topic pub camera/trigger true
  dora topic pub arm/goal '[0.1, 0.5, 1.2]' --type Float32
  dora topic pub sensor/reading '{"temperature": 25.5}' --count 10
  dora topic pub drive/speed 0.3 --rate 20          until Ctrl-C
  dora topic pub arm/goal --file path.jsonl --rate 50
  jq -c .data recorded.jsonl | dora topic pub arm/goal --file -

A list is the elements of the Arrow array, anything else its one element. Where the dataflow file states the type of
the output, the message gets that type or is refused; else --type says it, or Arrow finds one. The node of the output
is not asked and does not notice; its own messages and their counts stay as they are.
"""


@click.command("pub", context_settings={**HELP, "ignore_unknown_options": True}, epilog=examples(_HELP))
@click.argument("name", metavar="NODE/OUTPUT")
@click.argument("words", nargs=-1, metavar="[JSON]")
@dataflow_option
@click.option("--file", "file", metavar="FILE", help="Read the JSON there: one document, or one in each line; - stdin.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Send it N times (1).")
@click.option(
    "--rate",
    "rate_hz",
    type=click.FloatRange(min=0, min_open=True),
    metavar="HZ",
    help="Messages per second; JSON on the command line without --count: until Ctrl-C.",
)
@click.option("--type", "type_text", metavar="TYPE", help="Arrow type, such as Float32 or Utf8.")
@click.option("--metadata", "metadata_text", metavar="JSON", help="An object that goes with each message.")
def pub(name: str, words: tuple[str, ...], wanted: str | None, file: str | None, **options: Any) -> int:
    """Send messages on an output, as if its node had sent them.

    Every input that reads the output gets them beside what the node sends; who takes them is said at the end.
    """
    data = _joined(words)
    repeats = _repeats(data, options["count"], options["rate_hz"])
    documents = _documents(data, file, repeats)
    metadata = _metadata(options["metadata_text"])
    path, run = find_run(wanted)
    (topic,) = choose_topics(topics_of(run), (name,))
    # sending needs pyarrow, which a wrong command line does without
    from dora.publication import OutputClosed, Publication

    kind = wanted_type(options["type_text"])
    with Publication(RunnerLink.open(path), topic.node, topic.output) as publication:
        arrays = (array_of(one, kind, publication.accepted, publication.stated_type) for one in documents)
        _wait_for_readers(path, topic)
        sender = _Sender(publication, topic, metadata, total=repeats if file is None else None)
        with suppress(KeyboardInterrupt):
            try:
                sender.send_all(arrays, options["rate_hz"])
                publication.wait_taken(_LAST_PATIENCE_S)
            except (OutputClosed, ConnectionLost) as error:
                sender.fault = str(error)
        return sender.report(_missing_readers(path))


def _joined(words: tuple[str, ...]) -> str | None:
    """What was meant as one text; a number may be negative, anything else with a dash in front is a wrong option."""
    for word in words:
        if word.startswith("-") and not word[1:2].isdigit():
            raise click.UsageError(f"no such option: {word}")
    return " ".join(words) or None


def _repeats(data: str | None, count: int | None, rate_hz: float | None) -> int | None:
    """How many times; None: without end."""
    return None if count is None and rate_hz is not None and data is not None else count or 1


def _documents(data: str | None, file: str | None, repeats: int | None) -> Iterator[Any]:
    if (data is None) == (file is None):
        raise click.UsageError("say what to send: either JSON behind the output, or --file FILE")
    if file == "-":
        if repeats != 1:
            raise click.UsageError("stdin can be sent only once: leave --count out")
        return documents_of_lines(sys.stdin, "stdin")
    found = documents_of_file(file) if file is not None else [document(data or "", "the message")]
    passes: Iterable[int] = itertools.count() if repeats is None else range(repeats)
    return (one for _ in passes for one in found)


def _metadata(text: str | None) -> dict[str, Any] | None:
    found = None if text is None else document(text, "--metadata")
    if found is not None and not isinstance(found, dict):
        raise click.UsageError(f"--metadata must be an object such as '{{\"frame\": 7}}', not {text}")
    try:
        metadata_codec.encode(found or {})
    except (ValueError, OverflowError) as error:
        raise click.UsageError(f"--metadata: {error}") from None
    return found


def _wait_for_readers(path: str, topic: Topic) -> None:
    """Until all nodes that read the output have started; those that have ended or come later are not waited for."""
    readers = {reader.partition("/")[0] for reader in topic.readers}
    is_said = False
    began_s = time.monotonic()
    while missing := sorted(readers & _nodes_in(path, _NOT_THERE_YET)):
        if not is_said and time.monotonic() - began_s > _SAY_WHO_IS_WAITED_FOR_AFTER_S:
            is_said = True
            click.echo(f"waiting for {', '.join(missing)}", err=True)
        time.sleep(_LOOK_S)


def _nodes_in(path: str, states: Iterable[str]) -> set[str]:
    with RunnerLink.open(path) as link:
        run = link.ask(messages.Describe(), messages.Described)
    return {node.id for node in run.nodes if node.state in states}


def _missing_readers(path: str) -> set[str]:
    """Nodes that take nothing at present; all, when the run is over."""
    try:
        with RunnerLink.open(path) as link:
            run = link.ask(messages.Describe(), messages.Described)
    except (OSError, ConnectionLost):
        return set()
    return {node.id for node in run.nodes if node.state not in (messages.RUNNING, messages.STOPPING)}


class _Sender:
    """Sends, and says what became of it.

    Attributes:
        fault: why it ended too early.
    """

    def __init__(
        self, publication: Publication, topic: Topic, metadata: dict[str, Any] | None, *, total: int | None
    ) -> None:
        self.fault = ""
        self._publication = publication
        self._topic = topic
        self._metadata = metadata
        self._total = total
        self._sent = 0

    def send_all(self, arrays: Iterable[Any], rate_hz: float | None) -> None:
        """One after the other, or so many per second."""
        began_s = time.monotonic()
        for array in arrays:
            if rate_hz is not None:
                time.sleep(max(0.0, began_s + self._sent / rate_hz - time.monotonic()))
            self._publication.send(array, self._metadata)
            self._sent += 1
            if self._total is not None and 1 < self._total <= _MOST_LINES:
                click.echo(f"Published message {self._sent}/{self._total}", err=True)

    def report(self, missing: set[str]) -> int:
        """Say who took what; returns the exit code."""
        if self.fault:
            click.echo(f"error: {self.fault}", err=True)
        many = "" if self._sent == 1 else f"{self._sent} messages "
        click.echo(f"Published {many}to {self._topic.name}", err=True)
        deliveries = self._publication.deliveries()
        lost = [one for one in deliveries if one.queued and one.reader.partition("/")[0] in missing]
        for one in deliveries:
            click.echo(f"  {one.reader}: {_said_of(one, is_missing=one in lost)}", err=True)
        for reader in self._publication.unreachable:
            click.echo(f"  {reader}: not reached, it reads within the process of its sender", err=True)
        if not deliveries:
            click.echo("  no input of another process reads it", err=True)
        is_in_vain = bool(deliveries) and all(not one.taken and (not one.queued or one in lost) for one in deliveries)
        return 1 if self.fault or (is_in_vain and self._sent) else 0


def _said_of(one: Delivery, *, is_missing: bool) -> str:
    node = one.reader.partition("/")[0]
    words = [f"{one.taken} taken"] if one.taken or not one.sent else []
    if one.dropped:
        words.append(f"{one.dropped} dropped, its queue was full or it ended")
    if one.queued:
        words.append(f"{one.queued} lost, {node} is not running" if is_missing else f"{one.queued} wait in its queue")
    return ", ".join(words)
