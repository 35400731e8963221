"""Brings the background service up, for `dora up` and for whatever needs it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

from dora.control import Control, NoServiceError, connect_to_service
from dora.errors import ConnectionLost, DoraError, ResourceError
from dora.transport import rendezvous

LOG_NAME: Final = "service.log"
_PATIENCE_S: Final = 15.0
_LOOK_S: Final = 0.02
_TAIL_LINES: Final = 15
_PACKAGE_FOLDER: Final = str(Path(__file__).resolve().parent.parent.parent)
_CHILD: Final = (
    "import sys; folder = sys.argv.pop(1); sys.path[:] = [p for p in sys.path if p] + [folder]; "
    "from dora.cli.main import run_command; sys.exit(run_command(sys.argv[1:]))"
)
"""not `-m`: that would look for dora in the current folder first"""


def bring_up(*options: str) -> tuple[Control, bool]:
    """The service of this user, and whether it was started just now; `options` are those of `dora daemon`.

    Raises:
        ResourceError: it did not come up; the text has the end of its log.
    """
    with contextlib.suppress(NoServiceError):
        return connect_to_service(), False
    base = rendezvous.usable_base(os.environ)
    log = os.path.join(base, LOG_NAME)
    with contextlib.suppress(OSError):
        os.replace(log, log + ".1")
    pid = _spawn(log, options)
    due_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < due_s:
        has_ended = os.waitpid(pid, os.WNOHANG)[0] != 0
        with contextlib.suppress(NoServiceError, ConnectionLost):  # the second: it is just ending
            control = connect_to_service()
            return control, control.service().pid == pid
        if has_ended:
            break
        time.sleep(_LOOK_S)
    raise ResourceError(f"the service did not come up{_tail(log)}\nhint: `dora doctor` looks for the reason")


def _spawn(log: str, options: tuple[str, ...]) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, flags, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, log, flags, 0o600),
    ]
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", _CHILD, _PACKAGE_FOLDER, "daemon", *options],
        os.environ,
        file_actions=actions,
        setsid=True,
        setsigmask=(),
        setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE),
    )


def _tail(log: str) -> str:
    try:
        lines = Path(log).read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        return f" ({log} cannot be read)"
    return f"; its log ({log}) ends with:\n" + "\n".join(f"  {line}" for line in lines) if lines else f" (see {log})"


def is_answering(control: Control) -> bool:
    """Whether the service answers, not only takes connections."""
    try:
        control.service()
    except DoraError:
        return False
    return True
