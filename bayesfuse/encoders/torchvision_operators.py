"""Importing timm and torchvision, also where torchvision finds no compiled operators.

torchvision's wheel from PyPI is compiled against the CUDA build of torch. Beside a CPU-only torch
its shared library does not load, which torchvision tolerates; but then, while it is imported, it
describes the operators `nms` and `qnms` to torch's compiler, and torch knows no operators of these
names:

    RuntimeError: operator torchvision::nms does not exist

To declare the two names is enough. They have no implementation and need none: bayesfuse and timm
use torchvision's transforms only, and torchvision itself tells whoever calls `nms` all the same
that its operators are not there. Where its library loads, the names exist and none is declared.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from bayesfuse.errors import MissingExtraError

_ARGUMENTS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"  # as torchvision has it
_OPERATORS = ("nms", "qnms")

_declared: list[Any] = []  # the names last as long as the torch.library.Library that declared them


def import_torchvision() -> ModuleType:
    """Return torchvision, with the names of its operators declared where they are missing.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        try:
            import torchvision
        except RuntimeError:
            if not _declare_missing():
                raise
            import torchvision
    except ImportError as error:
        raise _missing("torchvision") from error
    module: ModuleType = torchvision
    return module


def import_timm() -> ModuleType:
    """Return timm, which imports torchvision.

    Raises:
        MissingExtraError: If one of the two is not installed.
    """
    import_torchvision()
    try:
        import timm
    except ImportError as error:
        raise _missing("timm") from error
    module: ModuleType = timm
    return module


def _declare_missing() -> bool:
    """Declare the operators that torch does not know; return whether there were any."""
    import torch

    missing = [name for name in _OPERATORS if not hasattr(torch.ops.torchvision, name)]
    if missing:
        new: Any = torch.library.Library  # not typed
        library = new("torchvision", "FRAGMENT")  # so that others may declare names, too
        for name in missing:
            library.define(name + _ARGUMENTS)
        _declared.append(library)
    return bool(missing)


def _missing(package: str) -> MissingExtraError:
    return MissingExtraError(
        f"An image model needs {package}, which is not installed. "
        "Try: pip install 'bayesfuse[image]'"
    )
