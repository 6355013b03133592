"""Fine-tuning end to end: encoders' networks are trained with the classifier, from raw inputs."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bayesfuse.config import FitConfig
from bayesfuse.data.batches import Batch, Batches
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.data.raw import RawColumn
from bayesfuse.data.stepwise import by_step, read_by_step
from bayesfuse.encoders.base import Encoder, Setting
from bayesfuse.encoders.pictures import open_picture
from bayesfuse.errors import ConfigError, unknown_option
from bayesfuse.estimator.backbones import Backbones

TEXT_LENGTH = 128
"""Tokens of a text in fine-tuning, unless said otherwise: memory goes with its square."""


def finetuning_settings(
    settings: Mapping[str, Mapping[str, Setting]], config: FitConfig
) -> dict[str, Mapping[str, Setting]]:
    """Return settings of encoders for fine-tuning: texts are cut where training will cut them."""
    found = dict(settings)
    if config.finetune is not None and "text" in config.finetune:
        short: dict[str, Setting] = {"max_length": TEXT_LENGTH, "long_texts": "cut"}
        found["text"] = {**short, **found.get("text", {})}
    return found


class Finetuning:
    """The raw inputs of a catalogue and the networks that read them.

    Validation reads the same raw inputs, unchanged, by the networks as they are; `finish` makes the
    encoders keep what the networks have become.

    Args:
        catalog: The encoded catalogue.
        encoders: Modality to its fitted encoder.
        config: The settings; `finetune` names the modalities.
        device: Where training runs.

    Attributes:
        front: What turns raw inputs into features.

    Raises:
        ConfigError: If a modality is not encoded by a network, or has no such part.
    """

    def __init__(
        self,
        catalog: Catalog,
        encoders: Mapping[str, Encoder],
        config: FitConfig,
        device: torch.device,
    ) -> None:
        assert config.finetune is not None
        self.catalog = catalog
        self.encoders: dict[str, Any] = {}
        for modality in config.finetune:
            if modality not in encoders:
                raise ConfigError(
                    f"--finetune: {unknown_option('encoded modality', modality, encoders)} Only "
                    "what is encoded in this fit can be fine-tuned; name its encoder."
                )
            if encoders[modality].steps is not None and encoders[modality].kind == "text":
                raise ConfigError(
                    f"--finetune {modality}: its steps are kept (--keep-sequence) as features that "
                    "stay what they are. Leave one of the two out; with --fusion mmbt the network "
                    "that reads the words is trained."
                )
            if not hasattr(encoders[modality], "network"):
                raise ConfigError(
                    f"--finetune {modality}: its encoder {encoders[modality].name} has no network "
                    "to train. Name a transformers or timm model."
                )
            self.encoders[modality] = encoders[modality]
        self.front = Backbones(
            {modality: encoder.network() for modality, encoder in self.encoders.items()},
            config.finetune,
            learning_rate=config.backbone_learning_rate,
            layer_decay=config.layer_decay,
            gradient_checkpointing=config.gradient_checkpointing,
        ).to(device)
        self._augment = dict(config.augment or {})
        self._seed, self._device = config.seed, device
        self._batch_size = config.encode_batch_size
        self._val_readers: dict[str, _Reader] = {}

    def train_batches(
        self, features: FeatureTable, labels: NDArray[np.float32], device: torch.device
    ) -> Batches:
        """Return the training items' batches, with raw inputs for what is fine-tuned.

        Args:
            features: Features of the labelled training items.
            labels: Their labels, `items x labels`.
            device: Where the tensors go.
        """
        readers = self._readers(self.catalog.labelled_rows("train"), training=True)
        return _RawBatches(features, labels, device, readers)

    def val_features(self, features: FeatureTable) -> FeatureTable:
        """Return features of the labelled val items, those of fine-tuned modalities made anew.

        Args:
            features: The features of these items.
        """
        if not self._val_readers:
            self._val_readers = self._readers(self.catalog.labelled_rows("val"), training=False)
        batches = _RawBatches(features, None, self._device, self._val_readers)
        made: dict[str, list[NDArray[np.float32]]] = {name: [] for name in self.encoders}
        self.front.eval()
        with torch.inference_mode():
            for batch in batches.in_order(self._batch_size):
                for name, values in self.front(batch.inputs).items():
                    if name in made:
                        made[name].append(values.float().cpu().numpy())
        found = features.select(name for name in features.names if name not in made)
        for name, parts in made.items():
            observed = features.observed[:, features.names.index(name)]
            found = found.with_modality(name, np.concatenate(parts), observed)
        return by_step(found.select(features.names), read_by_step(features))

    def _readers(self, rows: NDArray[np.int64], *, training: bool) -> dict[str, _Reader]:
        readers: dict[str, _Reader] = {}
        for modality, encoder in self.encoders.items():
            cells = self.catalog.raw[modality].take(rows)
            if encoder.kind == "text":
                readers[modality] = _Tokens(encoder, cells)
            else:
                augment = self._augment if training else None
                readers[modality] = _Pixels(encoder, cells, augment, self._seed)
        return readers

    def finish(self) -> None:
        """Make the encoders' states those of the trained networks."""
        self.front.eval()
        for modality, encoder in self.encoders.items():
            encoder.replace_weights(self.front.networks[modality].state_dict())


