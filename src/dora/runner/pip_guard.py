"""What keeps `pip install` of a build from putting another dora-rs over ours, outside of managed environments.

Strategy: pip is given a constraint, and our own wheel as a place to find that version.  Where our dora is installed it
stays as it is; a virtual environment that the build makes itself gets ours instead of what the index has; a package
that insists on another version makes pip say so instead of breaking the environment.  `--uv` overrules such bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dora.errors import ResourceError
from dora.runner.build_state import write_file
from dora.runner.own_wheel import DISTRIBUTION, own_version, own_wheel
from dora.runner.package_index import pip_settings

CONSTRAINTS: Final = "dora-constraints.txt"


def guard_of_pip(cache: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables for pip and uv: what they are told already, and our dora.

    Args:
        cache: where our wheel is kept.
    """
    try:
        wheel = own_wheel(cache)
    except ResourceError:  # dora runs from its source alone: there is nothing installed to be replaced
        return {}
    constraints = wheel.parent / CONSTRAINTS
    if not constraints.exists():
        write_file(constraints, f"{DISTRIBUTION}=={own_version()}\n")
    stated = pip_settings(environ)
    for_pip = {
        "PIP_CONSTRAINT": f"{stated.get('constraint', '')} {constraints.as_uri()}".strip(),
        "PIP_FIND_LINKS": f"{stated.get('find-links', '')} {wheel.parent.as_uri()}".strip(),
    }
    if " " in str(constraints):  # uv takes it as the end of the name
        return for_pip
    for_uv = {
        "UV_CONSTRAINT": f"{environ.get('UV_CONSTRAINT', '')} {constraints}".strip(),
        "UV_FIND_LINKS": f"{environ.get('UV_FIND_LINKS', '')},{wheel.parent}".strip(","),
    }
    return for_pip | for_uv
