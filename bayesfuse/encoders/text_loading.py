"""From a folder to a network and its tokenizer, or to an error that says what is the matter."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from bayesfuse.encoders.text_folder import TextFolder
from bayesfuse.encoders.transformers_library import import_transformers, quietly
from bayesfuse.encoders.weights import read_state_dict
from bayesfuse.errors import ConfigError, FeatureError

_NO_LIMIT = 100_000  # a tokenizer without a limit says 10 to the power of 30
_DEFAULT_LIMIT = 512


@dataclass(frozen=True)
class TokenizerParts:
    """A tokenizer as JSON, and what else there is to know of it.

    Attributes:
        json: All of it, as the tokenizers library writes it.
        pad: The token that pads.
        unknown: The token of what it does not know, if it has one.
        limit: Most tokens of a text.
    """

    json: str
    pad: int
    unknown: int | None
    limit: int


def load_backbone(folder: TextFolder, *, pooler: bool) -> nn.Module:
    """Return the network of a folder, in float32; nothing in it is random.

    Args:
        folder: The folder.
        pooler: Whether the network's own pooling layer is wanted.

    Raises:
        ConfigError: If it is no text encoder, or weights are missing or do not fit.
    """
    transformers = import_transformers()
    with quietly():
        try:
            config = transformers.AutoConfig.from_pretrained(
                folder.path, trust_remote_code=False, local_files_only=True
            )
        except (ValueError, OSError, KeyError) as error:
            raise ConfigError(f"{folder.path}: config.json is not usable: {error}") from error
        made, settings = _network_class(config, folder.path, pooler)
        file = folder.weight_files()[0]
        pickled = file.suffix != ".safetensors"
        given = {"state_dict": read_state_dict(file)} if pickled else {"use_safetensors": True}
        try:
            network, report = made.from_pretrained(
                None if pickled else folder.path,
                config=config,
                local_files_only=True,
                output_loading_info=True,
                **given,
                **settings,
            )
        except (SafetensorError, RuntimeError, ValueError, OSError) as error:
            raise ConfigError(
                f"{folder.path}: the weights do not fit config.json, or are damaged: {error}"
            ) from error
    missing = [key for key in report["missing_keys"] if pooler or "pooler" not in key]
    if missing:
        raise ConfigError(
            f"{folder.path}: {file.name} lacks {len(missing)} of the network's weights, such as "
            f"{', '.join(sorted(missing)[:3])}; they would be random. Is it another model's file?"
        )
    backbone: nn.Module = _encoder_of(network).float().eval()
    for weight in backbone.parameters():
        # A mapped file's tensors begin at any byte, where sums are taken in another order than at
        # a multiple of 64; and the file may change.
        weight.data = weight.data.clone()
    return backbone


def build_backbone(
    config: Mapping[str, Any], weights: Mapping[str, Tensor] | None, *, pooler: bool
) -> nn.Module:
    """Return a network from its configuration and weights, as `load_backbone` returned it.

    Without weights they are random, for somebody to load.

    Raises:
        FeatureError: If they do not fit together.
    """
    transformers = import_transformers()
    with quietly():
        try:
            settings = dict(config)
            made_config = transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)
            made, settings = _network_class(made_config, Path("the run folder"), pooler)
            with torch.random.fork_rng(devices=[]):  # the weights that it is made with are drawn
                network: nn.Module = _encoder_of(made(made_config, **settings))
            if weights is not None:
                network.load_state_dict(dict(weights), strict=True)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise FeatureError(
                f"The state of the text encoder: the network cannot be rebuilt: {error}"
            ) from error
    return network.float().eval()


def load_tokenizer(folder: TextFolder, backbone: nn.Module) -> TokenizerParts:
    """Return the fast tokenizer of a folder.

    Raises:
        ConfigError: If there is none, or it is slow, does not pad, or is another network's.
    """
    transformers = import_transformers()
    if not folder.has_tokenizer():  # the library would make up an empty one
        raise ConfigError(
            f"{folder.path}: there is no tokenizer; expected a tokenizer.json beside the network. "
            "Copy it from where the network came from."
        )
    with quietly():
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder.path, use_fast=True, trust_remote_code=False, local_files_only=True
            )
        except Exception as error:  # many kinds, such as a missing package that converts it
            raise ConfigError(f"{folder.path}: no tokenizer can be loaded: {error}") from error
    if not tokenizer.is_fast:
        raise ConfigError(
            f"{folder.path}: {type(tokenizer).__name__} is a slow tokenizer; expected a fast one, "
            "with a tokenizer.json. Take another model."
        )
    special = tokenizer.encode("")
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id in special:
        raise ConfigError(
            f"{folder.path}: the tokenizer has no token of its own to pad with. Take another "
            "model, or give its tokenizer_config.json a pad_token."
        )
    network: Any = backbone
    highest = max(tokenizer.get_vocab().values())
    known = network.get_input_embeddings().num_embeddings
    if highest >= known:
        raise ConfigError(
            f"{folder.path}: the tokenizer has {highest + 1:,} tokens, the network knows "
            f"{known:,}. Is the tokenizer another model's?"
        )
    positions = _positions(backbone)
    limits = [int(limit) for limit in (tokenizer.model_max_length, positions) if limit]
    limit = min(limits)
    return TokenizerParts(
        json=tokenizer.backend_tokenizer.to_str(),
        pad=int(tokenizer.pad_token_id),
        unknown=None if tokenizer.unk_token_id is None else int(tokenizer.unk_token_id),
        limit=limit if limit < _NO_LIMIT else _DEFAULT_LIMIT,
    )


def _network_class(config: Any, path: Path, pooler: bool) -> tuple[Any, dict[str, Any]]:
    """Return the class of the network that encodes, and how it is to be made."""
    from transformers.models.auto import modeling_auto as auto

    kind = config.model_type
    fills_gaps = kind in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES  # and so reads in both directions
    translates = kind in auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
    if translates and kind in auto.MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES:
        return auto.MODEL_FOR_TEXT_ENCODING_MAPPING[type(config)], {}
    if fills_gaps and not getattr(config, "is_decoder", False):
        made: Any = auto.MODEL_MAPPING[type(config)]
        made = made[0] if isinstance(made, tuple) else made
        optional = "add_pooling_layer" in inspect.signature(made).parameters
        return made, {"add_pooling_layer": pooler} if optional else {}
    raise ConfigError(
        f"{path}: a {kind} model is no text encoder: expected one that reads a text in both "
        "directions, as BERT, RoBERTa, DeBERTa, MPNet, ModernBERT or the encoder of T5 do."
    )


def _encoder_of(network: Any) -> Any:
    """Return the network, or its encoder where it has a decoder besides."""
    both = network.config.is_encoder_decoder and hasattr(network, "decoder")
    return network.get_encoder() if both else network


def _positions(backbone: nn.Module) -> int | None:
    """Return how many tokens the network has positions for, if it counts them."""
    network: Any = backbone
    count: int | None = getattr(network.config, "max_position_embeddings", None)
    for name, module in backbone.named_modules():
        # As in RoBERTa and MPNet, which count from one after the position of padding.
        numbered = name.endswith("position_embeddings") and isinstance(module, nn.Embedding)
        if count and numbered and module.padding_idx is not None:
            return count - int(module.padding_idx) - 1
    return count
