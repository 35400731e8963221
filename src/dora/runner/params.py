"""What a runner answers about the parameters of its nodes, while it builds and while the dataflow runs.

Strategy: the book is in `state/params.py`; here is what may be asked of it.  What is set while nodes are still being
built is kept in the book that the run's rules then take over.  A node that never looks at its link cannot make the
runner pile up changes for it: beyond `MAX_UNREAD` they are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from dora.messages import runner_daemon as messages
from dora.messages.params import ParamFault, check_key, check_text
from dora.runner.admin import Refusal, Visitor
from dora.runner.state.params import ParamBook

MAX_UNREAD: Final = 256


class ParamDesk:
    """Answers the requests about parameters.

    Args:
        check_node: raises `Refusal` for a node that is not there.
        change: carries out a change, with None for a deletion.
        unread: how many messages wait for a node that does not look at its link.
    """

    def __init__(
        self,
        book: ParamBook,
        *,
        check_node: Callable[[str], object],
        change: Callable[[str, str, str | None], None],
        unread: Callable[[str], int],
    ) -> None:
        self._book = book
        self._check_node = check_node
        self._change = change
        self._unread = unread
        self.requests: Final[Mapping[type, Callable[[Any, Visitor], None]]] = {
            messages.GetParams: self._get,
            messages.SetParam: self._set,
            messages.DeleteParam: self._delete,
        }

    def _get(self, request: messages.GetParams, visitor: Visitor) -> None:
        if not request.node:
            visitor.say(messages.Params(self._book.all()))
            return
        self._check_node(request.node)
        params = self._book.of(request.node)
        visitor.say(messages.Params({request.node: params} if params else {}))

    def _set(self, request: messages.SetParam, visitor: Visitor) -> None:
        self._check(request)
        try:
            check_text(request.value)
        except ParamFault as fault:
            raise Refusal(messages.NOT_POSSIBLE, str(fault)) from None
        fault_of_book = self._book.fault(request.node, request.key, request.value)
        if fault_of_book:
            raise Refusal(messages.NOT_POSSIBLE, fault_of_book)
        self._change(request.node, request.key, request.value)
        visitor.say(messages.Done())

    def _delete(self, request: messages.DeleteParam, visitor: Visitor) -> None:
        self._check(request)
        self._change(request.node, request.key, None)
        visitor.say(messages.Done())

    def _check(self, request: messages.SetParam | messages.DeleteParam) -> None:
        self._check_node(request.node)
        try:
            check_key(request.key)
        except ParamFault as fault:
            raise Refusal(messages.NOT_POSSIBLE, str(fault)) from None
        if self._unread(request.node) >= MAX_UNREAD:
            raise Refusal(
                messages.NOT_POSSIBLE, f"node `{request.node}` has not looked at its last changes (is it stopped?)"
            )
