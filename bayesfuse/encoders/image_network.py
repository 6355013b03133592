"""Building timm's networks, and filling them with weights that must fit."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bayesfuse.encoders.image_model import classifier_names
from bayesfuse.encoders.torchvision_operators import import_timm
from bayesfuse.errors import ConfigError, FeatureError, did_you_mean

_OURS = (
    "cache_dir", "checkpoint_path", "device", "dtype", "features_only", "out_indices", "pretrained",
    "pretrained_cfg", "pretrained_cfg_overlay",
)  # fmt: skip
_NAMED = 3  # of keys that do not fit


def is_timm_name(model: str) -> bool:
    """Return whether timm has an architecture of this name, with or without a tag."""
    import_timm()
    from timm.models import is_model

    return "/" not in model and bool(is_model(model.partition(".")[0]))


def check_timm_name(model: str) -> None:
    """Make sure that timm knows a model.

    Raises:
        ConfigError: If it does not know the architecture, or the tag.
    """
    timm = import_timm()
    architecture, _, tag = model.partition(".")
    if not is_timm_name(model):
        raise ConfigError(
            f'Unknown image model "{model}": timm has no model of that name, and there is no such '
            f"folder.{did_you_mean(architecture, timm.list_models())} timm.list_models() lists all."
        )
    if tag:
        known = timm.list_models(f"{architecture}.*", pretrained=True)
        if model not in known:
            raise ConfigError(
                f'Unknown image model "{model}": timm has no weights of that tag for '
                f"{architecture}; expected {'one of ' + ', '.join(known) if known else 'no tag'}."
                f"{did_you_mean(model, known)}"
            )


def check_model_args(args: Mapping[str, Any]) -> None:
    """Make sure that arguments of a model are not those that are ours to give.

    Raises:
        ConfigError: If one is.
    """
    for key in _OURS:
        if key in args:
            raise ConfigError(
                f"model_args: {key} cannot be given; expected arguments of the network itself, "
                "such as num_classes=10. Weights are named by weights, their precision by "
                "precision."
            )
    if args.get("in_chans", 3) != 3:
        raise ConfigError(
            f"model_args: in_chans is {args['in_chans']}; expected 3, since pictures are read as "
            "red, green and blue."
        )


def build_network(
    architecture: str, args: Mapping[str, Any], config: Mapping[str, Any] | None = None
) -> nn.Module:
    """Return a network of timm with random weights.

    Args:
        architecture: timm's name, with or without a tag.
        args: Arguments of `timm.create_model`.
        config: What timm calls a pretrained_cfg, in place of its own for that name.

    Raises:
        ConfigError: If it cannot be built.
    """
    timm = import_timm()
    extra = {} if config is None else {"pretrained_cfg": _known(config)}
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as on names that timm calls otherwise now
            network = timm.create_model(architecture, pretrained=False, **args, **extra)
    except Exception as error:  # whatever the architecture makes of its arguments
        given = ", ".join(f"{key}={value}" for key, value in args.items()) or "none"
        raise ConfigError(
            f'timm cannot build the image model "{architecture}" (model_args: {given}): '
            f"{error or type(error).__name__}. Check model_args."
        ) from error
    if not isinstance(network, nn.Module) or not hasattr(network, "forward_head"):
        raise ConfigError(
            f'The image model "{architecture}" has no forward_head, so timm does not say what its '
            "embedding is. Take another model."
        )
    return network.eval()


def load_weights(
    network: nn.Module, architecture: str, weights: Mapping[str, Tensor], place: str
) -> None:
    """Fill a network with weights, of which those of the classifier do not count.

    Weights as timm keeps them fit, and those of the original authors where timm can convert them.

    Args:
        network: Of `build_network`, with its classifier.
        architecture: Its name.
        weights: Name to tensor.
        place: Where they come from, for the message.

    Raises:
        FeatureError: If they are another network's.
    """
    from timm.models import clean_state_dict

    state: Mapping[str, Tensor] = clean_state_dict(
        dict(weights)
    )  # of what training in parallel adds
    if _misfits(network, state):
        state = _converted(network, architecture, state)
    problems = _misfits(network, state)
    if problems:
        raise FeatureError(
            f"The weights in {place} are not those of {architecture}: {', '.join(problems)}. "
            "Check the model's name and model_args."
        )
    network.load_state_dict(_backbone(network, state), strict=False)


def _backbone(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what is not the classifier's."""
    head = tuple(f"{name}." for name in classifier_names(network))
    return {key: value for key, value in state.items() if not key.startswith(head)}


def _misfits(network: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Say in what weights do not fit a network."""
    own, given = _backbone(network, network.state_dict()), _backbone(network, state)
    # counters that old files lack, and that only a cumulative average in training would read
    missing = [key for key in own.keys() - given.keys() if not key.endswith("num_batches_tracked")]
    reshaped = [
        f"{key} {_shape(given[key])} in place of {_shape(own[key])}"
        for key in own.keys() & given.keys()
        if own[key].shape != given[key].shape
    ]
    problems: dict[str, Collection[str]] = {
        "missing": missing,
        "unexpected": given.keys() - own.keys(),
        "of another shape": reshaped,
    }
    return [f"{len(keys)} {what} ({_some(keys)})" for what, keys in problems.items() if keys]


def _converted(
    network: nn.Module, architecture: str, state: Mapping[str, Tensor]
) -> Mapping[str, Tensor]:
    """Return weights of the original authors as timm has them, if it knows how."""
    from timm.models import model_entrypoint

    module = sys.modules[model_entrypoint(architecture.partition(".")[0]).__module__]
    convert = getattr(module, "checkpoint_filter_fn", None)
    if convert is None:
        return state
    try:
        converted: Mapping[str, Tensor] = convert(dict(state), network)
    except Exception:  # of what is in no format that timm knows; what does not fit is told
        return state
    return converted


def _known(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what this version of timm knows of a pretrained_cfg."""
    from timm.models import PretrainedCfg

    return {key: config[key] for key in PretrainedCfg.__dataclass_fields__ if key in config}


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def _some(keys: Iterable[str]) -> str:
    keys = sorted(keys)
    return ", ".join(keys[:_NAMED]) + (", ..." if len(keys) > _NAMED else "")
