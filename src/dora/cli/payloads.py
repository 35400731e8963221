"""What `dora topic pub` sends: JSON texts, and the Arrow arrays that they become.

A list is the elements of the array, anything else its one element.  The type is the one that is asked for, else that of
the output, else what Arrow finds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click


def document(text: str, where: str) -> Any:
    """The JSON document in a text.

    Raises:
        click.ClickException: it holds none.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        tip = "" if text.lstrip()[:1] in ('"', "{", "[") else "; a text needs quotes of its own: '\"like this\"'"
        raise click.ClickException(f"{where} is no JSON: {error}{tip}") from None
    except RecursionError:
        raise click.ClickException(f"{where} is nested too deep") from None


def documents_of_file(path: str) -> list[Any]:
    """The one document of a file, or those of its lines.

    Raises:
        click.ClickException: it cannot be read, or holds something else.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"cannot read {path}: {error}") from None
    lines = text.splitlines()
    if len(lines) > 1 and _is_json(lines[0]):
        return list(documents_of_lines(lines, path))
    return [document(text, path)]


def documents_of_lines(lines: Iterable[str], where: str) -> Iterator[Any]:
    """One document per line that is not empty, as soon as it is there.

    Raises:
        click.ClickException: a line holds something else.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield document(line, f"{where}, line {number},")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def wanted_type(text: str | None) -> Any:
    """The Arrow type of `--type`: a name such as `Float32`, or JSON as in `{"FixedSizeBinary": 4}`.

    Raises:
        click.UsageError: there is no such type.
    """
    if text is None:
        return None
    # with pyarrow, as late as it
    from dora.arrow_json import type_from_json

    try:
        return type_from_json(json.loads(text) if text.lstrip().startswith("{") else text)
    except ValueError as error:
        raise click.UsageError(f"--type: {error}") from None


def array_of(data: Any, kind: Any, accepted: Sequence[str], stated: str) -> Any:
    """The array to send.

    Args:
        kind: the Arrow type that is asked for, or None.
        accepted: names of the Arrow types that messages of the output may have; empty: any.
        stated: how the dataflow file calls that type.

    Raises:
        click.ClickException: the data do not have that type.
    """
    # with pyarrow, as late as it
    from dora.arrow_json import array_from_json, type_to_json

    if kind is not None:
        if accepted and str(kind) not in accepted:
            raise click.ClickException(f"the output is {stated} ({accepted[0]}), but --type says {kind}")
        kinds = [type_to_json(kind)]
    else:
        kinds = _ordered(data, accepted) or [None]
    faults = []
    for one in kinds:
        try:
            return array_from_json(data, one)
        except ValueError as error:
            faults.append(str(error))
    raise click.ClickException(f"the output is {stated}: {faults[0]}" if accepted else faults[0])


def _ordered(data: Any, accepted: Sequence[str]) -> list[str]:
    """The accepted types in the order in which they are tried: numbers are bytes where the output carries bytes."""
    is_of_numbers = isinstance(data, list) and bool(data) and all(isinstance(item, int) for item in data)
    return sorted(accepted, key=lambda name: name != "uint8") if is_of_numbers else list(accepted)
