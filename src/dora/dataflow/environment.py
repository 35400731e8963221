"""`env` mappings: how values become text, and what `$VAR` in them means (dora dataflow-yaml, section 6).

Strategy: an unquoted number or truth value is rendered as dora-rs does (`1.50` is `1.5`, `0x10` is `16`),
a quoted text is passed as it is, and in both kinds of text variables are expanded against the
environment of the process that reads the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from dora.dataflow.document import YamlMap, YamlScalar, YamlValue
from dora.dataflow.fields import read_text, unexpected
from dora.dataflow.report import Report, shown
from dora.dataflow.scalars import Plain, meaning
from dora.errors import DescriptorError

RESERVED: Final = frozenset(
    {
        "DORA_NODE_CONFIG",
        "DORA_RUNTIME_CONFIG",
        "DORA_RUN_PARENT_PID",
        "DORA_AUTH_TOKEN",
        "DORA_ALLOW_SHELL_NODES",
        "ZENOH_CONFIG",
        "LD_PRELOAD",
        "LD_AUDIT",
        "LD_LIBRARY_PATH",
        "DYLD_INSERT_LIBRARIES",
        "DYLD_LIBRARY_PATH",
    }
)
RESERVED_PREFIX: Final = "DORA_ZENOH_"

HOST_KEY: Final = "__dora_env"
_EXPECTED: Final = "a text, number, true or false"
_BAD_KEY: Final = re.compile(r"[=\s\0\ud800-\udfff]")
_REFERENCE: Final = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\})"
)


def read_env(value: YamlValue, subject: str, environ: Mapping[str, str], report: Report) -> dict[str, Plain]:
    """The variables of one `env` mapping, expanded, with the types that the file gives them."""
    if not isinstance(value, YamlMap):
        hint = "write each as `NAME: value`"
        unexpected(value, f"{subject}'env'", "a mapping from variable to value", report, hint)
        return {}
    found: dict[str, Plain] = {}
    for key, (key_at, entry) in value.entries.items():
        where = f"{subject}env {shown(key)}"
        if not key or _BAD_KEY.search(key):
            report.warn(key_at, f"{where} is ignored: not a name for an environment variable")
        elif is_reserved(key):
            report.warn(key_at, f"{where} is ignored: dora sets or forbids this variable", "remove it")
        else:
            plain = _read_value(entry, where, environ, report)
            if plain is not None:
                found[key] = plain
    return found


def as_text(value: Plain) -> str:
    """How a value appears in the environment of a process."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_text(value)
    return "" if value is None else str(value)


def parse_overrides(settings: Iterable[str]) -> dict[str, str]:
    """`K=V` texts of `--env` as a mapping, values as they are; the last one wins.

    Raises:
        DescriptorError: when one has no `=`, no name, or the name of a variable that dora sets or forbids.
    """
    found: dict[str, str] = {}
    problems = []
    for setting in settings:
        key, separator, value = setting.partition("=")
        if not separator or not key or _BAD_KEY.search(key):
            problems.append(f"--env: expected KEY=VALUE, for example SPEED=2, found {shown(setting)}")
        elif is_reserved(key):
            problems.append(f"--env: {shown(key)} cannot be set: dora sets or forbids this variable")
        found[key] = value
    if problems:
        raise DescriptorError(problems)
    return found


def is_reserved(name: str) -> bool:
    """The variable is for dora to set, or would change which code a node loads."""
    return name in RESERVED or name.startswith(RESERVED_PREFIX)


def expand(text: str, environ: Mapping[str, str]) -> tuple[str, list[str]]:
    """Replace `$VAR`, `${VAR}`, `${VAR:-default}` and `$$`.

    Returns: the text, and the names of variables that have neither a value nor a default.
    """
    missing: list[str] = []

    def replace(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        name, default = match["name"] or match["braced"], match["default"]
        found = environ.get(name)
        if default is not None:
            return found or default
        if found is None:
            missing.append(name)
        return found or ""

    return _REFERENCE.sub(replace, text), missing


def _read_value(value: YamlValue, subject: str, environ: Mapping[str, str], report: Report) -> Plain:
    host = _host_variable(value)
    if host is not None:
        value = YamlScalar(host.place, "${" + host.text + "}", is_plain=False)
    if not isinstance(value, YamlScalar) or meaning(value) is None:
        hint = "write '' for an empty text" if isinstance(value, YamlScalar) else "write it as one text"
        unexpected(value, subject, _EXPECTED, report, hint)
        return None
    if read_text(value, subject, report) is None:
        return None
    plain = meaning(value)
    if not isinstance(plain, str):
        return plain
    text, missing = expand(plain, environ)
    for name in dict.fromkeys(missing):
        hint = f"set it, or write ${{{name}:-default}}, or $$ for a plain dollar sign"
        report.error(value.place, f"{subject}: variable '{name}' is not set", hint)
    return text


def _host_variable(value: YamlValue) -> YamlScalar | None:
    """The NAME of `{__dora_env: NAME}`."""
    if not isinstance(value, YamlMap) or list(value.entries) != [HOST_KEY]:
        return None
    name = value.entries[HOST_KEY].value
    return name if isinstance(name, YamlScalar) and re.fullmatch(r"[A-Za-z_]\w*", name.text, re.ASCII) else None


def _float_text(value: float) -> str:
    """The shortest decimal that reads back as `value`, never with an exponent."""
    text = repr(value)
    if text in ("inf", "-inf", "nan"):
        return "NaN" if text == "nan" else text
    mantissa, _, exponent = text.partition("e")
    if exponent:
        text = _shift(mantissa, int(exponent))
    return text.removesuffix(".0")


def _shift(mantissa: str, places: int) -> str:
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.removeprefix("-").partition(".")
    if places < 0:
        return f"{sign}0.{'0' * (-places - len(whole))}{whole}{fraction}"
    return sign + whole + fraction.ljust(places, "0")
