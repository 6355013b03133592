"""Fine-tuning a transformer that joins its text with others: MM-GATBT and MMBT end to end."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesfuse.config import FitConfig
from bayesfuse.data.batches import Batches
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.encoders.base import Encoder
from bayesfuse.encoders.catalogues import Running, apply_encoders
from bayesfuse.encoders.choosing import choose_encoders
from bayesfuse.encoders.text_model import TextModel
from bayesfuse.encoders.tokens import TokensEncoder
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.backbones import Backbones
from bayesfuse.estimator.devices import choose_device
from bayesfuse.estimator.encoding import encoder_settings, named_encoders
from bayesfuse.estimator.finetuning import Finetuning
from bayesfuse.inference.front import Front
from bayesfuse.models.fusion.text_bitransformer import TextTransformer

TEXT = "text"

Value = TypeVar("Value")


def is_joint(config: FitConfig) -> bool:
    """Return whether the text is read by the transformer that joins it with the graph.

    Raises:
        ConfigError: If something else is to be fine-tuned with it.
    """
    if config.joint_model is None or config.finetune is None:
        return False
    if config.model == "fusion" and TEXT not in config.finetune:
        return False  # the light form of MMBT, on vectors that are trained
    others = [name for name in config.finetune if name != TEXT]
    if others and config.model == "mm-gatbt":
        raise ConfigError(
            f"--finetune {','.join(others)}: --model mm-gatbt fine-tunes the text alone, as "
            "--finetune text=4. What items hear of each other has features from before training."
        )
    return True


def without_text(by_modality: Mapping[str, Value]) -> dict[str, Value]:
    """Return a mapping by modality without the text."""
    return {name: value for name, value in by_modality.items() if name != TEXT}


class JointFinetuning:
    """The text of a catalogue as tokens, and the transformer that reads them.

    The transformer is part of the network, and so is what training makes of it: features are
    tokens, which stay as they are. Networks of other modalities, such as that of the pictures, may
    be trained before it. See `Finetuning` for what the methods are for.

    Args:
        catalog: The catalogue, whose other modalities are encoded.
        config: The settings.
        running: How encoders run.
        encoders: Modality to its fitted encoder, of the other modalities.

    Attributes:
        catalog: The catalogue with tokens for features of the text.
        encoder: From texts to tokens.
        transformer: The transformer, with the encoder's weights.
        front: What of it is trained, at which learning rates.

    Raises:
        ConfigError: If the text is not encoded by a network of BERT's kind.
    """

    def __init__(
        self,
        catalog: Catalog,
        config: FitConfig,
        running: Running,
        encoders: Mapping[str, Encoder] | None = None,
    ) -> None:
        assert config.finetune is not None
        self.encoder = _encoder(catalog, config)
        self.encoder.resources = running.resources
        self.encoder.fit(catalog.raw[TEXT])
        # made anew in no time, so that nothing of it is kept beside the catalogue
        running = dataclasses.replace(running, folder=None)
        self.catalog = apply_encoders(catalog, {TEXT: self.encoder}, running=running)
        pad, special = self.encoder.pad, self.encoder.special
        network = self.encoder.network()
        if len(special) != 2:
            raise ConfigError(
                f"--finetune text: the tokenizer of {self.encoder.model} puts {len(special)} "
                "tokens around a text; expected [CLS] and [SEP], as BERT's does."
            )
        self.transformer = TextTransformer(TEXT, network, pad, special[0], special[1])
        model = TextModel(network, pad=pad, pooling="pooler", normalise=False)
        self.others: Finetuning | None = None
        rest = without_text(config.finetune)
        if rest:
            own = config.model_copy(update={"finetune": rest})
            device = choose_device(config.device)
            self.others = Finetuning(self.catalog, encoders or {}, own, device)
        self.front: Front = _InPlace(
            Backbones(
                {TEXT: model},
                {TEXT: config.finetune[TEXT]},
                learning_rate=config.backbone_learning_rate,
                layer_decay=config.layer_decay,
                gradient_checkpointing=config.gradient_checkpointing,
            ),
            None if self.others is None else self.others.front,
        )

    def train_batches(
        self, features: FeatureTable, labels: NDArray[np.float32], device: torch.device
    ) -> Batches:
        """Return the training items' batches, whose text is tokens."""
        if self.others is not None:
            return self.others.train_batches(features, labels, device)
        return Batches(features, labels, device)

    def val_features(self, features: FeatureTable) -> FeatureTable:
        """Return the features, of which tokens are as they are."""
        return features if self.others is None else self.others.val_features(features)

    def finish(self) -> None:
        """Keep what other networks have become; the network holds what was trained of its own."""
        if self.others is not None:
            self.others.finish()


class _InPlace(Front):
    """Says what is trained of a part of the network behind it, and leaves its inputs as they are.

    Networks of other modalities may stand beside it.
    """

    def __init__(self, backbones: Backbones, others: Backbones | None = None) -> None:
        super().__init__()
        # in a list, so that the network alone holds these weights
        self._backbones = [backbones]
        self.others = others

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = inputs if self.others is None else self.others(inputs)
        return found

    def parameter_groups(self) -> list[dict[str, Any]]:
        beside = [] if self.others is None else self.others.parameter_groups()
        return self._backbones[0].parameter_groups() + beside

    def train(self, mode: bool = True) -> _InPlace:
        self._backbones[0].train(mode)
        if self.others is not None:
            self.others.train(mode)
        self.training = mode
        return self


def _encoder(catalog: Catalog, config: FitConfig) -> TokensEncoder:
    """Return what makes tokens of the text, for the model that settings or catalogue name."""
    named = {name: model for name, model in named_encoders(config).items() if name == TEXT}
    given = {TEXT: encoder_settings(config, catalog).get(TEXT, {})}
    alone = dataclasses.replace(
        catalog, raw={name: column for name, column in catalog.raw.items() if name == TEXT}
    )
    specs = {}
    if TEXT in catalog.raw:
        specs = choose_encoders(alone, named, given if given[TEXT] else {})
    if TEXT not in specs:
        raise ConfigError(
            "--finetune text: only what is encoded in this fit can be fine-tuned, and the text "
            "has no raw cells, or features already; name its encoder: --text-encoder."
        )
    spec = specs[TEXT]
    if spec.name != "transformers":
        raise ConfigError(
            f"--finetune text: its encoder {spec.name} has no network to train. Name a model of "
            "transformers."
        )
    known = {"model", "max_length", "languages"}
    idle = [name for name in spec.settings if name not in {*known, "long_texts", "precision"}]
    if idle or spec.settings.get("long_texts", "cut") != "cut":
        raise ConfigError(
            f"{', '.join(idle or ['long_texts'])}: the transformer of {config.joint_model} reads "
            "the text itself, cut after --max-length tokens, and pools the state of [CLS]; leave "
            "that setting out."
        )
    settings: dict[str, Any] = {n: v for n, v in spec.settings.items() if n in known}
    return TokensEncoder(**settings)
