"""A `Node` without a dataflow: who stands in for the runner (dora node-api, sections 2 and 21).

In this order: a harness of `dora.testing` that is at work in this process; the file that DORA_TEST_WITH_INPUTS names;
for `Node()` without an id, the person at the terminal.  This module is looked at before `Node()` says that there is
no dataflow, so it loads nothing by itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dora import env

stand_in: Callable[[], Any] | None = None
"""Makes the session of every `Node` of this process while a harness is at work."""


@contextmanager
def standing_in(make: Callable[[], Any]) -> Iterator[None]:
    """Let every `Node` of this process be made with such a session; one that is there already is set aside."""
    global stand_in
    from dora.node import session  # it imports this module

    others, config = (stand_in, session.current), os.environ.pop(env.NODE_CONFIG, None)
    stand_in, session.current = make, None
    try:
        yield
    finally:
        stand_in, session.current = others
        if config is not None:
            os.environ[env.NODE_CONFIG] = config


def session_for(node_id: str | None) -> Any:
    """The session that stands in for the one to a runner, or None: there is nobody to stand in."""
    if stand_in is not None:
        return stand_in()
    path = os.environ.get(env.TEST_WITH_INPUTS)
    if path:
        from dora.node.event_file import open_session as open_file  # pyarrow, json: only where they are needed

        return open_file(path)
    if node_id is None and _is_person_there():
        from dora.node.interactive import open_session as open_terminal  # as above

        return open_terminal()
    return None


def _is_person_there() -> bool:
    """Somebody can be asked: not in a test, which expects an error, even if it keeps the terminal (`pytest -s`)."""
    stdin = sys.stdin
    try:
        return stdin is not None and stdin.isatty() and os.isatty(0) and "PYTEST_CURRENT_TEST" not in os.environ
    except (OSError, ValueError):
        return False
