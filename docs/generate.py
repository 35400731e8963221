"""Writes the pages of this folder that are made from the code: `python docs/generate.py FOLDER`.

Run through `scripts/docs`; `tests/test_docs.py` compares what it writes with what is committed.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from pathlib import Path

import click
from api_page import api_page
from yaml_page import dataflow_yaml_page, markdown_table

from dora import env, errors
from dora.cli.main import COMMANDS, run_command

WIDTH = 90


def env_page() -> str:
    """The environment variables."""
    rows = [[f"`{name}`", meaning] for name, meaning in env.VARIABLES.items()]
    intro = "# Environment variables\n\nWhat dora reads or sets."
    return f"{intro}\n\n{markdown_table(['variable', 'meaning'], rows)}\n"


def errors_page() -> str:
    """The tree of errors, each with the first sentence of its docstring."""
    rows = []
    for kind in (value for value in vars(errors).values() if isinstance(value, type)):
        bases = ", ".join(f"`{base.__name__}`" for base in kind.__bases__)
        rows.append([f"`{kind.__name__}`", bases, (kind.__doc__ or "").split("\n\n")[0]])
    intro = "All that dora itself raises on purpose, sorted by who can mend it."
    return f"# Errors\n\n{intro}\n\n" + markdown_table(["error", "is a", "meaning"], rows) + "\n"


def cli_page() -> str:
    """The overview, the life of a dataflow (a test replays it), and the `--help` of every command."""
    parts = ["# The `dora` command", f"```text\n{overview()}```", life_of_a_dataflow()]
    first_names: dict[int, str] = {}
    for name, command in COMMANDS.items():
        if name == "complete-words":
            continue  # it is typed by completion scripts only
        loaded: click.Command = getattr(importlib.import_module(command.module), command.attribute)
        first = first_names.setdefault(id(loaded), name)
        if first == name:
            parts += help_of(f"dora {name}", loaded, "##")
        else:
            parts += [f"## dora {name}", f"The same as [dora {first}](#dora-{first})."]
    return "\n\n".join(parts) + "\n"


def overview() -> str:
    """What `dora --help` shows."""
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        run_command(["--help"])
    return shown.getvalue()


def life_of_a_dataflow() -> str:
    """That section of service.md."""
    page = (Path(__file__).parent / "service.md").read_text(encoding="utf-8")
    return page[page.index("## The life of a dataflow") : page.index("## What may happen")].rstrip()


def help_of(name: str, command: click.Command, heading: str) -> list[str]:
    """A heading and the help of a command, then those of its own commands."""
    context = command.make_context(name, [], resilient_parsing=True, max_content_width=WIDTH, terminal_width=WIDTH)
    parts = [f"{heading} {name}", f"```text\n{command.get_help(context)}\n```"]
    for own, inner in getattr(command, "commands", {}).items():
        parts += help_of(f"{name} {own}", inner, heading + "#")
    return parts


PAGES = {
    "cli.md": cli_page,
    "dataflow-yaml.md": dataflow_yaml_page,
    "env.md": env_page,
    "errors.md": errors_page,
    "node-api.md": api_page,
}


def main() -> None:
    """Write every page into the folder named on the command line."""
    folder = Path(sys.argv[1])
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
