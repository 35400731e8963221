"""The requests of the HTTP API: one table, from which the server and its OpenAPI description are made.

Strategy: to add a request, write its structs in `messages/api.py`, a method of `Service`, and a row here; the client
(`control/`) gets a method of the same name.  A row says all that the server checks: what is not in it is refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import msgspec

from dora.daemon import graph_calls as graph
from dora.daemon.calls import Call, Query
from dora.messages import api

MOST_WAIT_S: Final = 3600.0

Handler = Callable[[Call], Awaitable[msgspec.Struct]]


class Route(NamedTuple):
    """One request of the API.

    Attributes:
        body: struct of the request's body, or None; a body that is left out is one without members.
        answer: struct of the answer with status 200.
        problems: codes of the problems that the handler may end in, besides wrong requests.
    """

    method: str
    path: str
    name: str
    doc: str
    handler: Handler
    answer: type[msgspec.Struct]
    body: type[msgspec.Struct] | None = None
    query: tuple[Query, ...] = ()
    problems: tuple[str, ...] = ()


_ONE: Final = "/v1/dataflows/{dataflow}"
_NODE: Final = _ONE + "/nodes/{node}"
_PARAM: Final = _NODE + "/params/{key}"
_CHOICE: Final = (api.UNKNOWN_DATAFLOW, api.AMBIGUOUS)
_RUNNER: Final = (*_CHOICE, api.NOT_RUNNING, api.NO_ANSWER, api.NOT_POSSIBLE, api.WRONG_VERSION)
_NODE_PROBLEMS: Final = (*_RUNNER, api.UNKNOWN_NODE)
_PARAM_PROBLEMS: Final = (*_CHOICE, api.NO_ANSWER, api.NOT_POSSIBLE, api.WRONG_VERSION, api.UNKNOWN_NODE)
_WAIT: Final = (
    Query("wait", str, "answer once it has started, or ended, or the time is over", None, ("started", "ended")),
    Query("timeout_s", float, "how long to wait at most", 60.0),
)


async def _show(call: Call) -> msgspec.Struct:
    until = call.query["wait"]
    if until is None:
        return await call.service.show(call.path["dataflow"])
    timeout_s = min(max(0.0, call.query["timeout_s"]), MOST_WAIT_S)
    return await call.service.wait(call.path["dataflow"], until, timeout_s)


def _change(path: str, doc: str, handler: Handler, body: type[msgspec.Struct], *, problems: tuple[str, ...]) -> Route:
    """A request that changes the graph, called as its handler is."""
    return Route("POST", path, handler.__name__, doc, handler, api.GraphChange, body, problems=problems)


ROUTES: Final = (
    Route(
        "GET",
        "/v1/dataflows",
        "dataflows",
        "All dataflows: running ones by name, then those that have ended, the latest first.",
        lambda call: call.service.list_all(),
        api.DataflowList,
    ),
    Route(
        "POST",
        "/v1/dataflows",
        "start",
        "Start a dataflow in the background.  The answer comes when its runner answers; its nodes may still start.",
        lambda call: call.service.start(call.body),
        api.DataflowInfo,
        body=api.StartRequest,
        problems=(api.START_FAILED, api.NAME_TAKEN),
    ),
    Route(
        "GET",
        _ONE,
        "dataflow",
        "One dataflow with its nodes.  It is meant by its id, the beginning of its id, or its name.",
        _show,
        api.DataflowInfo,
        query=_WAIT,
        problems=(*_CHOICE, api.NO_ANSWER, api.WRONG_VERSION),
    ),
    Route(
        "DELETE",
        _ONE,
        "forget",
        "Forget a dataflow that has ended.  Its log files stay.",
        lambda call: call.service.forget(call.path["dataflow"]),
        api.DataflowInfo,
        problems=(*_CHOICE, api.NOT_POSSIBLE),
    ),
    Route(
        "POST",
        _ONE + "/stop",
        "stop",
        "Stop a dataflow.  The answer comes when it is over; one that is over already is left as it is.",
        lambda call: call.service.stop(call.path["dataflow"], call.body),
        api.DataflowInfo,
        body=api.StopRequest,
        problems=_RUNNER,
    ),
    Route(
        "POST",
        _ONE + "/restart",
        "restart",
        "Stop a dataflow if it runs, and start its file again under its name, with a new id.",
        lambda call: call.service.restart(call.path["dataflow"], call.body),
        api.DataflowInfo,
        body=api.RestartRequest,
        problems=(*_RUNNER, api.START_FAILED, api.NAME_TAKEN),
    ),
    Route(
        "POST",
        _NODE + "/stop",
        "stop_node",
        "Stop one node for good.  The answer comes at once.",
        lambda call: call.service.stop_node(call.path["dataflow"], call.path["node"], call.body),
        api.DataflowInfo,
        body=api.NodeStopRequest,
        problems=_NODE_PROBLEMS,
    ),
    Route(
        "POST",
        _NODE + "/restart",
        "restart_node",
        "Stop one node and start it again, whatever its restart policy says.  The answer comes at once.",
        lambda call: call.service.restart_node(call.path["dataflow"], call.path["node"], call.body),
        api.DataflowInfo,
        body=api.NodeRestartRequest,
        problems=_NODE_PROBLEMS,
    ),
    Route(
        "GET",
        _NODE + "/params",
        "params",
        "The parameters of a node, also of a dataflow that has ended.",
        lambda call: call.service.params.list_all(call.path["dataflow"], call.path["node"]),
        api.ParamList,
        problems=_PARAM_PROBLEMS,
    ),
    Route(
        "GET",
        _PARAM,
        "param",
        "One parameter of a node.",
        lambda call: call.service.params.get(call.path["dataflow"], call.path["node"], call.path["key"]),
        api.ParamInfo,
        problems=(*_PARAM_PROBLEMS, api.UNKNOWN_PARAM),
    ),
    Route(
        "PUT",
        _PARAM,
        "set_param",
        "Set a parameter of a node.  The node gets the event PARAM_UPDATE, at once or when it starts.",
        lambda call: call.service.params.set(
            call.path["dataflow"], call.path["node"], call.path["key"], call.body.value
        ),
        api.ParamInfo,
        body=api.ParamSetRequest,
        problems=_PARAM_PROBLEMS,
    ),
    Route(
        "DELETE",
        _PARAM,
        "delete_param",
        "Forget a parameter of a node.  The node gets the event PARAM_DELETED, also if it had none of that name.",
        lambda call: call.service.params.delete(call.path["dataflow"], call.path["node"], call.path["key"]),
        api.ParamList,
        problems=_PARAM_PROBLEMS,
    ),
    _change(
        _ONE + "/nodes",
        "Add a node to a dataflow that runs.  It is not part of the file: a restart of the dataflow does not have it.",
        graph.add_node,
        api.NodeAddRequest,
        problems=(*_RUNNER, api.WRONG_NODE),
    ),
    _change(
        _NODE + "/remove",
        "Stop one node and take it out of the graph; inputs that read it are closed behind its last message.",
        graph.remove_node,
        api.NodeRemoveRequest,
        problems=_NODE_PROBLEMS,
    ),
    _change(
        _NODE + "/replace",
        "Put another node in the place of one; for its readers and its queues it is a restart.",
        graph.replace_node,
        api.NodeReplaceRequest,
        problems=(*_NODE_PROBLEMS, api.WRONG_NODE),
    ),
    _change(
        _ONE + "/connect",
        "Have an input read an output from now on.",
        graph.connect_input,
        api.ConnectRequest,
        problems=(*_NODE_PROBLEMS, api.UNKNOWN_OUTPUT, api.UNKNOWN_INPUT),
    ),
    _change(
        _ONE + "/disconnect",
        "Close an input that reads an output, behind what is queued.",
        graph.disconnect_input,
        api.DisconnectRequest,
        problems=(*_NODE_PROBLEMS, api.UNKNOWN_INPUT),
    ),
    Route(
        "POST",
        "/v1/clean",
        "clean",
        "Forget all dataflows that have ended.  Their log files stay.",
        lambda call: call.service.clean(),
        api.CleanResult,
    ),
    Route(
        "GET",
        "/v1/service",
        "service",
        "The service itself.",
        lambda call: call.service.about(),
        api.ServiceInfo,
    ),
    Route(
        "POST",
        "/v1/service/shutdown",
        "shutdown",
        "End the service; dataflows go on.  The answer comes first.",
        lambda call: call.service.shut_down(),
        api.ServiceInfo,
    ),
)
