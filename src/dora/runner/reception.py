"""Where others come to a run, from its first moment on: the admin socket, and what they left before there was a loop.

Strategy: imports nothing, because the nodes are spawned before msgspec is loaded.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dora.runner.state.params import ParamBook


@dataclass
class Reception:
    """The admin socket of a run.

    Attributes:
        listener: non-blocking; its owner closes it when the run is over.
        params: parameters that were set while nodes were built, or None.
    """

    listener: socket.socket
    params: ParamBook | None = None
