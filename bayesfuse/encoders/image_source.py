"""Where the network of an image encoder comes from, now and when it is rebuilt."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bayesfuse.config.parsing import parse_json
from bayesfuse.encoders.base import Json
from bayesfuse.encoders.hub import commit_of, fetch
from bayesfuse.encoders.image_network import (
    build_network,
    check_timm_name,
    is_timm_name,
    load_weights,
)
from bayesfuse.encoders.weights import read_state_dict, weights_hash
from bayesfuse.errors import ConfigError, FeatureError

_CONFIG = "config.json"  # in a folder that timm has saved
_WEIGHTS = ("model.safetensors", "*.safetensors", "pytorch_model.bin")
_HUB = "hf-hub:"


@dataclass(frozen=True)
class ImageSource:
    """A network of timm and its weights, as they were when the encoder was fitted.

    Attributes:
        architecture: timm's name of it, with its tag if it has one.
        args: Arguments of `timm.create_model`.
        config: timm's pretrained_cfg as a folder has it, or None for timm's own.
        weights: The weights' file, absolute; or their repository on the hub.
        revision: The commit of the hub, or None for a file.
        weights_sha256: Of the weights; see `weights_hash`.
    """

    architecture: str
    args: Mapping[str, Any]
    config: Mapping[str, Any] | None
    weights: str
    revision: str | None
    weights_sha256: str

    @classmethod
    def find(
        cls, model: str, weights: str | None, args: Mapping[str, Any], tell: Callable[[str], None]
    ) -> tuple[ImageSource, nn.Module]:
        """Find a model and its weights, downloading them if need be.

        Args:
            model: timm's name of it; a folder that timm has saved, or the name of such a one on
                the hub.
            weights: A file, in place of the model's own.
            args: Arguments of `timm.create_model`.
            tell: Called before a download.

        Returns:
            The source, and the network with its weights.

        Raises:
            ConfigError: If there is no such model, or no weights of it.
            FeatureError: If the weights cannot be read, or are another model's.
        """
        if is_timm_name(model):
            check_timm_name(model)
            architecture, config, own = model, None, None
        else:
            folder = _folder_of(model, weights, tell)
            architecture, config, args = _read_folder(folder, args)
            own = _place(folder, model) if weights is None else None
        network = build_network(architecture, args, config)
        file, place, revision = _weights_of(network, architecture, weights, own, tell)
        state = read_state_dict(file)
        load_weights(network, architecture, state, place)
        found = cls(architecture, args, config, place, revision, weights_hash(state))
        return found, network

    def again(self, tell: Callable[[str], None]) -> nn.Module:
        """Return the network, after making sure that its weights are what they were.

        Raises:
            ConfigError: If they are on the hub, which cannot be reached.
            FeatureError: If they are others now, or not there.
        """
        if self.revision is None:
            file = Path(self.weights)
            if not file.is_file():
                raise FeatureError(
                    "The weights that the image encoder was fitted with are no longer at "
                    f"{file}. Put them back there, or name the file where they lie now."
                )
        else:
            patterns = _WEIGHTS[:2]
            folder = fetch(
                self.weights, patterns, what="image model", tell=tell, revision=self.revision
            )
            file = _file_in(folder)
        state = read_state_dict(file)
        self._check(state, self.weights)
        network = build_network(self.architecture, self.args, self.config)
        load_weights(network, self.architecture, state, self.weights)
        return network

    def moved_to(self, weights: str) -> ImageSource:
        """Return it with its weights in another file.

        Raises:
            FeatureError: If that file cannot be read, or holds other weights.
        """
        file = Path(weights).expanduser().resolve()
        self._check(read_state_dict(file), str(file))
        return replace(self, weights=str(file), revision=None)

    def _check(self, state: Mapping[str, Tensor], place: str) -> None:
        now = weights_hash(state)
        if now != self.weights_sha256:
            raise FeatureError(
                f"The weights in {place} are others than the image encoder was fitted with "
                f"(SHA-256 {now[:12]}, expected {self.weights_sha256[:12]}). Put those back, name "
                "the file where they lie now, or fit again."
            )


@dataclass(frozen=True)
class KeptNetwork:
    """A network whose weights were trained on: they are kept with the encoder.

    Attributes:
        architecture: As of `ImageSource`.
        args: Likewise.
        config: Likewise.
        kept: The weights but those of the classifier, name to tensor.
    """

    architecture: str
    args: Mapping[str, Any]
    config: Mapping[str, Any] | None
    kept: Mapping[str, Tensor]

    def again(self, tell: Callable[[str], None]) -> nn.Module:
        """Return the network.

        Raises:
            FeatureError: If the weights are another network's.
        """
        network = build_network(self.architecture, self.args, self.config)
        load_weights(network, self.architecture, self.kept, "the encoder's state")
        return network


def state_of(
    source: ImageSource | KeptNetwork,
) -> tuple[dict[str, Json], dict[str, NDArray[np.generic]]]:
    """Return a source as JSON and arrays."""
    config: dict[str, Json] = {
        "architecture": source.architecture,
        "model_args": _json(source.args),
        "config": None if source.config is None else _json(source.config),
        "weights": None,
        "revision": None,
    }
    if isinstance(source, ImageSource):
        place = {key: getattr(source, key) for key in ("weights", "revision", "weights_sha256")}
        return {**config, **place}, {}
    config["weights_sha256"] = weights_hash(source.kept)
    return config, {name: tensor.numpy() for name, tensor in source.kept.items()}


def source_from_state(
    config: Mapping[str, Any], arrays: Mapping[str, NDArray[np.generic]]
) -> ImageSource | KeptNetwork:
    """Return the source that gave this state.

    Raises:
        KeyError, TypeError, AttributeError: If it is incomplete.
        FeatureError: If the arrays are not those of the state.
    """
    args = {k: tuple(v) if isinstance(v, list) else v for k, v in config["model_args"].items()}
    common = (str(config["architecture"]), args, config["config"])
    sha256 = config["weights_sha256"]
    if config["weights"] is not None:
        return ImageSource(*common, config["weights"], config["revision"], sha256)
    kept = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    if weights_hash(kept) != sha256:
        raise FeatureError(
            "The state of the timm encoder does not fit together: its arrays are not the weights "
            "that it names."
        )
    return KeptNetwork(*common, kept)


def _folder_of(model: str, weights: str | None, tell: Callable[[str], None]) -> Path:
    """Return the folder of a model that is no name of timm's, with weights if none are given."""
    path = Path(model).expanduser()
    if path.is_dir():
        return path.resolve()
    if "/" not in model:
        check_timm_name(model)
    patterns = (_CONFIG, *_WEIGHTS[:2]) if weights is None else (_CONFIG,)
    return fetch(model.removeprefix(_HUB), patterns, what="image model", tell=tell)


