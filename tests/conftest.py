"""What holds for all tests: compiled modules are kept, examples have no deadline, and `-n 2` is possible.

Strategy: an interpreter that may not keep what it has compiled takes 0.25 s longer for `dora run`, each time.
With pytest-xdist (`pytest -n 2`) the tests run in two processes, which must know them by the same names, and whose
own threads the code under test must not see.
"""

from __future__ import annotations

import _thread
import os
import signal

import hypothesis
import pytest

IS_SHARE = "PYTEST_XDIST_WORKER" in os.environ
"""This process runs a share of a suite that another one has shared out already."""


def pytest_configure(config: pytest.Config) -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background (`&`, `nohup`) they are ignored,
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and what the tests start would inherit that
    hypothesis.settings.register_profile("dora", deadline=None)  # how long an example takes is the machine's business
    hypothesis.settings.load_profile("dora")
    if IS_SHARE:
        _hide_the_thread_of_pytest(config)


def pytest_make_parametrize_id(val: object) -> str | None:
    """No address in the name of a test: all processes must know the tests by the same names."""
    return type(val).__name__ if " at 0x" in repr(val) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tell authors who name their cases by address themselves."""
    wrong = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if wrong:
        raise pytest.UsageError(f"expected names without addresses, found: {', '.join(wrong)}; say other `ids`")


def _hide_the_thread_of_pytest(config: pytest.Config) -> None:
    """A share has a thread that listens to its parent; to the code under test it is as if there were none."""
    from dora.transport import libc  # late: a test of coverage or of imports may come first

    others = _thread._count()
    libc.thread_count = lambda: max(0, _thread._count() - others)  # type: ignore[misc]
    config.addinivalue_line("filterwarnings", "ignore:This process .* is multi-threaded:DeprecationWarning")
