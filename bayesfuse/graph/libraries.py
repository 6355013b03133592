"""The graph libraries that are not needed until they are asked for: DGL and PyTorch Geometric."""

from __future__ import annotations

import os
import warnings
from typing import Any

from bayesfuse.errors import MissingExtraError


def import_dgl() -> Any:
    """Return the module `dgl`.

    Raises:
        MissingExtraError: If it is not installed, or does not work with this Python or PyTorch.
    """
    # Without this DGL writes a file into the user's home, and says so on stdout.
    os.environ.setdefault("DGLBACKEND", "pytorch")
    try:
        import dgl
    except (ImportError, OSError) as error:  # its own libraries may fit another PyTorch
        raise MissingExtraError(
            f"DGL cannot be imported ({error}). Try: pip install 'bayesfuse[dgl]' (it has wheels "
            "up to Python 3.11)"
        ) from error
    return dgl


def import_pyg() -> Any:
    """Return the module `torch_geometric`, with `torch_geometric.data`.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        with warnings.catch_warnings():
            # It uses torch.jit.script as it loads, which newer versions of PyTorch warn of.
            warnings.simplefilter("ignore", DeprecationWarning)
            import torch_geometric
            import torch_geometric.data
    except (ImportError, OSError) as error:
        raise MissingExtraError(
            f"PyTorch Geometric cannot be imported ({error}). Try: pip install 'bayesfuse[pyg]'"
        ) from error
    return torch_geometric