def _read_folder(
    folder: Path, args: Mapping[str, Any]
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return architecture, configuration and arguments of a folder that timm has saved."""
    file = folder / _CONFIG
    try:
        content = parse_json(file.read_text(encoding="utf-8"))
        architecture = str(content["architecture"])
        config = dict(content.get("pretrained_cfg", content))
        own = dict(content.get("model_args") or {})
        own |= {key: content[key] for key in ("num_classes", "global_pool") if key in content}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{folder} is no folder of an image model as timm saves it: its {_CONFIG} is missing "
            f"or says no architecture ({error!r}). Give the model by timm's name, and its weights "
            "as a file."
        ) from error
    check_timm_name(architecture.partition(".")[0])
    return architecture.partition(".")[0], config, {**own, **args}


def _place(folder: Path, model: str) -> tuple[Path, str, str | None]:
    """Return the file of weights in a folder, where it comes from, and the commit."""
    file = _file_in(folder)
    commit = commit_of(folder)
    return file, model.removeprefix(_HUB) if commit else str(file), commit


def _weights_of(
    network: Any,
    architecture: str,
    weights: str | None,
    own: tuple[Path, str, str | None] | None,
    tell: Callable[[str], None],
) -> tuple[Path, str, str | None]:
    """Return the file of weights, where it comes from, and the commit."""
    if weights is not None:
        file = Path(weights).expanduser().resolve()
        return file, str(file), None
    if own is not None:
        return own
    repository = network.pretrained_cfg.get("hf_hub_id")
    if not repository:
        raise ConfigError(
            f'timm has no weights on the hub for "{architecture}". Give a file of weights '
            "(.safetensors or .pth), or take another model: timm.list_models(pretrained=True) "
            "lists those that have some."
        )
    return _place(fetch(repository, _WEIGHTS[:2], what="image model", tell=tell), repository)


def _file_in(folder: Path) -> Path:
    for pattern in _WEIGHTS:
        found = sorted(folder.glob(pattern))
        if found:
            return found[0]
    raise ConfigError(
        f"{folder} has no weights of an image model; expected {' or '.join(_WEIGHTS)}."
    )


def _json(values: Mapping[str, Any]) -> dict[str, Json]:
    """Return values as JSON brings them back."""
    found: dict[str, Json] = json.loads(json.dumps(dict(values)))
    return found
