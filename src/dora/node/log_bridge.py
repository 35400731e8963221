"""The bridge from Python's `logging` to dora's structured entries (dora node-api, section 11).

Strategy: a handler on the root logger, laid only where the program has none: who called `basicConfig` before `Node()`
keeps what he has, as text lines.  Afterwards `basicConfig` still works: handlers that it is given stand beside the
bridge; without any the bridge stays the only one.  INFO and above come from everyone; DEBUG, where the node's
`min_log_level` asks for it, only from the user's own modules, not from the libraries (design.md, section 10).

This module is the only one of the node that imports `logging`.
"""

from __future__ import annotations

import datetime
import logging
import os
import sysconfig
from typing import Any, Final

from dora.node.logs import NodeLog

_TRACE: Final = 5
_RANKS: Final = ((logging.ERROR, "ERROR"), (logging.WARNING, "WARN"), (logging.INFO, "INFO"), (logging.DEBUG, "DEBUG"))
_DETAILED: Final = {"debug": logging.DEBUG, "trace": _TRACE}
_OWN_ATTRIBUTES: Final = {*logging.LogRecord("", 0, "", 0, "", (), None).__dict__, "message", "asctime", "taskName"}
_ADDS_HANDLERS: Final = ("handlers", "filename", "stream")
_LIBRARIES: Final = tuple(
    os.path.join(os.path.realpath(path), "")
    for path in {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
)
_PACKAGE_FOLDERS: Final = ("site-packages", "dist-packages")
_formatter: Final = logging.Formatter()
_basic_config: Final = logging.basicConfig


class Bridge(logging.Handler):
    """Writes every record as an entry of the log.

    Args:
        hides_library_details: leaves out what libraries say below INFO.
    """

    def __init__(self, log: NodeLog, *, hides_library_details: bool) -> None:
        super().__init__()
        self._log = log
        self._hides_library_details = hides_library_details

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record with its traceback; a failure is reported as `logging` does."""
        if self._hides_library_details and record.levelno < logging.INFO and _is_of_library(record.pathname):
            return
        try:
            self._log.write(
                next((name for rank, name in _RANKS if record.levelno >= rank), "TRACE"),
                _message(record),
                datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc),
                fields={name: value for name, value in record.__dict__.items() if name not in _OWN_ATTRIBUTES},
                target=record.name,
                module_path=record.module,
                file=record.pathname,
                line=record.lineno,
            )
        except Exception:  # as every handler of `logging`: a log line must not end the program
            self.handleError(record)


def install(log: NodeLog) -> None:
    """Lay the bridge, unless the program has handlers of its own; a bridge of an earlier node is replaced."""
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, Bridge)]:
        root.removeHandler(old)
    if root.handlers:
        return
    detailed = _DETAILED.get(log.min_level or "")
    is_level_untouched = root.level == logging.WARNING
    root.addHandler(Bridge(log, hides_library_details=is_level_untouched))
    if is_level_untouched:
        root.setLevel(detailed or logging.INFO)
    logging.basicConfig = _basic_config_beside_bridge


def _basic_config_beside_bridge(**options: Any) -> None:
    """`logging.basicConfig` where the bridge already is the root logger's handler."""
    root = logging.getLogger()
    bridges = [handler for handler in root.handlers if isinstance(handler, Bridge)]
    for bridge in bridges:
        root.removeHandler(bridge)
    try:
        if not bridges or root.handlers or any(options.get(name) is not None for name in _ADDS_HANDLERS):
            _basic_config(**options)
        elif options.get("level") is not None:
            root.setLevel(options["level"])
    finally:
        for bridge in bridges:
            root.addHandler(bridge)


def _message(record: logging.LogRecord) -> str:
    """What `logging.Formatter` would write with the format "%(message)s"."""
    return _formatter.format(record)


def _is_of_library(path: str) -> bool:
    if any(f"{os.sep}{folder}{os.sep}" in path for folder in _PACKAGE_FOLDERS):
        return True
    return os.path.realpath(path).startswith(_LIBRARIES)
