"""Where the network and the tokenizer of a text encoder come from, now and when it is rebuilt."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bayesfuse.encoders.base import Json
from bayesfuse.encoders.hub import commit_of, fetch
from bayesfuse.encoders.text_folder import PATTERNS, TextFolder, read_text_folder
from bayesfuse.encoders.text_loading import (
    TokenizerParts,
    build_backbone,
    load_backbone,
    load_tokenizer,
)
from bayesfuse.errors import FeatureError


@dataclass(frozen=True)
class ModelSource:
    """A model of the hub or in a local folder, as it was when the encoder was fitted.

    Attributes:
        model: Its name on the hub, or the absolute path of its folder.
        revision: The commit of the hub, or None for a folder.
        weights_sha256: Of the files of weights.
        files_sha256: Of the configuration and the tokenizer.
    """

    model: str
    revision: str | None
    weights_sha256: str
    files_sha256: str

    @classmethod
    def find(
        cls, model: str, tell: Callable[[str], None], revision: str | None = None
    ) -> tuple[ModelSource, TextFolder]:
        """Find a model, downloading it if need be.

        Raises:
            ConfigError: If there is none, or it is none that we can use.
        """
        path = _locate(model, revision, tell)
        folder = read_text_folder(path)
        commit = commit_of(path)
        name = model if commit else str(path)
        return cls(name, commit, folder.weights_hash(), folder.files_hash()), folder

    def moved_to(self, other: ModelSource) -> ModelSource:
        """Return the other one, after making sure that it is the same model.

        Raises:
            FeatureError: If it is not.
        """
        for what, now, then in (
            ("weights", other.weights_sha256, self.weights_sha256),
            ("configuration or tokenizer", other.files_sha256, self.files_sha256),
        ):
            if now != then:
                raise FeatureError(
                    f"The text model at {other.model} has another {what} than the encoder was "
                    f"fitted with (SHA-256 {now[:12]}, expected {then[:12]}). Put that model "
                    "back, name the folder where it lies now, or fit again."
                )
        return other

    def again(self, tell: Callable[[str], None]) -> TextFolder:
        """Return the folder, after making sure that it holds what it held.

        Raises:
            ConfigError: If the model is not to be had.
            FeatureError: If it is another one now.
        """
        if self.revision is None and not Path(self.model).is_dir():
            raise FeatureError(
                f"The text model that the encoder was fitted with is no longer at {self.model}. "
                "Put its folder back there, or name the folder where it lies now."
            )
        now, folder = ModelSource.find(self.model, tell, self.revision)
        self.moved_to(now)
        return folder


@dataclass(frozen=True)
class KeptModel:
    """A model whose weights were trained on: all of it is kept with the encoder.

    Attributes:
        config: The network's configuration, of the transformers library.
        tokenizer: The tokenizer.
        weights: The weights of the `TextModel`, by name.
    """

    config: Mapping[str, Any]
    tokenizer: TokenizerParts
    weights: Mapping[str, Tensor]

    def backbone(self, *, pooler: bool) -> nn.Module:
        """Return the network.

        Raises:
            FeatureError: If its parts do not fit together.
        """
        mark = "backbone."
        weights = {name.removeprefix(mark): weight for name, weight in self.weights.items()}
        return build_backbone(self.config, weights, pooler=pooler)

    def state(self) -> tuple[dict[str, Json], dict[str, NDArray[np.generic]]]:
        """Return it as JSON and arrays."""
        arrays = {name: _as_array(weight) for name, weight in self.weights.items()}
        tokenizer: dict[str, Json] = {**vars(self.tokenizer)}
        return {"network": dict(self.config), "tokenizer": tokenizer}, arrays

    @classmethod
    def from_state(
        cls, config: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]
    ) -> KeptModel:
        """Return what gave this state.

        Raises:
            KeyError, TypeError: If it is incomplete.
        """
        weights = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
        return cls(dict(config["network"]), TokenizerParts(**config["tokenizer"]), weights)


def network_config(backbone: nn.Module) -> dict[str, Any]:
    """Return the configuration of a network of transformers as JSON."""
    network: Any = backbone
    config: dict[str, Any] = json.loads(network.config.to_json_string(use_diff=False))
    config.pop("_name_or_path", None)  # where it lay
    return config


def load_model(folder: TextFolder, *, pooler: bool) -> tuple[nn.Module, TokenizerParts]:
    """Return the network and the tokenizer of a folder.

    Raises:
        ConfigError: If they are missing, damaged or no text encoder's.
    """
    backbone = load_backbone(folder, pooler=pooler)
    return backbone, load_tokenizer(folder, backbone)


def _locate(model: str, revision: str | None, tell: Callable[[str], None]) -> Path:
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder.resolve()
    return fetch(model, PATTERNS, what="text model", tell=tell, revision=revision)


def _as_array(weight: Tensor) -> NDArray[np.generic]:
    """Return a tensor as an array; float32 in place of bfloat16, which numpy does not know."""
    plain = weight.detach().cpu()
    array: NDArray[np.generic] = (plain.float() if plain.dtype is torch.bfloat16 else plain).numpy()
    return array
