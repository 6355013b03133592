"""Pyro without its global parameter store.

Inside `local_params()` a `PyroModule` keeps its parameters to itself. The setting is Pyro's own
(`module_local_params`); it is on inside the context alone and never changed on import.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import pyro

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def local_params() -> Iterator[None]:
    """Keep the parameters of Pyro modules out of the global store, inside the `with` block."""
    with pyro.settings.context(module_local_params=True):
        yield


def with_local_params(function: Callable[P, T]) -> Callable[P, T]:
    """Run a function inside `local_params()`."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        with local_params():
            return function(*args, **kwargs)

    return wrapped