class _RawBatches(Batches):
    """Batches whose inputs are raw for some modalities."""

    def __init__(
        self,
        features: FeatureTable,
        labels: NDArray[np.float32] | None,
        device: torch.device,
        readers: Mapping[str, _Reader],
    ) -> None:
        super().__init__(features, labels, device)
        self._readers = readers
        for name, reader in readers.items():
            if isinstance(reader, _Pixels):
                self.generators[f"pictures of {name}"] = reader.seeds

    def read(self, rows: NDArray[np.int64] | slice) -> Batch:
        """Return the batch of these rows on the device."""
        batch = super().read(rows)
        index = np.arange(len(self))[rows]
        observed = dict(zip(self.features.names, batch.observed.T, strict=True))
        raw = {
            name: reader.read(index, observed[name].cpu().numpy()).to(self.device)
            for name, reader in self._readers.items()
        }
        return batch._replace(inputs={**batch.inputs, **raw})


class _Reader(Protocol):
    """Reads the raw inputs of some items."""

    def read(self, rows: NDArray[np.int64], observed: NDArray[np.bool_]) -> Tensor:
        """Return the inputs of these rows, anything where unobserved."""


class _Tokens:
    """The tokens of texts, made once."""

    def __init__(self, encoder: Any, cells: RawColumn) -> None:
        tokens, _ = encoder.tokens(cells, encoder.settings_.max_length)
        self._padding = encoder.pad
        self._tokens = np.asarray(tokens, dtype=np.int32)

    def read(self, rows: NDArray[np.int64], observed: NDArray[np.bool_]) -> Tensor:
        tokens = self._tokens[rows]
        length = int((tokens != self._padding).sum(axis=1).max(initial=1))
        return torch.from_numpy(tokens[:, :length].astype(np.int64))


class _Pixels:
    """Pictures, decoded each time they are read, and then changed at random if `augment` says."""

    def __init__(
        self, encoder: Any, cells: RawColumn, augment: Mapping[str, Any] | None, seed: int
    ) -> None:
        from bayesfuse.encoders.augmentation import training_transform

        self._cells = cells
        self._plain = getattr(encoder, "inner", encoder).preprocessing_
        self._changed = None if augment is None else training_transform(self._plain, augment)
        self.seeds = np.random.default_rng(seed)
        self._threads = ThreadPoolExecutor(max_workers=4)

    def read(self, rows: NDArray[np.int64], observed: NDArray[np.bool_]) -> Tensor:
        seeds = self.seeds.integers(2**63, size=len(rows)).tolist()
        seen = zip(rows.tolist(), observed.tolist(), strict=True)
        cells = [self._cells[row] if there else None for row, there in seen]
        return torch.from_numpy(np.stack(list(self._threads.map(self._one, cells, seeds))))

    def _one(self, cell: Any, seed: int) -> NDArray[np.uint8]:
        if cell is None:
            return np.zeros(self._plain.input_size, dtype=np.uint8)
        with open_picture(cell) as (image, _):
            pixels: NDArray[np.uint8] = (
                self._plain(image) if self._changed is None else self._changed(image, seed)
            )
        return pixels
