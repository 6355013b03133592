"""Reading the weights of a network from a file, without running what a stranger put into it."""

from __future__ import annotations

import hashlib
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayesfuse.errors import FeatureError, MissingExtraError

if TYPE_CHECKING:
    from torch import Tensor

_TORCH_FILES = (".pt", ".pth", ".bin")
_WRAPPERS = ("state_dict", "model")  # what training scripts put around a state dict
_SAFE_TORCH = "2.6"  # before it, weights_only=True could be deceived (CVE-2025-32434)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read the weights of a network; nothing but tensors is ever unpickled.

    Args:
        path: A `.safetensors` file, or a `.pt`, `.pth` or `.bin` file of torch that holds a state
            dict, by itself or as the `state_dict` or `model` of a training checkpoint.

    Returns:
        Name to tensor, on the CPU.

    Raises:
        FeatureError: If the file is missing or broken, holds anything but tensors and plain values
            (a pickle that would run code, for one), or no state dict.
        MissingExtraError: If it is a file of torch, and torch is too old to read it safely.
    """
    kind = path.suffix.lower()
    if kind not in (".safetensors", *_TORCH_FILES):
        raise FeatureError(
            f"{path} is no file of weights; expected .safetensors (best), or .pt, .pth or .bin "
            "with a state dict."
        )
    if not path.is_file():
        raise FeatureError(f"There is no file {path}; check the path of the weights.")
    content = _read_safetensors(path) if kind == ".safetensors" else _read_torch(path)
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    return _checked(content, path)


def weights_hash(weights: Path | Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of weights, 64 hex digits; it is that of their names and values.

    The same weights have the same hash in whichever kind of file, and under whichever name, they
    lie.

    Args:
        weights: A state dict, or the file of one.

    Raises:
        FeatureError: If the file cannot be read; see `read_state_dict`.
    """
    import torch

    state = read_state_dict(weights) if isinstance(weights, Path) else weights
    digest = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        values = tensor.reshape(-1).view(torch.uint8)  # numpy has no bfloat16
        digest.update(values.numpy().data)
    return digest.hexdigest()


def _read_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise _broken(path, str(error)) from error


def _read_torch(path: Path) -> Any:
    import torch

    if torch.__version__ < _SAFE_TORCH:
        raise MissingExtraError(
            f"{path} needs torch {_SAFE_TORCH} or later to be read safely; this is "
            f"{torch.__version__} (CVE-2025-32434). Upgrade torch, or give a .safetensors file."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on old pickle protocols and storages
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        if found is None:
            raise _broken(path, "torch wrote no such file, and pickles are not loaded") from error
        raise FeatureError(
            f"{path} was not loaded: besides weights it holds {found[1]}, which could run code "
            "on this machine. Pickles are not loaded. Get the weights as .safetensors, or save "
            "the bare state dict: torch.save(model.state_dict(), FILE)."
        ) from error
    except Exception as error:  # torch raises nearly anything on broken bytes
        raise _broken(path, str(error).partition(". ")[0] or type(error).__name__) from error


def _checked(content: Any, path: Path) -> dict[str, Tensor]:
    """Return the content if it is a state dict."""
    import torch

    if not isinstance(content, Mapping) or not content:
        what = "nothing" if not content else type(content).__name__
        raise FeatureError(f"{path} holds {what}; expected a state dict, name to tensor.")
    odd = [key for key, value in content.items() if not _is_plain_tensor(value)]
    if odd or not all(isinstance(key, str) for key in content):
        names = ", ".join(f"{key} ({type(content[key]).__name__})" for key in odd[:3])
        raise FeatureError(
            f"{path} holds no state dict, name to tensor, by itself or as its "
            f"{' or '.join(_WRAPPERS)}{': there is ' + names if names else ''}. Save the bare "
            "state dict: torch.save(model.state_dict(), FILE)."
        )
    return {
        key: value.data if isinstance(value, torch.nn.Parameter) else value
        for key, value in content.items()
    }


def _is_plain_tensor(value: object) -> bool:
    import torch

    return (
        isinstance(value, torch.Tensor) and value.layout is torch.strided and not value.is_quantized
    )


def _broken(path: Path, reason: str) -> FeatureError:
    return FeatureError(
        f"The weights in {path} cannot be read: {reason}. The file is broken or truncated, or of "
        "another kind than its name says; get it again."
    )
