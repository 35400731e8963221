"""`dora migrate FILE...`: dataflow files of older versions in today's keys."""

from __future__ import annotations

import difflib
import os
import sys
from pathlib import Path
from typing import Final

import click

from dora.cli.problems import print_problems
from dora.dataflow.files import read_text
from dora.dataflow.migration import Migrated, migrate_text
from dora.dataflow.report import Report
from dora.errors import DescriptorError

_EPILOG: Final = """\b
Examples:
  dora migrate --diff dataflow.yml
  dora migrate *.yml modules/*.yml
  dora migrate --check *.yml      in a build: fails while an older key is left

Exit code 0: nothing of an older version is left; 1: something is, or a file could not be read.
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 if a file has older keys.")
@click.option("--diff", is_flag=True, help="Write nothing; show what would change.")
def migrate(paths: tuple[Path, ...], check: bool, diff: bool) -> int:
    """Rewrite dataflow and module files from keys of older versions to today's.

    Comments, order and style stay as they are. What cannot be changed safely is left, and said.
    """
    codes = [_migrate_file(path, is_written=not (check or diff), is_shown=diff, is_check=check) for path in paths]
    return max(codes)


def _migrate_file(path: Path, *, is_written: bool, is_shown: bool, is_check: bool) -> int:
    try:
        before = read_text(str(path), Report(str(path)))
        migrated = migrate_text(before, str(path))
    except DescriptorError as error:
        sys.stdout.flush()
        print_problems(error.problems, "error", sys.stderr)
        return 1
    if is_shown:
        _show(path, before, migrated.text)
    else:
        _tell(path, migrated)
    if is_written and migrated.changes:
        _write(path, migrated.text)
    sys.stdout.flush()
    print_problems([f"{path}:{text}" for text in migrated.left], "warning", sys.stderr)
    return 1 if migrated.left or (is_check and migrated.changes) else 0


def _tell(path: Path, migrated: Migrated) -> None:
    name = click.format_filename(path)
    if not migrated.changes and not migrated.left:
        click.echo(f"{name}: nothing to change")
    for change in migrated.changes:
        click.echo(f"{name}:{change}")


def _show(path: Path, before: str, after: str) -> None:
    name = click.format_filename(path)
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"{name} (before)", f"{name} (after)"
    )
    for line in lines:
        click.echo(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n", nl=False)


def _write(path: Path, text: str) -> None:
    """All of it or nothing; a link stays a link, and the file keeps its permissions."""
    target = Path(os.path.realpath(path))
    new = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        new.write_bytes(text.encode())
        new.chmod(target.stat().st_mode & 0o777)
        new.replace(target)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise click.ClickException(f"cannot write {path}: {error.strerror}") from None
