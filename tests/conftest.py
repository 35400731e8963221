"""How the whole suite runs: in two processes side by side, and with compiled modules kept.

Strategy: most of the time of the suite passes in processes that end-to-end tests start and wait for.  So the whole
suite (nothing named on the command line, nothing said about `-n`) is shared out, where pytest-xdist is there: one
process runs the end-to-end tests, one after the other, since they look at what they leave behind and how long it
takes; another one runs the rest.  A part of the suite runs in one process, as a debugger wants it.

An interpreter that may not keep what it has compiled takes 0.25 s longer for `dora run`, each time.
"""

from __future__ import annotations

import _thread
import os
import signal
from pathlib import Path

import hypothesis
import pytest

IS_SHARE = "PYTEST_XDIST_WORKER" in os.environ
"""This process runs a share of a suite that another one has shared out already."""
END_TO_END = Path(__file__).parent / "end_to_end"


def pytest_configure(config: pytest.Config) -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background (`&`, `nohup`) they are ignored,
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and what the tests start would inherit that
    hypothesis.settings.register_profile("dora", deadline=None)  # how long an example takes is the machine's business
    hypothesis.settings.load_profile("dora")
    if IS_SHARE:
        config.option.loadgroup = True  # what is said below to the first process is not passed on
        _hide_the_thread_of_pytest(config)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Say `-n` and `--dist` for the whole suite; pytest-xdist reads them in this same hook, after us."""
    is_whole = config.args_source is not pytest.Config.ArgsSource.ARGS
    if IS_SHARE or not is_whole or not config.pluginmanager.hasplugin("xdist"):
        return
    if config.option.numprocesses is None and not config.option.usepdb and not config.option.collectonly:
        config.option.numprocesses = 2
        config.option.dist = "loadgroup"


def pytest_make_parametrize_id(val: object) -> str | None:
    """No address in the name of a test: both processes must know the tests by the same names."""
    return type(val).__name__ if " at 0x" in repr(val) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep end-to-end tests together; tell authors who name their cases by address themselves."""
    wrong = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if wrong:
        raise pytest.UsageError(f"expected names without addresses, found: {', '.join(wrong)}; say other `ids`")
    for item in items:
        if IS_SHARE and END_TO_END in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("end_to_end"))


def _hide_the_thread_of_pytest(config: pytest.Config) -> None:
    """A share has a thread that listens to its parent; to the code under test it is as if there were none."""
    from dora.transport import libc  # late: a test of coverage or of imports may come first

    others = _thread._count()
    libc.thread_count = lambda: max(0, _thread._count() - others)  # type: ignore[misc]
    config.addinivalue_line("filterwarnings", "ignore:This process .* is multi-threaded:DeprecationWarning")
