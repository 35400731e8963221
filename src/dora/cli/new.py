"""`dora new NAME`: a folder with a dataflow, node or operator to start from; it runs, and its test passes.

Strategy: `templates/<kind>/` is copied file by file; `{{name}}` and `{{module}}` in a text, and MODULE in a path, are
replaced.  The folder appears whole or not at all.
"""

from __future__ import annotations

import keyword
import os
import re
import shutil
import sys
import tempfile
import unicodedata
from pathlib import Path
from typing import Final

import click

from dora.dataflow.json_schema import dataflow_schema, schema_text
from dora.errors import DoraError

_TEMPLATES: Final = Path(__file__).with_name("templates")
_SUFFIX: Final = ".tmpl"
_KINDS: Final = ("dataflow", "node", "operator")
_CREATED: Final = {"dataflow": "yaml dataflow", "node": "Python node", "operator": "Python operator"}
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_TAKEN: Final = frozenset({"dora", "numpy", "pyarrow", "pytest", "yaml", "tests"})
_EPILOG: Final = """\b
Examples:
  dora new my-robot                    a dataflow with two nodes
  dora new my-node --kind node         a node as a package, to be used in several dataflows
  dora new my-filter --kind operator   an operator: a class that shares a process with others
  dora new my-robot demos/robot        in another folder than ./my-robot

What is written runs as it is: `cd my-robot && dora run dataflow.yml`, and `pytest` tests it. Exit code 0: written;
1: the name cannot be used, or the folder exists.
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.argument("name")
@click.argument("path", required=False, metavar="[FOLDER]", type=click.Path(path_type=Path))
@click.option("--kind", type=click.Choice(_KINDS), default="dataflow", help="What to write; dataflow is the default.")
@click.option("--lang", type=click.Choice(("python",)), default="python", help="The language of the nodes.")
def new(name: str, path: Path | None, kind: str, lang: str) -> None:
    """Write a dataflow, node or operator to start from.

    It is written to ./NAME, or to FOLDER; nothing that exists is overwritten. In names of nodes and operators a space
    is read as '-'.
    """
    plain = name if kind == "dataflow" else "-".join(name.split())
    module = plain.replace("-", "_").lower()
    fault = _name_fault(plain) or ("" if kind == "dataflow" else _module_fault(module))
    if fault:
        article = "an" if kind == "operator" else "a"
        raise DoraError(f"'{name}' cannot be the name of {article} {kind}: {fault}")
    folder = path or Path(plain)
    _write(kind, folder, {"name": plain, "module": module})
    shown = folder if folder.is_absolute() else f"./{folder}"
    click.echo(f"Created new {_CREATED[kind]} `{plain}` at {shown}\n")
    click.echo(f"  cd {shown}\n  dora run dataflow.yml   # Ctrl-C stops it")
    click.echo("  pytest                  # tests it (`pip install pytest`)")


def _name_fault(name: str) -> str:
    if _NAME.fullmatch(name):
        return ""
    rule = "expected letters a-z, digits, '-' and '_', starting with a letter or digit"
    if "/" in name or os.sep in name:
        return f"{rule}; to write to another folder: dora new {Path(name).name or 'NAME'} {name}"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    close = re.sub(r"[^A-Za-z0-9_-]+", "-", plain).strip("-_")
    return f"{rule}; did you mean '{close}'?" if _NAME.fullmatch(close) else rule


def _module_fault(module: str) -> str:
    """Why a Python module cannot have this name; empty if it can."""
    if keyword.iskeyword(module) or keyword.issoftkeyword(module):
        return f"{module!r} is a word of Python; did you mean '{module}-node'?"
    if module in sys.stdlib_module_names or module in _TAKEN:
        return f"it would hide Python's module {module!r} from the code; did you mean '{module}-node'?"
    if not module.isidentifier():
        return f"{module!r} cannot be a Python module; did you mean 'node-{module}'?"
    return ""


def _write(kind: str, folder: Path, values: dict[str, str]) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DoraError(f"{folder} exists already; expected the name of a folder that is new or empty")
    parent = folder.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=parent))
    except OSError as error:
        raise DoraError(f"cannot write to {parent}: {error.strerror}") from None
    try:
        _fill(kind, unfinished, values)
        unfinished.chmod(0o777 & ~_umask())
        unfinished.rename(folder.absolute())
    except OSError as error:
        raise DoraError(f"cannot write {folder}: {error.strerror}") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _fill(kind: str, folder: Path, values: dict[str, str]) -> None:
    source = _TEMPLATES / kind
    for template in sorted(source.rglob(f"*{_SUFFIX}")):
        name = str(template.relative_to(source)).removesuffix(_SUFFIX).replace("MODULE", values["module"])
        file = folder / name.replace("gitignore", ".gitignore")
        text = template.read_text(encoding="utf-8")
        for key, value in values.items():
            text = text.replace("{{" + key + "}}", value)
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (folder / "dora-schema.json").write_text(schema_text(dataflow_schema()), encoding="utf-8")


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
