"""The background service from Python: what the `dora` commands use, and what your programs may.

    from dora.control import connect

    with connect() as control:
        flow = control.start("dataflow.yml", name="demo")
        print(control.dataflow(flow.id).state)
        control.stop("demo")

`connect` speaks to the service (`dora up`); without one, what runs can still be listed, stopped and read.
`AsyncControl` is the same for asyncio.  Answers are the structs of `dora.messages.api`; what is refused raises
`ControlError`, whose text says what was expected and whose `hint` says what to do.
"""

from __future__ import annotations

from dora.control.asynchronous import AsyncControl as AsyncControl
from dora.control.connecting import connect as connect
from dora.control.connecting import connect_to_service as connect_to_service
from dora.control.direct import DirectControl as DirectControl
from dora.control.failures import ControlError as ControlError
from dora.control.failures import NoServiceError as NoServiceError
from dora.control.service import Control as Control

__all__ = [
    "AsyncControl",
    "Control",
    "ControlError",
    "DirectControl",
    "NoServiceError",
    "connect",
    "connect_to_service",
]
