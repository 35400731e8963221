"""What can be done without a service: ask the runs themselves, through their sockets.

Strategy: the same methods as `Control`, as far as no service is needed: list, show, stop, restart nodes, change graphs;
options that `Control` explains are checked by the structs of `messages/api.py` that they are the members of.
What has ended is known only as far as background runs have left a record that no service has taken up yet.
"""

from __future__ import annotations

import os
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from dora.control.failures import ControlError, NoServiceError
from dora.control.params import checked_key, checked_text
from dora.errors import ConnectionLost, DoraError
from dora.messages import api
from dora.messages import runner_daemon as messages
from dora.messages.params import decode_value, values_of
from dora.runs import graph_requests, views
from dora.runs.choosing import ChoiceError, choose
from dora.runs.framing import RunnerRefused
from dora.runs.graph_changes import wait_until_done
from dora.runs.link import RunnerLink, describe_all
from dora.runs.params import check_node, unknown_param
from dora.runs.records import read_records
from dora.runs.refusals import not_ended, not_running, refusal
from dora.runs.usage import UsageMeter

T = TypeVar("T")
_GRACE_EXTRA_S: Final = 30.0


class DirectControl:
    """The runs of this user on this machine."""

    def __init__(self) -> None:
        self._meter = UsageMeter()

    def __enter__(self) -> DirectControl:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing stays open between requests."""

    def dataflows(self) -> api.DataflowList:
        """All dataflows: running ones by name, then those that have ended, the latest first."""
        found, faults = describe_all()
        running = views.summaries([run for _, run in found], self._meter)
        ended = [views.ended(record) for record in read_records(os.environ)]
        return api.DataflowList(dataflows=[*running, *map(views.without_nodes, ended)], warnings=faults)

    def dataflow(self, wanted: str, *, wait: str | None = None, timeout_s: float = 60.0) -> api.DataflowInfo:
        """One dataflow with its nodes; `wait` needs the service."""
        if wait is not None:
            self._need_service("to wait for a dataflow")
        info = self._choose(wanted)
        for _, run in describe_all()[0]:
            if run.dataflow_id == info.id:
                return views.detail(run, self._meter.measure(views.pids_of(run)))
        for record in read_records(os.environ):
            if record.last.dataflow_id == info.id:
                return views.ended(record)
        return info

    def stop(
        self, wanted: str, *, grace_s: float | None = None, is_forced: bool = False, waits: bool = True
    ) -> api.DataflowInfo:
        """As `Control.stop`."""
        info = self._choose(wanted)
        path = self._path(info)
        if path is None:
            return info
        try:
            return self._stop(info, path, messages.Stop("dora stop", grace_s, is_forced), waits=waits)
        except RunnerRefused as error:
            raise _refusal(error) from None

    def stop_node(
        self, wanted: str, node: str, *, grace_s: float = api.NODE_GRACE_S, is_forced: bool = False
    ) -> api.DataflowInfo:
        """As `Control.stop_node`."""
        return self._ask_node(wanted, messages.StopNode(node, grace_s, is_forced))

    def restart_node(self, wanted: str, node: str, *, grace_s: float = api.NODE_GRACE_S) -> api.DataflowInfo:
        """As `Control.restart_node`."""
        return self._ask_node(wanted, messages.RestartNode(node, grace_s))

    def add_node(self, wanted: str, text: str, **options: Any) -> api.GraphChange:
        """As `Control.add_node`."""
        body = api.NodeAddRequest(text=text, **options)
        return self._change_graph(wanted, graph_requests.add_node(body), waits=body.waits)

    def remove_node(self, wanted: str, node: str, **options: Any) -> api.GraphChange:
        """As `Control.remove_node`."""
        body = api.NodeRemoveRequest(**options)
        return self._change_graph(wanted, graph_requests.remove_node(node, body), waits=body.waits)

    def replace_node(self, wanted: str, node: str, text: str, **options: Any) -> api.GraphChange:
        """As `Control.replace_node`."""
        body = api.NodeReplaceRequest(text=text, **options)
        return self._change_graph(wanted, graph_requests.replace_node(node, body), waits=body.waits)

    def connect_input(self, wanted: str, source: str, target: str, **options: Any) -> api.GraphChange:
        """As `Control.connect_input`."""
        body = api.ConnectRequest(source=source, target=target, **options)
        return self._change_graph(wanted, graph_requests.connect_input(body))

    def disconnect_input(self, wanted: str, source: str, target: str) -> api.GraphChange:
        """As `Control.disconnect_input`."""
        body = api.DisconnectRequest(source=source, target=target)
        return self._change_graph(wanted, graph_requests.disconnect_input(body))

    def _change_graph(self, wanted: str, request: messages.Request, *, waits: bool = False) -> api.GraphChange:
        info = self._choose(wanted)
        with self._link(info) as link:
            try:
                before = link.ask(messages.Watch(), messages.Described)
                changed = link.ask(request, messages.GraphChanged)
            except RunnerRefused as error:
                raise _refusal(error) from None
            if waits:
                wait_until_done(link, request, changed.node, before)
        return api.GraphChange(dataflow=self._after(info), node=changed.node, notes=changed.notes)

    def _after(self, info: api.DataflowInfo) -> api.DataflowInfo:
        """The dataflow after a change that may have ended it; a `dora run` leaves no record."""
        try:
            return self.dataflow(info.id)
        except ControlError as error:
            if error.code != api.UNKNOWN_DATAFLOW:
                raise
            return msgspec.structs.replace(info, state=messages.FINISHED, node_count=0, nodes=[])

    def _link(self, info: api.DataflowInfo) -> RunnerLink:
        path = self._path(info)
        if path is None:
            raise ControlError(not_running(info))
        try:
            return RunnerLink.open(path)
        except OSError as error:
            raise ConnectionLost("the runner of the dataflow has ended") from error

    def params(self, wanted: str, node: str) -> api.ParamList:
        """As `Control.params`."""
        info, texts = self._param_texts(wanted, node)
        return api.ParamList(dataflow=info.id, node=node, params=values_of(texts))

    def param(self, wanted: str, node: str, key: str) -> api.ParamInfo:
        """As `Control.param`."""
        info, texts = self._param_texts(wanted, node)
        if checked_key(key) not in texts:
            raise ControlError(unknown_param(node, key, sorted(texts)))
        return api.ParamInfo(dataflow=info.id, node=node, key=key, value=decode_value(texts[key]))

    def set_param(self, wanted: str, node: str, key: str, value: Any) -> api.ParamInfo:
        """As `Control.set_param`."""
        text = checked_text(value)
        info = self._choose(wanted)
        self._ask_runner(info, messages.SetParam(node, checked_key(key), text), messages.Done)
        return api.ParamInfo(dataflow=info.id, node=node, key=key, value=decode_value(text))

    def delete_param(self, wanted: str, node: str, key: str) -> api.ParamList:
        """As `Control.delete_param`."""
        info = self._choose(wanted)
        self._ask_runner(info, messages.DeleteParam(node, checked_key(key)), messages.Done)
        return self.params(info.id, node)

    def _param_texts(self, wanted: str, node: str) -> tuple[api.DataflowInfo, dict[str, str]]:
        info = self._choose(wanted)
        record = next((one for one in read_records(os.environ) if one.last.dataflow_id == info.id), None)
        if record is None:
            found = self._ask_runner(info, messages.GetParams(node), messages.Params)
            return info, found.nodes.get(node, {})
        problem = check_node(views.ended(record), node)
        if problem is not None:
            raise ControlError(problem)
        return info, record.params.get(node, {})

    def _choose(self, wanted: str) -> api.DataflowInfo:
        try:
            return choose(self.dataflows().dataflows, os.path.abspath(wanted) if "/" in wanted else wanted)
        except ChoiceError as error:
            raise ControlError(error.problem) from None

    def _path(self, info: api.DataflowInfo) -> str | None:
        return next((path for path, run in describe_all()[0] if run.dataflow_id == info.id), None)

    def _stop(self, info: api.DataflowInfo, path: str, request: messages.Stop, *, waits: bool) -> api.DataflowInfo:
        with RunnerLink.open(path) as link:
            link.ask(messages.Watch(), messages.Described)
            link.ask(request, messages.Done)
            if not waits:
                return info
            timeout_s = (api.GRACE_S if request.grace_s is None else request.grace_s) + _GRACE_EXTRA_S
            try:
                while (news := link.next_change(timeout_s)) is not None:
                    if isinstance(news, messages.Ended):
                        return views.without_nodes(views.ended(news))
            except ConnectionLost:
                return info
        raise ControlError(not_ended(info))

    def _ask_node(self, wanted: str, request: messages.StopNode | messages.RestartNode) -> api.DataflowInfo:
        info = self._choose(wanted)
        self._ask_runner(info, request, messages.Done)
        return self.dataflow(info.id)

    def _ask_runner(self, info: api.DataflowInfo, request: messages.Request, kind: type[T]) -> T:
        try:
            with self._link(info) as link:
                return link.ask(request, kind)
        except RunnerRefused as error:
            raise _refusal(error) from None

    def _need_service(self, what: str) -> NoReturn:
        raise NoServiceError(f"the service is needed {what}, and is not running", "start it with `dora up`")


def _refusal(error: RunnerRefused) -> DoraError:
    return ControlError(refusal(error))
