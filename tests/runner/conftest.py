"""What tests of the runner share: machines on which something has run out."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def few() -> Iterator[Callable[[int | None], None]]:
    """Sets how many more descriptors this process may open; None: as before."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    def leave(count: int | None) -> None:
        if count is None:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            return
        taken = [os.dup(0) for _ in range(count + 1)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken), limits[1]))
        for fd in taken:
            os.close(fd)

    yield leave
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
