"""The `dora` command: finds the command that was asked for and loads nothing else.

Strategy: `COMMANDS` names each command's module, attribute and one line of help, so that `dora --version`,
the overview and a mistyped command need neither click nor any command's module.  A command is a click command
(or group) in a file of its own; it returns its exit code or None for 0.  Errors that the user can mend become a
few lines on stderr here, in one place: exit code 1 for what went wrong, 2 for a wrong command line.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TextIO

import dora
from dora.cli.problems import print_problems
from dora.errors import DescriptorError, DoraError

if TYPE_CHECKING:
    import click

FAILED: Final = 1
WRONG_USAGE: Final = 2
INTERRUPTED: Final = 130
_DENIED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_ABOUT_RUNS: Final = frozenset(
    {"up", "down", "destroy", "daemon", "stop", "restart", "list", "ps", "clean", "status", "check", "doctor"}
)
"""commands that first remove what is left of runs that were killed; those that begin a run do it meanwhile"""


_SECTIONS: Final = (
    ("To begin", ("new", "validate", "build", "run")),
    ("In the background", ("start", "list", "stop", "restart", "clean", "up", "down")),
    ("Look at what runs, in a terminal or in the background", ("logs", "top", "node", "topic", "param")),
    ("Dataflow files", ("graph", "expand", "migrate", "schema")),
    ("This machine", ("doctor", "status", "completion", "self")),
)
"""how the overview groups commands; one that is in none of them stands at its end"""
_FIRST_STEPS: Final = """First steps:
  dora new my-robot && cd my-robot     a dataflow that runs as it is
  dora run dataflow.yml                in this terminal, until Ctrl-C
  dora start dataflow.yml --name demo  in the background; then `dora logs demo`, `dora stop demo`"""


class Command(NamedTuple):
    """Where a command is, and what it does in one line; hidden: not in the overview."""

    module: str
    attribute: str
    help: str
    is_hidden: bool = False


COMMANDS: Final[dict[str, Command]] = {
    "run": Command("dora.cli.run", "run", "Run a dataflow on this machine until its nodes have ended"),
    "build": Command("dora.cli.build", "build", "Make the nodes of a dataflow ready to run, without running them"),
    "up": Command("dora.cli.service", "up", "Start the background service, if it is not running"),
    "down": Command("dora.cli.service", "down", "End the background service"),
    "destroy": Command("dora.cli.service", "down", "The same as down", is_hidden=True),
    "daemon": Command("dora.cli.service", "daemon", "Run the background service in the foreground", is_hidden=True),
    "start": Command("dora.cli.start", "start", "Start a dataflow in the background"),
    "stop": Command("dora.cli.stop", "stop", "Stop a dataflow, and wait until it has ended"),
    "restart": Command("dora.cli.stop", "restart", "Stop a dataflow and start it again"),
    "list": Command("dora.cli.list", "list_dataflows", "List the dataflows that run, and those that have ended"),
    "ps": Command("dora.cli.list", "list_dataflows", "The same as list", is_hidden=True),
    "clean": Command("dora.cli.list", "clean", "Forget the dataflows that have ended"),
    "logs": Command("dora.cli.logs", "logs", "Show what the nodes of a run have logged"),
    "node": Command("dora.cli.node", "node", "See, control and rewire the nodes of running dataflows"),
    "param": Command("dora.cli.param", "param", "See and change parameters of nodes while they run"),
    "topic": Command("dora.cli.topic", "topic", "Look at the messages of running dataflows"),
    "top": Command("dora.cli.top", "top", "Watch nodes: CPU, memory, queues, rates, restarts"),
    "inspect": Command("dora.cli.top", "inspect", "The group of `inspect top`, the same as top", is_hidden=True),
    "doctor": Command("dora.cli.doctor", "doctor", "Look for what is wrong, and say what to do about it"),
    "status": Command("dora.cli.status", "status", "Say whether the service runs, and how many dataflows"),
    "check": Command("dora.cli.status", "status", "The same as status", is_hidden=True),
    "validate": Command("dora.cli.validate", "validate", "Check dataflow files without running anything"),
    "expand": Command("dora.cli.expand", "expand", "Print a dataflow with its modules replaced by their nodes"),
    "graph": Command("dora.cli.graph", "graph", "Draw a dataflow: a page to walk around in, or Mermaid text"),
    "new": Command("dora.cli.new", "new", "Write a dataflow, node or operator to start from"),
    "migrate": Command("dora.cli.migrate", "migrate", "Rewrite dataflow files of older versions, comments kept"),
    "schema": Command("dora.cli.schema", "schema", "Print the JSON schema of dataflow files, for editors"),
    "system": Command("dora.cli.status", "system", "The state of dora on this machine", is_hidden=True),
    "completion": Command("dora.cli.completion", "completion", "Print a script that completes commands in a shell"),
    "complete-words": Command("dora.cli.completion", "complete_words", "For completion scripts", is_hidden=True),
    "self": Command("dora.cli.own", "own", "Update or remove dora itself"),
}


def run_command(argv: list[str]) -> int:
    """Run one command line (without the program's name); returns the exit code."""
    _open_closed_streams()
    try:
        code = _dispatch(argv)
        sys.stdout.flush()
    except DescriptorError as error:
        print_problems(error.problems, "error", sys.stderr)
        return FAILED
    except DoraError as error:
        print_problems(getattr(error, "problems", []), "error", sys.stderr)
        print(f"error: {error}", file=sys.stderr)
        if getattr(error, "hint", ""):
            print(f"hint: {getattr(error, 'hint', '')}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # the reader of our output is gone; what is still buffered must not raise again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        text = _fault_of_machine(error)
        if text is None:
            raise
        if error.errno == errno.ENOSPC:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"error: {text}", file=sys.stderr)
        return FAILED
    return code


def _fault_of_machine(error: OSError) -> str | None:
    """What the user can mend, in one line; None: a mistake of ours, which deserves its traceback."""
    if error.errno == errno.ENOSPC:
        return "the disk is full; free some space, then run the command again"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "too many open files; raise the limit (`ulimit -n`), then run the command again"
    if error.errno in _DENIED and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if error.errno == errno.ENOENT and not _has_current_folder():
        return "the current folder has been removed; go to one that exists (`cd`), then run the command again"
    return None


def _has_current_folder() -> bool:
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def _open_closed_streams() -> None:
    """Where the caller closed a standard stream, /dev/null: the next file that is opened must not take its place."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _dispatch(argv: list[str]) -> int:
    if not argv:
        _print_overview(sys.stderr)
        return WRONG_USAGE
    name, rest = argv[0], argv[1:]
    if name in ("-V", "--version"):
        print(f"dora {dora.__version__}")
        return 0
    if name == "help" and rest:
        name, rest = rest[0], [*rest[1:], "--help"]
    if name in ("-h", "--help", "help"):
        _print_overview(sys.stdout)
        return 0
    command = COMMANDS.get(name)
    return _reject(name) if command is None else _call(command, name, rest)


def _call(command: Command, name: str, arguments: list[str]) -> int:
    # after the table, so that the overview and the version do not pay for it
    import click

    if name in _ABOUT_RUNS:
        from dora.runner.runtime_dir import sweep_stale

        sweep_stale()
    loaded = load_command(command)
    gc.freeze()
    gc.enable()  # off since the start, see `__main__.py`
    if isinstance(loaded, click.Group) and not arguments:
        _print_group(name, list(loaded.commands))
        return WRONG_USAGE
    try:
        code: Any = loaded.main(arguments, prog_name=f"dora {name}", standalone_mode=False)
    except click.UsageError as error:
        _print_usage_error(error, name)
        return WRONG_USAGE
    except click.ClickException as error:
        print(f"error: {error.format_message()}", file=sys.stderr)
        return FAILED
    except click.Abort:
        return INTERRUPTED
    return code if isinstance(code, int) else 0


def load_command(command: Command) -> click.Command:
    """The click command itself."""
    loaded: click.Command = getattr(importlib.import_module(command.module), command.attribute)
    return loaded


def _print_usage_error(error: click.UsageError, name: str) -> None:
    message = error.format_message().rstrip(".")
    print(f"error: {message[:1].lower()}{message[1:]}", file=sys.stderr)
    if error.ctx is not None:
        print(error.ctx.get_usage(), file=sys.stderr)
    path = f"dora {name}" if error.ctx is None else error.ctx.command_path
    print(f"For more information, try '{path} --help'.", file=sys.stderr)


def _print_group(name: str, commands: list[str]) -> None:
    print(f"error: `dora {name}` needs one of its commands: {', '.join(commands)}", file=sys.stderr)
    print(f"Usage: dora {name} COMMAND [ARGUMENTS]...", file=sys.stderr)
    print(f"For more information, try 'dora {name} --help'.", file=sys.stderr)


def _reject(name: str) -> int:
    # needed for a mistake only
    from dora.hints import did_you_mean

    kind = "option" if name.startswith("-") else "command"
    known = ["--version", "--help"] if kind == "option" else list(COMMANDS)
    meant = did_you_mean(name, known, "'")
    tip = f"; {meant}" if meant else ""
    if not meant and name.endswith((".yml", ".yaml")):
        tip = f"; did you mean 'dora run {name}'?"
    print(f"error: there is no {kind} '{name}'{tip}", file=sys.stderr)
    print("Usage: dora COMMAND [ARGUMENTS]...\nFor more information, try 'dora --help'.", file=sys.stderr)
    return WRONG_USAGE


def _print_overview(stream: TextIO) -> None:
    shown = {name: command for name, command in COMMANDS.items() if not command.is_hidden}
    width = max(map(len, shown))
    in_sections = {name for _, names in _SECTIONS for name in names}
    others = tuple(name for name in shown if name not in in_sections)
    lines = ["Usage: dora COMMAND [ARGUMENTS]..."]
    for title, names in (*_SECTIONS, ("More", others)):
        rows = [f"  {name:{width}}  {shown[name].help}" for name in names if name in shown]
        lines += ["", f"{title}:", *rows] if rows else []
    print(*lines, "", _FIRST_STEPS, sep="\n", file=stream)
    print(
        "\nOptions:\n  -h, --help     Show this overview; `dora COMMAND --help` shows more\n"
        "  -V, --version  Show the version",
        file=stream,
    )
