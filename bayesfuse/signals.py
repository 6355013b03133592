"""SIGTERM, by which schedulers end what runs, taken for Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[list[int]]:
    """Let SIGTERM raise `KeyboardInterrupt` inside the block, as Ctrl-C does.

    It changes nothing outside of the main thread, which alone is told of signals.

    Yields:
        The signals that have come so far.

    Example:
        >>> import os
        >>> with sigterm_as_ctrl_c() as seen:
        ...     try:
        ...         os.kill(os.getpid(), signal.SIGTERM)
        ...     except KeyboardInterrupt:
        ...         print(seen == [signal.SIGTERM])
        True
    """
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield seen
        return

    def interrupt(number: int, _: object) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGTERM, before)
