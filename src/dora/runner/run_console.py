"""The console of a run or a build, as its options state it."""

from __future__ import annotations

import os

from dora.dataflow.descriptor import Dataflow
from dora.errors import DescriptorError
from dora.logs.formats import is_coloured
from dora.logs.levels import parse_filter
from dora.runner.console import Console, ConsoleOptions
from dora.runner.options import RunOptions


def make_console(options: RunOptions, dataflow: Dataflow, dataflow_id: str) -> Console:
    """A console on stdout and stderr.

    Raises:
        DescriptorError: the log filter names what is not there.
    """
    try:
        filters = parse_filter(options.log_filter, {str(node.id) for node in dataflow.nodes})
    except ValueError as error:
        raise DescriptorError([str(error)]) from None
    is_terminal = os.isatty(1)
    return Console(
        ConsoleOptions(
            format=options.log_format,
            level=options.log_level,
            filters=filters,
            is_terminal=is_terminal,
            is_coloured=is_coloured(os.environ, is_terminal=is_terminal),
            is_quiet=options.is_quiet,
            dataflow_id=dataflow_id,
        )
    )
