"""The client of the service: one method per request of its API."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from dora.control.failures import ControlError
from dora.control.http import Address, Answer, Exchange, lines_of
from dora.control.params import checked_key, checked_text
from dora.errors import ProtocolError
from dora.messages import api
from dora.messages.params import decode_value
from dora.runs.choosing import ChoiceError, choose

PATIENCE_S: Final = 30.0
_STOP_EXTRA_S: Final = 60.0

T = TypeVar("T", bound=msgspec.Struct)
U = TypeVar("U")
_NOTHING: Mapping[str, str] = {}


class Control:
    """The service at an address; threads may share it.

    Every method raises `ControlError` when the service refuses, `NoServiceError` when there is none, and
    `ConnectionLost` when it ends in between.  Dataflows are meant by id, beginning of an id, or name.

    Attributes:
        address: where it listens.
    """

    def __init__(self, address: Address) -> None:
        self.address: Final = address

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing stays open between requests."""

    def service(self) -> api.ServiceInfo:
        """The service itself."""
        return self._ask("GET", "/v1/service", api.ServiceInfo)

    def dataflows(self, *, timeout_s: float = PATIENCE_S) -> api.DataflowList:
        """All dataflows: running ones by name, then those that have ended, the latest first."""
        return self._ask("GET", "/v1/dataflows", api.DataflowList, timeout_s=timeout_s)

    def dataflow(self, wanted: str, *, wait: str | None = None, timeout_s: float = 60.0) -> api.DataflowInfo:
        """One dataflow with its nodes.

        Args:
            wait: "started" or "ended": answer then, or as it is after `timeout_s`.
        """
        query = "" if wait is None else "?" + urlencode({"wait": wait, "timeout_s": timeout_s})
        return self._ask("GET", self._path(wanted) + query, api.DataflowInfo, timeout_s=PATIENCE_S + timeout_s)

    def start(
        self,
        file: str | os.PathLike[str],
        *,
        name: str = "",
        env: Mapping[str, str] = _NOTHING,
        uses_uv: bool = False,
        request: api.StartRequest | None = None,
    ) -> api.DataflowInfo:
        """Start a dataflow in the background; returns when its runner answers, while its nodes may still start.

        Args:
            request: all that can be said about it, in place of the other arguments.
        """
        if request is None:
            path = os.path.abspath(os.fspath(file))
            request = api.StartRequest(file=path, name=name, env=dict(env), uses_uv=uses_uv)
        return self._ask("POST", "/v1/dataflows", api.DataflowInfo, request, timeout_s=2 * PATIENCE_S)

    def stop(
        self, wanted: str, *, grace_s: float | None = None, is_forced: bool = False, waits: bool = True
    ) -> api.DataflowInfo:
        """Stop a dataflow; returns when it is over.

        Args:
            grace_s: from STOP to SIGTERM.
            is_forced: SIGKILL at once.
            waits: false: return at once.
        """
        body = api.StopRequest(grace_s=grace_s, is_forced=is_forced, waits=waits)
        return self._ask("POST", self._path(wanted) + "/stop", api.DataflowInfo, body, timeout_s=_long(grace_s))

    def restart(
        self,
        wanted: str,
        *,
        grace_s: float | None = None,
        is_forced: bool = False,
        environ: dict[str, str] | None = None,
        python: str = "",
    ) -> api.DataflowInfo:
        """Stop a dataflow if it runs, and start its file again under its name; returns the new one."""
        body = api.RestartRequest(grace_s=grace_s, is_forced=is_forced, environ=environ, python=python)
        return self._ask("POST", self._path(wanted) + "/restart", api.DataflowInfo, body, timeout_s=_long(grace_s))

    def stop_node(
        self, wanted: str, node: str, *, grace_s: float = api.NODE_GRACE_S, is_forced: bool = False
    ) -> api.DataflowInfo:
        """Stop one node for good; returns at once."""
        body = api.NodeStopRequest(grace_s=grace_s, is_forced=is_forced)
        return self._ask("POST", self._path(wanted, node) + "/stop", api.DataflowInfo, body)

    def restart_node(self, wanted: str, node: str, *, grace_s: float = api.NODE_GRACE_S) -> api.DataflowInfo:
        """Stop one node and start it again, whatever its restart policy says; returns at once."""
        body = api.NodeRestartRequest(grace_s=grace_s)
        return self._ask("POST", self._path(wanted, node) + "/restart", api.DataflowInfo, body)

    def add_node(self, wanted: str, text: str, *, file: str = "node.yml", waits: bool = True) -> api.GraphChange:
        """Add a node to a dataflow that runs, and start it.

        Args:
            text: its entry of a dataflow file, as YAML; relative paths start in the dataflow's folder.
            file: what messages call the text.
            waits: return when it is ready, or has ended; false: at once.
        """
        body = api.NodeAddRequest(text=text, file=file, waits=waits)
        return self._ask("POST", self._path(wanted) + "/nodes", api.GraphChange, body, timeout_s=2 * PATIENCE_S)

    def remove_node(
        self, wanted: str, node: str, *, grace_s: float = api.NODE_GRACE_S, is_forced: bool = False, waits: bool = True
    ) -> api.GraphChange:
        """Stop one node and take it out of the graph; inputs that read it are closed behind its last message.

        Args:
            waits: return when it is gone; false: at once.
        """
        body = api.NodeRemoveRequest(grace_s=grace_s, is_forced=is_forced, waits=waits)
        return self._ask("POST", self._path(wanted, node) + "/remove", api.GraphChange, body, timeout_s=_long(grace_s))

    def replace_node(
        self,
        wanted: str,
        node: str,
        text: str,
        *,
        file: str = "node.yml",
        grace_s: float = api.NODE_GRACE_S,
        waits: bool = True,
    ) -> api.GraphChange:
        """Put another node in the place of one, under the same id; for readers and queues it is a restart.

        Args:
            text, file: as for `add_node`.
            grace_s: of the old one, from STOP to SIGTERM.
            waits: return when the new one is ready, or has ended; false: at once.
        """
        body = api.NodeReplaceRequest(text=text, file=file, grace_s=grace_s, waits=waits)
        return self._ask("POST", self._path(wanted, node) + "/replace", api.GraphChange, body, timeout_s=_long(grace_s))

    def connect_input(
        self,
        wanted: str,
        source: str,
        target: str,
        *,
        is_instead: bool = False,
        queue_size: int | None = None,
        queue_policy: Literal["drop_oldest", "backpressure"] | None = None,
    ) -> api.GraphChange:
        """Have an input read an output from now on.

        Args:
            source: `node/output`.
            target: `node/input`; an input that the node does not state comes into being.
            is_instead: in place of what feeds the input now; otherwise it must not be fed.
            queue_size, queue_policy: of the input; None: as it was stated, or the default.
        """
        body = api.ConnectRequest(
            source=source, target=target, is_instead=is_instead, queue_size=queue_size, queue_policy=queue_policy
        )
        return self._ask("POST", self._path(wanted) + "/connect", api.GraphChange, body)

    def disconnect_input(self, wanted: str, source: str, target: str) -> api.GraphChange:
        """Close an input that reads an output: it gets what is queued, then INPUT_CLOSED."""
        body = api.DisconnectRequest(source=source, target=target)
        return self._ask("POST", self._path(wanted) + "/disconnect", api.GraphChange, body)

    def params(self, wanted: str, node: str) -> api.ParamList:
        """The parameters of a node, also of a dataflow that has ended."""
        return self._ask("GET", self._path(wanted, node) + "/params", api.ParamList)

    def param(self, wanted: str, node: str, key: str) -> api.ParamInfo:
        """One parameter of a node."""
        return self._ask("GET", self._param_path(wanted, node, key), api.ParamInfo)

    def set_param(self, wanted: str, node: str, key: str, value: Any) -> api.ParamInfo:
        """Set a parameter of a node, which gets PARAM_UPDATE, at once or when it starts.

        Args:
            value: what JSON has: None, bool, int, float, str, and lists and dicts of these.
        """
        body = api.ParamSetRequest(value=decode_value(checked_text(value)))
        return self._ask("PUT", self._param_path(wanted, node, key), api.ParamInfo, body)

    def delete_param(self, wanted: str, node: str, key: str) -> api.ParamList:
        """Forget a parameter of a node, which gets PARAM_DELETED, also if it had none; returns those that are left."""
        return self._ask("DELETE", self._param_path(wanted, node, key), api.ParamList)

    def forget(self, wanted: str) -> api.DataflowInfo:
        """Forget a dataflow that has ended; its log files stay."""
        return self._ask("DELETE", self._path(wanted), api.DataflowInfo)

    def clean(self) -> api.CleanResult:
        """Forget all that have ended; their log files stay."""
        return self._ask("POST", "/v1/clean", api.CleanResult)

    def shut_down(self) -> api.ServiceInfo:
        """End the service; dataflows go on."""
        return self._ask("POST", "/v1/service/shutdown", api.ServiceInfo)

    def events(self) -> Iterator[api.StateEvent]:
        """The states now, and then every change, until the service ends."""
        return self._stream("/v1/events", lambda line: msgspec.json.decode(line, type=api.StateEvent))

    def logs(
        self, wanted: str, *, node: str = "", follows: bool = False, tail: int | None = None, **query: str | int
    ) -> Iterator[dict[str, object]]:
        """What the nodes have logged, as `dora logs --log-format json` shows it; if followed, until the end.

        Args:
            node: only that one, or several with commas between them.
            query: `since_ns`, `until_ns`, `level`, `filter` and `grep` of the API.
        """
        stated: dict[str, object] = {"follow": str(follows).lower(), **query}
        stated |= {"node": node} if node else {}
        stated |= {} if tail is None else {"tail": tail}
        target = f"{self._path(wanted)}/logs?{urlencode(stated)}"
        return self._stream(target, lambda line: dict(msgspec.json.decode(line)))

    def _path(self, wanted: str, node: str | None = None) -> str:
        """Of a dataflow; one that is named by its file is looked up here: a path has no place in a path."""
        if "/" in wanted:
            wanted = self._id_of_file(wanted)
        path = f"/v1/dataflows/{quote(wanted, safe='')}"
        return path if node is None else f"{path}/nodes/{quote(node, safe='')}"

    def _param_path(self, wanted: str, node: str, key: str) -> str:
        return f"{self._path(wanted, node)}/params/{quote(checked_key(key), safe='')}"

    def _id_of_file(self, wanted: str) -> str:
        try:
            return choose(self.dataflows().dataflows, os.path.abspath(wanted)).id
        except ChoiceError as error:
            raise ControlError(error.problem) from None

    def _ask(
        self,
        method: str,
        target: str,
        kind: type[T],
        body: msgspec.Struct | None = None,
        *,
        timeout_s: float = PATIENCE_S,
    ) -> T:
        with Exchange(self.address, timeout_s) as exchange:
            answer = exchange.send(method, target, None if body is None else api.encode(body))
            data = b"".join(answer.body)
        if answer.status != 200:
            raise ControlError(_problem(answer.status, data, self.address))
        try:
            return msgspec.json.decode(data, type=kind)
        except msgspec.MsgspecError as error:
            raise ProtocolError(
                f"the service on {self.address} said something that is not understood: {error}"
            ) from error

    def _stream(self, target: str, read: Callable[[bytes], U]) -> Iterator[U]:
        with Exchange(self.address, None) as exchange:
            answer: Answer = exchange.send("GET", target, None)
            if answer.status != 200:
                raise ControlError(_problem(answer.status, b"".join(answer.body), self.address))
            for line in lines_of(answer.body):
                yield read(line)


def _long(grace_s: float | None) -> float:
    return (api.GRACE_S if grace_s is None else grace_s) + _STOP_EXTRA_S


def _problem(status: int, data: bytes, address: Address) -> api.Problem:
    try:
        return msgspec.json.decode(data, type=api.Problem)
    except msgspec.MsgspecError:
        return api.Problem(code=api.INTERNAL, message=f"what listens on {address} answered with status {status}")
