"""A signal that comes exactly when something has begun."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def signalled_when(wait: Callable[[], object], handler: Callable[[], object]) -> Iterator[None]:
    """SIGUSR1 comes to the main thread as soon as `wait` returns, and runs `handler` there."""
    main = threading.main_thread().ident
    assert main is not None

    def send_signal() -> None:
        wait()
        signal.pthread_kill(main, signal.SIGUSR1)

    thread = threading.Thread(target=send_signal)
    before = signal.signal(signal.SIGUSR1, lambda *_: handler())
    thread.start()
    try:
        yield
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
