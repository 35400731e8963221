"""`dora schema`: the JSON Schema of dataflow files, for editors."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from dora.dataflow.json_schema import dataflow_schema, module_schema, schema_text
from dora.errors import DoraError

_EPILOG: Final = """\b
Examples:
  dora schema -o dora-schema.json
  dora schema --module -o dora-module-schema.json

\b
Editors with a YAML language server (VS Code, Neovim, Zed, JetBrains)
take it up from the first line of a file, and `dora new` writes both:
  # yaml-language-server: $schema=dora-schema.json
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.option("--module", "is_module", is_flag=True, help="The schema of module files.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write it there.")
def schema(is_module: bool, output: Path | None) -> None:
    """Print the JSON Schema of dataflow files: completion, help and marks under mistakes, in the editor."""
    text = schema_text(module_schema() if is_module else dataflow_schema())
    if output is None or str(output) == "-":
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DoraError(f"cannot write {click.format_filename(output)}: {error.strerror}") from None
    click.echo(f"Wrote {click.format_filename(output)}")
