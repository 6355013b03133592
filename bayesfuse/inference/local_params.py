"""Pyro without its global parameter store.

Inside `local_params()` a `PyroModule` keeps its parameters to itself. The setting is Pyro's own
(`module_local_params`); it is on inside the context alone and never changed on import.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import pyro
from pyro.nn import PyroModule


class LocalParamsModule(PyroModule):  # type: ignore[misc]  # Pyro ships no types
    """A Pyro module that runs inside `local_params()`, whoever calls it. Make it inside, too."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `forward` with parameters that stay the module's own."""
        with local_params():
            return super().__call__(*args, **kwargs)


P = ParamSpec("P")
T = TypeVar("T")


TURNS = threading.RLock()
"""Held by the thread that draws: torch's generator and Pyro's handlers and settings are one for
all threads, so that draws of several threads would be each other's."""


@contextmanager
def local_params() -> Iterator[None]:
    """Keep the parameters of Pyro modules out of the global store, inside the `with` block.

    Other threads wait meanwhile.
    """
    with TURNS, pyro.settings.context(module_local_params=True):
        yield


def with_local_params(function: Callable[P, T]) -> Callable[P, T]:
    """Run a function inside `local_params()`."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        with local_params():
            return function(*args, **kwargs)

    return wrapped
