"""`dora completion SHELL`: completion of commands, options and files.

Strategy: click completes what is behind a command; the names of commands come from the table in `main.py`, so that a
press of the tab key loads one command at most.
"""

from __future__ import annotations

import os
from typing import Final

import click

from dora.cli.targets import HELP, examples

_EXAMPLES: Final = """
Examples:
  dora completion bash >> ~/.bashrc
  dora completion zsh > ~/.zfunc/_dora                            with `fpath+=~/.zfunc` before `compinit`
  dora completion fish > ~/.config/fish/completions/dora.fish
  dora completion elvish >> ~/.config/elvish/rc.elv
  dora completion powershell >> $PROFILE
  eval "$(dora completion bash)"                                  in this shell only
"""

_BASH: Final = """_dora_complete() {
    local IFS=$'\\n'
    COMPREPLY=($(COMP_CWORD=$COMP_CWORD dora complete-words -- "${COMP_WORDS[@]}" 2>/dev/null))
}
complete -o default -F _dora_complete dora
"""
_ZSH: Final = """#compdef dora
_dora() {
    local -a found
    found=("${(@f)$(COMP_CWORD=$((CURRENT - 1)) dora complete-words -- "${words[@]}" 2>/dev/null)}")
    if [[ -n "$found" ]]; then compadd -- $found; else _files; fi
}
if [[ "$funcstack[1]" = "_dora" ]]; then _dora "$@"; else compdef _dora dora; fi
"""
_FISH: Final = """function __dora_complete
    set -l words (commandline -opc) (commandline -ct)
    COMP_CWORD=(math (count $words) - 1) dora complete-words -- $words 2>/dev/null
end
complete -c dora -a '(__dora_complete)'
"""
_ELVISH: Final = """set edit:completion:arg-completer[dora] = {|@words|
    var found = [(try { e:dora complete-words -- $@words 2>/dev/null } catch { nop })]
    if (eq $found []) { edit:complete-filename $@words } else { all $found }
}
"""
_POWERSHELL: Final = """Register-ArgumentCompleter -Native -CommandName dora -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $before = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
        ForEach-Object { $_.Extent.Text })
    $env:COMP_CWORD = $before.Count
    try { dora complete-words -- @before $wordToComplete 2>$null }
    finally { Remove-Item Env:COMP_CWORD }
}
"""
_SCRIPTS: Final = {"bash": _BASH, "elvish": _ELVISH, "fish": _FISH, "powershell": _POWERSHELL, "zsh": _ZSH}
_PROGRAMS: Final = {"pwsh": "powershell", **{name: name for name in _SCRIPTS}}
"""what the program of a shell is called -> the shell"""


@click.command(context_settings=HELP, epilog=examples(_EXAMPLES))
@click.argument("shell", required=False, metavar="[SHELL]", type=click.Choice(tuple(_SCRIPTS), case_sensitive=False))
def completion(shell: str | None) -> int:
    """Print a script that completes dora's commands in a shell; without its name, in the one in use.

    There are bash, elvish, fish, powershell and zsh.
    """
    shell = shell or _shell_of_user()
    if shell is None:
        raise click.UsageError(f"cannot tell which shell this is: name it ({', '.join(_SCRIPTS)})")
    click.echo(_SCRIPTS[shell], nl=False)
    return 0


def _shell_of_user() -> str | None:
    """The shell that this was typed into, else the user's."""
    for name in (_parent_name(), os.path.basename(os.environ.get("SHELL", ""))):
        if name in _PROGRAMS:
            return _PROGRAMS[name]
    return None


def _parent_name() -> str:
    try:
        with open(f"/proc/{os.getppid()}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def complete_words(words: tuple[str, ...]) -> int:
    """Print what the word under the cursor may become, one line each."""
    at = int(os.environ.get("COMP_CWORD", len(words) - 1))
    before, current = list(words[1:at]), words[at] if at < len(words) else ""
    for word in _candidates(before, current):
        click.echo(word)
    return 0


def _candidates(before: list[str], current: str) -> list[str]:
    from dora.cli.main import COMMANDS, load_command

    if not before:
        return [name for name, one in COMMANDS.items() if not one.is_hidden and name.startswith(current)]
    if before[0] not in COMMANDS:
        return []
    command = load_command(COMMANDS[before[0]])
    rest = before[1:]
    while isinstance(command, click.Group):
        if not rest:
            return [name for name in command.commands if name.startswith(current)]
        found = command.commands.get(rest[0])
        if found is None:
            return []
        command, rest = found, rest[1:]
    if current.startswith("-"):
        names = [name for parameter in command.params for name in parameter.opts if name.startswith("--")]
        return sorted(name for name in [*names, "--help"] if name.startswith(current))
    return _values(command, rest, current)


def _values(command: click.Command, rest: list[str], current: str) -> list[str]:
    """The words that the option in front takes; names of dataflows where one is expected."""
    last = rest[-1] if rest else ""
    for parameter in command.params:
        is_meant = last in parameter.opts if last.startswith("-") else isinstance(parameter, click.Argument)
        if not is_meant:
            continue
        if isinstance(parameter.type, click.Choice):
            return [str(word) for word in parameter.type.choices if str(word).startswith(current)]
        if parameter.name == "wanted":
            return [name for name in _names() if name.startswith(current)]
    return []


def _names() -> list[str]:
    from dora.control import connect

    return [info.name for info in connect().dataflows().dataflows if info.name]
