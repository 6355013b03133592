"""Importing transformers, and hearing nothing from it that is not an error."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import Any

from bayesfuse.encoders.torchvision_operators import import_torchvision
from bayesfuse.errors import MissingExtraError


def import_transformers() -> ModuleType:
    """Return the package, able to import its networks.

    Where torchvision is installed, they import it, and it needs a hand on a CPU-only torch.

    Raises:
        MissingExtraError: If it is not installed.
    """
    with suppress(MissingExtraError):
        import_torchvision()
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError(
            "A text model needs transformers, which is not installed. "
            "Try: pip install 'bayesfuse[text]'"
        ) from error
    module: ModuleType = transformers
    return module


@contextmanager
def quietly() -> Iterator[None]:
    """Keep transformers' warnings and progress bars to itself for the length of a block.

    What goes wrong is an exception, or is found by our own checks of what was loaded.
    """
    import_transformers()
    from transformers.utils import logging

    hub: Any = import_module("huggingface_hub.utils")
    verbosity = logging.get_verbosity()
    bars, hub_bars = logging.is_progress_bar_enabled(), not hub.are_progress_bars_disabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
        if not hub_bars:  # which transformers switches along with its own
            hub.disable_progress_bars()
