"""Writes the pages of this folder that are made from the code: `python docs/generate.py FOLDER`.

Run through `scripts/docs`; `tests/test_docs.py` compares what it writes with what is committed.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click
from api_page import api_page

from dora import env, errors
from dora.cli.main import COMMANDS
from dora.dataflow import schema
from dora.dataflow.fields import Table

WIDTH = 90


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def env_page() -> str:
    """The environment variables."""
    rows = [[f"`{name}`", meaning] for name, meaning in env.VARIABLES.items()]
    return "# Environment variables\n\nWhat dora reads or sets.\n\n" + table(["variable", "meaning"], rows) + "\n"


def errors_page() -> str:
    """The tree of errors, each with the first sentence of its docstring."""
    rows = []
    for kind in (value for value in vars(errors).values() if isinstance(value, type)):
        bases = ", ".join(f"`{base.__name__}`" for base in kind.__bases__)
        rows.append([f"`{kind.__name__}`", bases, (kind.__doc__ or "").split("\n\n")[0]])
    intro = "All that dora itself raises on purpose, sorted by who can mend it."
    return f"# Errors\n\n{intro}\n\n" + table(["error", "is a", "meaning"], rows) + "\n"


def key_table(fields: Table) -> str:
    """The keys of one mapping of a dataflow file."""
    rows = []
    for field in fields.values():
        default = "required" if field.is_required else "" if field.default is None else f"`{shown(field.default)}`"
        rows.append([f"`{field.name}`", field.type.expected, default, field.doc])
    return table(["key", "value", "default", "meaning"], rows)


def shown(value: object) -> str:
    """A default as it would stand in YAML."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def dataflow_page() -> str:
    """The keys of a dataflow file."""
    parts = [
        "# Dataflow files",
        "A dataflow file is YAML; `dora validate FILE` checks one and says what is wrong, and where.",
        "## The file",
        key_table(schema.ROOT_FIELDS),
        "## A node",
        key_table(schema.NODE_FIELDS),
        "## An operator",
        "Under `operator:` (one) or in the list `operators:`, instead of `path:`.\n"
        "The node keeps its `env` and what concerns its process; everything else is the operator's.\n"
        "Other nodes read `node/output` of one operator and `node/operator/output` of several.",
        key_table(schema.OPERATOR_FIELDS),
        "## An input",
        "Short: `name: node/output`. Long: `name:` and a mapping with these keys.",
        key_table(schema.INPUT_FIELDS),
        "An input that states neither `queue_size` nor `queue_policy` drops the oldest message of a paced sender,\n"
        "but lets a burst wait for room.",
    ]
    return "\n\n".join(parts) + "\n"


def cli_page() -> str:
    """The `--help` of every command."""
    parts = ["# The `dora` command"]
    for name, command in COMMANDS.items():
        loaded: click.Command = getattr(importlib.import_module(command.module), command.attribute)
        context = loaded.make_context(
            f"dora {name}", [], resilient_parsing=True, max_content_width=WIDTH, terminal_width=WIDTH
        )
        parts += [f"## dora {name}", f"```text\n{loaded.get_help(context)}\n```"]
    return "\n\n".join(parts) + "\n"


PAGES = {
    "cli.md": cli_page,
    "dataflow.md": dataflow_page,
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
