"""Nested dicts and lists of tensors and numbers in one file: safetensors, never a pickle.

Tensors have numbers for names; the metadata are one JSON text that holds all else, with
`{"tensor": 3}` where a tensor was, and a digest of every byte. A file is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from bayesfuse.config.parsing import parse_json
from bayesfuse.data.whole_files import whole_file
from bayesfuse.errors import RunFolderError

FORMAT = "bayesfuse-checkpoint-1"
"""What the metadata call this kind of file."""


def write_checkpoint(path: Path, value: Mapping[str, Any]) -> None:
    """Write a checkpoint in place of an earlier one.

    Args:
        path: The file.
        value: Dicts (of texts or whole numbers), lists and tuples of tensors, numbers, texts,
            booleans and None. Lists come back for tuples.

    Raises:
        OSError, SafetensorError: If it cannot be written; an earlier one is still there.
        TypeError: If there is anything else in it.
    """
    tensors: list[Tensor] = []
    packed = json.dumps(_packed(value, tensors))
    named = {str(number): tensor for number, tensor in enumerate(tensors)}
    about = {"version": version("bayesfuse"), "digest": _digest(named, packed), "value": packed}
    with whole_file(path) as unfinished:
        save_file(named, unfinished, {FORMAT: json.dumps(about)})


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return what `write_checkpoint` was given, tensors on the CPU.

    Raises:
        RunFolderError: If the file is no checkpoint, torn or garbled, or of another version.
    """
    advice = "Remove it and fit again."
    try:
        with safe_open(path, framework="pt") as opened:
            metadata = dict(opened.metadata() or {})
            if FORMAT not in metadata:
                raise RunFolderError(
                    f'{path} has the format "{", ".join(metadata) or "none"}"; expected '
                    f'"{FORMAT}". Go on with the version of bayesfuse that wrote it.'
                )
            about = parse_json(metadata[FORMAT])
            if about["version"] != version("bayesfuse"):
                raise RunFolderError(
                    f"{path} was written by bayesfuse {about['version']}; this is "
                    f"{version('bayesfuse')}, which may go on to other numbers. Go on with the "
                    "version that wrote it, or fit again."
                )
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # no mapping
        if _digest(tensors, about["value"]) != about["digest"]:
            raise RunFolderError(f"{path} is not what was written: it is damaged. {advice}")
        value: dict[str, Any] = _unpacked(parse_json(about["value"]), tensors)
    except RunFolderError:
        raise
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise RunFolderError(
            f"{path} cannot be read ({error}): it is torn or no checkpoint. {advice}"
        ) from None
    return value


def _packed(value: Any, tensors: list[Tensor]) -> Any:
    """Return what JSON can hold, and put the tensors aside."""
    if isinstance(value, Tensor):
        # a copy: tensors that share memory would be refused
        tensors.append(value.detach().cpu().clone(memory_format=torch.contiguous_format))
        return {"tensor": len(tensors) - 1}
    if isinstance(value, Mapping):
        # JSON makes texts of numbers
        return {"items": [[key, _packed(inner, tensors)] for key, inner in value.items()]}
    if isinstance(value, list | tuple):
        return [_packed(inner, tensors) for inner in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")


def _unpacked(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpacked(inner, tensors) for inner in value]
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[str(value["tensor"])]
    return {key: _unpacked(inner, tensors) for key, inner in value["items"]}


def _digest(tensors: Mapping[str, Tensor], packed: str) -> str:
    found = hashlib.blake2b(packed.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
