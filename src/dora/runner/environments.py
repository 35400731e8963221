"""Managed Python environments (`--uv`): one per Python node with a `build`, made by uv (dora dataflow-yaml, 12.2).

Strategy: `<working dir>/.dora/python-envs/<node-id>/` holds the same Python as runs dora, pip, our own distribution
(packed from the installed copy) and its dependencies; then the build lines fill it.  What must not happen is that
`pip install <published node>` brings another dora-rs over ours: `pip.conf` in the environment holds a constraint for
pip, UV_OVERRIDE one for uv.  A stamp written last says which Python and which dora are inside.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dora.dataflow.descriptor import Dataflow, Node
from dora.dataflow.programs import SHELL, is_url
from dora.errors import NodeError
from dora.runner.build_state import FOLDER, write_file
from dora.runner.interpreter import is_python_file
from dora.runner.own_wheel import DISTRIBUTION, own_state, own_version, own_wheel
from dora.runner.package_index import settings_for_uv

STAMP: Final = "dora-environment.json"
OVERRIDES: Final = "dora-overrides.txt"
CONSTRAINTS: Final = "dora-constraints.txt"

CREATE: Final = """set -e
uv=$1 python=$2 env=$3 wheel=$4
if [ "$5" = create ]; then
    rm -rf -- "$env"
    "$uv" venv --quiet --no-project --seed --python "$python" "$env" || {
        "$uv" venv --quiet --no-project --offline --python "$python" "$env"
        "$env/bin/python" -m ensurepip --default-pip
    }
fi
rm -f -- "$env/dora-environment.json"
install() { "$uv" pip install --quiet --python "$env/bin/python" --reinstall-package dora-rs "$@" "$wheel"; }
install || install --offline
"""
"""Where the index cannot be reached, pip comes out of Python itself and our dependencies out of uv's cache."""

PIP_THROUGH_UV: Final = """pip() {{
    case "${{1-}}" in
        install|uninstall|list|freeze|show|check|sync|compile|tree) {uv} pip "$@" || return ;;
        *) command pip "$@" || return ;;
    esac
}}
pip3() {{ pip "$@"; }}
"""
"""Before the build lines: a leading `pip` is uv's, which keeps one copy of each package for all environments."""


def managed_envs_of(dataflow: Dataflow) -> dict[str, Path]:
    """The environments of `--uv`, by node."""
    found = {str(node.id): managed_env_of(node, dataflow.working_dir) for node in dataflow.nodes}
    return {name: env for name, env in found.items() if env is not None}


def managed_env_of(node: Node, working_dir: Path) -> Path | None:
    """The folder of the environment that `--uv` gives to a node; None: it gets none.

    Besides `.py` files, a program that is not there yet and whose build installs packages is a Python program.
    """
    if not node.build or node.is_dynamic or node.path == SHELL or node.conda_env is not None:
        return None
    is_program = "/" not in node.path and not (working_dir / node.path).exists() and "pip" in node.build
    if not is_python_file(node) and (is_url(node.path) or not is_program):
        return None
    return working_dir / FOLDER / "python-envs" / node.id


def find_uv(environ: Mapping[str, str]) -> str:
    """The uv executable: that of the `uv` package, else the one on PATH.

    Raises:
        NodeError: there is none.
    """
    try:
        import uv  # only for `--uv`, and 4 ms to import

        return os.fsdecode(uv.find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv", path=environ.get("PATH"))
    if found is None:
        raise NodeError("--uv needs the program uv, which is not there; run: pip install uv")
    return found


def environment_id(env: Path) -> str | None:
    """What tells this environment from a later one in the same folder; None: there is none that is whole."""
    stamp = _stamp(env)
    return stamp.get("id") if stamp.get("python") == _python_state() and _has_python(env) else None


def is_ready(env: Path) -> bool:
    """The environment is whole, and the dora in it is the one that runs."""
    return environment_id(env) is not None and _stamp(env).get("dora") == own_state()


def create_command(env: Path, uv: str, cache: Path) -> tuple[str, ...]:
    """The command that makes the environment, or only puts our present dora into it."""
    what = "create" if environment_id(env) is None else "renew"
    return ("/bin/sh", "-c", CREATE, "dora", uv, sys.executable, str(env), str(own_wheel(cache)), what)


def finish(env: Path, former_id: str | None) -> None:
    """After `create_command`: guard our dora against others, and write the stamp."""
    constraints = env / CONSTRAINTS
    write_file(constraints, f"{DISTRIBUTION}=={own_version()}\n")
    write_file(env / "pip.conf", f"[install]\nconstraint = {constraints.as_uri()}\n")
    stamp = {"id": former_id or str(uuid.uuid4()), "python": _python_state(), "dora": own_state()}
    write_file(env / STAMP, json.dumps(stamp))


def uv_settings(cache: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables for uv inside a build: pip's indexes, and our dora as it is."""
    wheel = own_wheel(cache)
    overrides = wheel.parent / OVERRIDES
    if " " in str(
        overrides
    ):  # uv takes it as the end of the name; without, only a bound such as ==0.3.5 is not overruled
        return settings_for_uv(environ)
    write_file(overrides, f"{DISTRIBUTION} @ {wheel.as_uri()}\n")
    return settings_for_uv(environ) | {"UV_OVERRIDE": str(overrides)}


def cache_dir(environ: Mapping[str, str], working_dir: Path) -> Path:
    """The user's cache, or `.dora` beside the dataflow where there is none."""
    home = environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    cache = Path(home, "dora")
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError:
        return working_dir / FOLDER / "cache"
    return cache if os.access(cache, os.W_OK) else working_dir / FOLDER / "cache"


def _stamp(env: Path) -> dict[str, str]:
    try:
        found = json.loads((env / STAMP).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _python_state() -> str:
    return f"{sys.version} {os.path.realpath(sys.executable)}"


def _has_python(env: Path) -> bool:
    return os.access(env / "bin" / "python", os.X_OK)
