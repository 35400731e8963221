"""Finds the node that a command means, in the dataflow that is named or in the only one that has it."""

from __future__ import annotations

from dora.cli.targets import AnyControl, choose_dataflow
from dora.control import ControlError
from dora.messages import api
from dora.runs.params import unknown_node


def dataflows_of(control: AnyControl, wanted: str | None) -> list[api.DataflowInfo]:
    """The dataflow of that id or name with its nodes, or all that run."""
    if wanted is not None:
        return [control.dataflow(wanted)]
    running = [info for info in control.dataflows().dataflows if info.state not in api.ENDED]
    return [control.dataflow(info.id) for info in running]


def dataflow_of(control: AnyControl, wanted: str | None, node_id: str) -> api.DataflowInfo:
    """The dataflow that is named, else the only running one that has that node, else the only running one.

    Raises:
        ControlError: there is none, or it is not clear which.
    """
    if wanted is not None:
        return control.dataflow(wanted)
    having = [info for info in dataflows_of(control, None) if any(one.id == node_id for one in info.nodes)]
    return having[0] if len(having) == 1 else control.dataflow(choose_dataflow(control, None).id)


def find_node(control: AnyControl, wanted: str | None, node_id: str) -> tuple[api.DataflowInfo, api.NodeInfo]:
    """The node of that name: in the dataflow that is named, else in the only running one that has it.

    Raises:
        ControlError: there is no such node, or it is not clear in which dataflow.
    """
    info = dataflow_of(control, wanted, node_id)
    for one in info.nodes:
        if one.id == node_id:
            return info, one
    raise ControlError(unknown_node(info, node_id))
