"""`dora graph FILE`: the dataflow as a page to walk around in, or as Mermaid text."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from dora.cli.dataflow_file import local_file
from dora.cli.problems import print_problems
from dora.dataflow.graph import Graph
from dora.dataflow.picture import graph_of_file
from dora.errors import DoraError

_EPILOG: Final = """\b
Examples:
  dora graph dataflow.yml --open
  dora graph dataflow.yml -o docs/dataflow.html
  dora graph dataflow.yml --mermaid >> README.md
  dora graph -d demo --open      of a dataflow that runs, with what was added and connected since

The page needs no network: it can be mailed, and put beside the documentation. Values of `env` are shown as they stand
in the file: a `$TOKEN` stays one. Exit code 0: written; 1: the file cannot be read as a dataflow, or is wrong (it is
drawn all the same if it can be, with what is missing in red).
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.argument("word", metavar="[FILE]", required=False)
@click.option("-d", "--dataflow", "wanted", metavar="ID_OR_NAME", help="The graph of one that runs, as it is now.")
@click.option("--mermaid", is_flag=True, help="Print the graph as Mermaid text instead of writing a page.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Where to write; - is stdout.")
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
@click.pass_context
def graph(
    ctx: click.Context, word: str | None, wanted: str | None, mermaid: bool, output: Path | None, opens: bool
) -> int:
    """Show who is wired to whom: an HTML page to zoom, search and click, or Mermaid text.

    The page is written to <name>-graph.html in the current folder, an older one is replaced. Nodes, operators and
    modules can be clicked for their ports, types, sources, environment and build.
    """
    if mermaid and opens:
        raise click.UsageError("--open needs the page, which --mermaid does not write")
    if (word is None) == (wanted is None):
        raise click.UsageError("expected FILE, or -d and a dataflow that runs")
    if wanted is not None:
        from dora.cli.running_graph import running_graph  # asks the service, which a file does not need

        path, running = running_graph(wanted)
        _draw(running, path, output, mermaid=mermaid, opens=opens)
        return 0
    path = local_file(ctx, ctx.command.params[0], word)
    drawn, problems = graph_of_file(path)
    print_problems(problems, "error", sys.stderr)
    if drawn is None:
        return 1
    _draw(drawn, path, output, mermaid=mermaid, opens=opens)
    return 1 if problems else 0


def _draw(drawn: Graph, path: Path, output: Path | None, *, mermaid: bool, opens: bool) -> None:
    text = drawn.mermaid() if mermaid else drawn.page(path.name)
    _write(text, path, output, is_page=not mermaid, opens=opens)


def _write(text: str, path: Path, output: Path | None, *, is_page: bool, opens: bool) -> None:
    if str(output) == "-" or (output is None and not is_page):
        click.echo(text, nl=False)
        if output is None and sys.stdout.isatty():
            click.echo("Paste this into a ```mermaid block, or on https://mermaid.live", err=True)
        return
    file = output or Path(f"{path.stem}-graph.html")
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DoraError(f"cannot write {click.format_filename(file)}: {error.strerror}") from None
    url = file.resolve().as_uri()
    click.echo(f"View graph by opening the following in your browser:\n  {url}" if is_page else f"Wrote {file}")
    if opens:
        _open(url)


def _open(url: str) -> None:
    # brings in subprocess and more
    import webbrowser

    if not webbrowser.open(url):
        click.echo(f"warning: no browser found; open {url}", err=True)
