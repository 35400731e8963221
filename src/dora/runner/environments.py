"""Managed Python environments (`--uv`): one per Python node with a `build`, made by uv (dora dataflow-yaml, 12.2).

Strategy: `<working dir>/.dora/python-envs/<node-id>/` holds the same Python as runs dora (or the one that the node
states with `python:`), pip, our own distribution (packed from the installed copy) and its dependencies; then the build
lines fill it.  From then on it is what it is, whatever is active when it is used.  What must not happen is that
`pip install <published node>` brings another dora-rs over ours: a constraint for pip and an override for uv lie in the
environment, and a build that put another one there all the same is put right at its end.  A stamp written last says
what is inside; another `build` text or another stated Python is another environment, made anew, so that nothing is left
of the old one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dora.dataflow.descriptor import Dataflow, Node
from dora.dataflow.programs import SHELL, is_url
from dora.errors import NodeError
from dora.runner.build_state import FOLDER, write_file
from dora.runner.interpreter import CONSTRAINTS, OVERRIDES, is_python_file
from dora.runner.own_wheel import DISTRIBUTION, cache_dir, own_state, own_version, own_wheel
from dora.runner.package_index import settings_for_uv
from dora.runner.stated_python import OUR_FILE, stated_python

STAMP: Final = "dora-environment.json"
PIP_CONFIG: Final = "pip.conf"
_OWN_VARIABLES: Final = ("PIP_CONSTRAINT", "UV_OVERRIDE")

CREATE: Final = """set -e
uv=$1 python=$2 env=$3 wheel=$4
if [ "$5" = create ]; then
    rm -rf -- "$env"
    "$uv" venv --quiet --no-project --seed --python "$python" "$env" || {
        rm -rf -- "$env"
        "$uv" venv --quiet --no-project --offline --python "$python" "$env"
        "$env/bin/python" -m ensurepip --default-pip
    }
fi
rm -f -- "$env/dora-environment.json" "$env"/dora_rs-*.whl
cp -- "$wheel" "$env/"
own=$env/${wheel##*/}
install() { "$uv" pip install --quiet --python "$env/bin/python" --reinstall-package dora-rs "$@" "$own"; }
install || install --offline
"""
"""Where the index cannot be reached, pip comes out of Python itself and our dependencies out of uv's cache."""

PUT_BACK: Final = """set -e
uv=$1 env=$2 wheel=$3
echo "warning: the build put another dora-rs into the environment; this dora goes back over it"
"$uv" pip uninstall --quiet --python "$env/bin/python" dora-rs || true
"$uv" pip install --quiet --python "$env/bin/python" --no-deps --reinstall-package dora-rs "$wheel"
"""

PIP_THROUGH_UV: Final = """pip() {{
    case "${{1-}}" in
        install|uninstall|list|freeze|show|check|sync|compile|tree) {uv} pip "$@" || return ;;
        *) command pip "$@" || return ;;
    esac
}}
pip3() {{ pip "$@"; }}
"""
"""Before the build lines: a leading `pip` is uv's, which keeps one copy of each package for all environments."""


@dataclass(frozen=True)
class Environment:
    """The environment of one node.

    Attributes:
        folder: where it is, or will be.
        python: what it is made from.
        recipe: changes when it has to be made anew.
    """

    folder: Path
    python: str
    recipe: str

    @property
    def id(self) -> str | None:
        """What tells this environment from a later one in the same folder; None: there is none that is whole."""
        stamp = self._stamp()
        has_python = os.access(self.folder / "bin" / "python", os.X_OK)
        return stamp.get("id") if has_python and stamp.get("recipe") == self.recipe else None

    @property
    def is_ready(self) -> bool:
        """The environment is whole, and the dora in it is the one that runs."""
        return self.id is not None and self._stamp().get("dora") == own_state()

    @property
    def has_our_dora(self) -> bool:
        """Nobody has put another dora-rs into it."""
        sites = list(self.folder.glob("lib/python3*/site-packages"))
        infos = [info.name for site in sites for info in site.glob("dora_rs-*.dist-info")]
        return infos == [f"dora_rs-{own_version()}.dist-info"] and any(
            os.path.exists(site / OUR_FILE) for site in sites
        )

    def create_command(self, uv: str, cache: Path, *, is_forced: bool) -> tuple[str, ...]:
        """The command that makes the environment, or only puts our present dora into it."""
        what = "create" if is_forced or self.id is None else "renew"
        return ("/bin/sh", "-c", CREATE, "dora", uv, self.python, str(self.folder), str(own_wheel(cache)), what)

    def put_back_command(self, uv: str, cache: Path) -> tuple[str, ...]:
        """The command that puts our dora over another one."""
        return ("/bin/sh", "-c", PUT_BACK, "dora", uv, str(self.folder), str(self.folder / own_wheel(cache).name))

    def finish(self, former_id: str | None, cache: Path) -> None:
        """After `create_command`: guard our dora against others, and write the stamp."""
        own = self.folder / own_wheel(cache).name
        constraints = self.folder / CONSTRAINTS
        write_file(constraints, f"{DISTRIBUTION}=={own_version()}\n")
        write_file(self.folder / OVERRIDES, f"{DISTRIBUTION} @ {own.as_uri()}\n")
        write_file(self.folder / PIP_CONFIG, f"[install]\nconstraint = {constraints.as_uri()}\n")
        stamp = {"id": former_id or os.urandom(16).hex(), "recipe": self.recipe, "dora": own_state()}
        write_file(self.folder / STAMP, json.dumps(stamp))

    def _stamp(self) -> dict[str, str]:
        try:
            found = json.loads((self.folder / STAMP).read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def environments_of(dataflow: Dataflow, environ: Mapping[str, str]) -> dict[str, Environment]:
    """The environments of `--uv`, by node.

    Raises:
        DescriptorError: a node states a Python that is not there.
    """
    found: dict[str, Environment] = {}
    for node in dataflow.nodes:
        folder = managed_env_of(node, dataflow.working_dir)
        if folder is not None:
            stated = stated_python(node, dataflow.working_dir, environ)
            recipe = hashlib.sha256(json.dumps([node.build, stated and stated.path]).encode()).hexdigest()
            found[str(node.id)] = Environment(folder, stated.path if stated is not None else sys.executable, recipe)
    return found


def managed_env_of(node: Node, working_dir: Path) -> Path | None:
    """The folder of the environment that `--uv` gives to a node; None: it gets none.

    Besides `.py` files, a program that is not there yet and whose build installs packages is a Python program.
    """
    if not node.build or node.is_dynamic or node.path == SHELL or node.conda_env is not None:
        return None
    if node.interpreter is not None and node.interpreter.kind != "python":
        return None
    is_program = "/" not in node.path and not os.path.exists(working_dir / node.path) and "pip" in node.build
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


def uv_settings(environ: Mapping[str, str], working_dir: Path) -> dict[str, str]:
    """Variables for uv inside a build: pip's indexes, and a cache that can be written."""
    instead = working_dir / FOLDER / "cache"
    has_own = environ.get("UV_CACHE_DIR") or cache_dir(environ, instead) != instead
    return settings_for_uv(environ) | ({} if has_own else {"UV_CACHE_DIR": str(instead / "uv")})


def variables_to_create(variables: Mapping[str, str]) -> dict[str, str]:
    """Those of a build, without what is only there once the environment is."""
    return {name: value for name, value in variables.items() if name not in _OWN_VARIABLES}
