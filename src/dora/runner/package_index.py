"""Where packages come from: what the user told pip, told to uv.

Strategy: uv does not read pip's settings, so behind a mirror or a private index `pip install` works where
`uv pip install` does not.  Here pip's settings (its configuration files, then its PIP_ variables) become uv's
variables, unless uv has settings of its own.  pip takes the best version of all indexes, so uv is asked to do the same.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_OWN_OF_UV: Final = (
    "UV_INDEX",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_NO_INDEX",
)


def settings_for_uv(environ: Mapping[str, str]) -> dict[str, str]:
    """Variables for uv that say what pip's settings say."""
    if any(environ.get(name) for name in _OWN_OF_UV):
        return {}
    pip = pip_settings(environ)
    found = {
        "UV_DEFAULT_INDEX": pip.get("index-url", ""),
        "UV_INDEX": " ".join(pip.get("extra-index-url", "").split()),
        "UV_FIND_LINKS": ",".join(pip.get("find-links", "").split()),
        "UV_NO_INDEX": "1" if pip.get("no-index", "").lower() in ("1", "true", "yes", "on") else "",
        "UV_INSECURE_HOST": " ".join(pip.get("trusted-host", "").split()),
        "SSL_CERT_FILE": "" if environ.get("SSL_CERT_FILE") else pip.get("cert", ""),
    }
    if found["UV_INDEX"]:
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {name: value for name, value in found.items() if value}


def pip_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """What pip is told by its configuration files and variables, by option (`find-links`)."""
    found: dict[str, str] = {}
    for file in _config_files(environ):
        parser = configparser.RawConfigParser()
        try:
            parser.read(file)
        except (configparser.Error, OSError, UnicodeDecodeError):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    for name, value in environ.items():
        if name.startswith("PIP_") and name != "PIP_CONFIG_FILE" and value:
            found[name[4:].lower().replace("_", "-")] = value
    return found


def _config_files(environ: Mapping[str, str]) -> list[Path]:
    """pip's configuration files, the most important last (pip documentation, Configuration, Location)."""
    stated = environ.get("PIP_CONFIG_FILE")
    if stated == "/dev/null":
        return []
    home = Path(environ.get("HOME") or "/")
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    system = [Path(folder, "pip", "pip.conf") for folder in (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")]
    files = [*system, Path("/etc/pip.conf"), home / ".pip" / "pip.conf", config / "pip" / "pip.conf"]
    return [*files, Path(stated)] if stated else files
