"""Training a model on items that are read and linked: each member of the mixture, one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from bayesfuse.config import ModelConfig
from bayesfuse.data.batches import Batches
from bayesfuse.data.stepwise import read_by_step
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.checkpoints import Checkpoints
from bayesfuse.estimator.devices import choose_device, choose_precision
from bayesfuse.estimator.digests import digest_of
from bayesfuse.estimator.finetuning import Finetuning
from bayesfuse.estimator.inputs import TrainingData
from bayesfuse.estimator.joint_finetuning import JointFinetuning
from bayesfuse.estimator.model import (
    BayesianModel,
    build_model,
    of_member,
    set_data_statistics,
    svi_settings,
)
from bayesfuse.estimator.pretraining import pretrained
from bayesfuse.estimator.relations import relations_that_count
from bayesfuse.estimator.validating import Validator
from bayesfuse.graph.linked_features import LinkedFeatures
from bayesfuse.inference.checkpointing import load_tensors, module_states
from bayesfuse.inference.class_weights import ClassWeights
from bayesfuse.inference.distributed import own_seed, processes
from bayesfuse.inference.history import Epoch, Step, SVIResult
from bayesfuse.inference.svi import SVI

AnyFinetuning = Finetuning | JointFinetuning


@dataclass(frozen=True, eq=False)
class Trained:
    """What training came to.

    Attributes:
        model: The model, with all members that were trained.
        results: How the training of each went.
        validator: Predicts the validation items by the whole mixture; None if there are none.
    """

    model: BayesianModel
    results: tuple[SVIResult, ...]
    validator: Validator | None


def train(
    data: TrainingData,
    config: ModelConfig,
    *,
    label_names: Sequence[str] = (),
    finetuning: AnyFinetuning | None = None,
    on_step: Callable[[Step], None] | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
    checkpoints: Checkpoints | None = None,
) -> Trained:
    """Train every member: the first with the seed of the fit, each other with one made of it.

    If the user interrupts, the member in training is kept as it is, and no further one is begun.

    Args:
        data: The training items and those to choose the epoch by.
        config: The settings.
        label_names: The labels, for weights that were given by label.
        finetuning: Networks to be trained too.
        on_step: Called after every step; `Step.member` tells whose it is.
        on_epoch: Called after every epoch.
        checkpoints: What is kept of the fit, and gone on from; None to keep nothing.

    Raises:
        RunFolderError: If a checkpoint cannot be gone on from.
        ConfigError: If a setting does not fit the data, or several members are to be fine-tuned.
        TrainingError: If the loss is not finite.
    """
    config.check_members()
    if data.val is None and config.learning_rate_decay == "plateau":
        raise ConfigError(
            "--learning-rate-decay plateau waits for a score on val, and there are no val items. "
            "Have a val split (or a validation_fraction above 0), or another decay."
        )
    if config.members > 1 and finetuning is not None:
        raise ConfigError(
            f"members is {config.members}, and --finetune trains one encoder for all of them. "
            "Leave one of the two out."
        )
    if checkpoints is not None:
        checkpoints.check(digest_of(data, label_names))
    models: list[BayesianModel] = []
    results: list[SVIResult] = []
    validator = None
    for number in range(config.members):
        own = of_member(config, number)
        tell = on_step if on_step is None or not number else _of(number, on_step)
        kept = None if checkpoints is None else _Kept(checkpoints, number)
        model, result, validator = _member(data, own, label_names, finetuning, tell, on_epoch, kept)
        models.append(model)
        results.append(result)
        if result.stopped == "interrupted":
            break
    if finetuning is not None:
        finetuning.finish()
    model = replace(models[0], others=tuple(models[1:]))
    if validator is not None and len(models) > 1:
        precision = choose_precision(config, choose_device(config.device))
        validator = replace(validator, predictive=model.predictive(config.seed, precision))
    return Trained(model, tuple(results), validator)


class _Kept:
    """The checkpoints of one member."""

    def __init__(self, checkpoints: Checkpoints, number: int) -> None:
        self.all, self.number = checkpoints, number
        self.result = checkpoints.result(number)
        self.state = None if self.result else checkpoints.state(number)

    @property
    def begun(self) -> bool:
        """Whether the training has begun, or ended, before."""
        return self.result is not None or self.state is not None

    def fit(
        self,
        svi: SVI,
        batches: Batches,
        validator: Validator | None,
        pretrained: bool,
        **hooks: Any,
    ) -> SVIResult:
        """Train from where it was left, and keep what comes of it."""
        if self.result is not None:
            modules, result = self.result
            load_tensors(module_states(svi), modules)
            return result
        keep = self.all.keeper(self.number, from_start=pretrained)
        result = svi.fit(batches, validator, **hooks, keep=keep, start=self.state)
        if result.stopped != "interrupted":
            self.all.finish(self.number, module_states(svi), result)
        return result


def _of(number: int, on_step: Callable[[Step], None]) -> Callable[[Step], None]:
    return lambda step: on_step(step._replace(member=number))


def _member(
    data: TrainingData,
    config: ModelConfig,
    label_names: Sequence[str],
    finetuning: AnyFinetuning | None,
    on_step: Callable[[Step], None] | None,
    on_epoch: Callable[[Epoch], None] | None,
    kept: _Kept | None,
) -> tuple[BayesianModel, SVIResult, Validator | None]:
    """Train one posterior and its classifier."""
    device = choose_device(config.device)
    relations = relations_that_count(data, config)
    features = data.train
    if isinstance(features, LinkedFeatures):
        seed, parts = own_seed(config.seed), processes().size
        features = features.thinned(config.neighbour_thinning, seed, parts)
    num_items, num_labels = data.train_labels.shape
    positives = torch.from_numpy(data.train_labels.sum(axis=0, dtype="float64"))
    weights = _weights(config, label_names, positives, num_items)
    start: dict[str, Tensor] = {}
    if kept is None or not kept.begun:
        frozen = finetuning is None
        start = pretrained(features, data, config, weights, relations, frozen=frozen)
    transformer = finetuning.transformer if isinstance(finetuning, JointFinetuning) else None
    model = build_model(
        features.widths,
        num_labels,
        num_items,
        config,
        relations,
        start,
        transformer,
        read_by_step(features),
    )
    set_data_statistics(model.network, data.train, positives, config.feature_norm, weights)
    batches = Batches(features, data.train_labels, device)
    if finetuning is not None:
        batches = finetuning.train_batches(features, data.train_labels, device)
    if isinstance(features, LinkedFeatures):
        batches.generators |= features.generators()
    how = svi_settings(config, device)
    front = None if finetuning is None else finetuning.front
    svi = SVI(model.network, model.lifted, model.guide, how, front, weights)
    validator = None
    if data.val is not None:
        val = Batches(data.val, data.val_labels, device)
        predictive = model.predictive(config.seed, choose_precision(config, device))
        validator = Validator(
            val,
            predictive,
            config.val_draws,
            finetuning,
            weights,
            how.loss,
            with_f1=how.monitor == "macro-f1",
        )
    hooks = {"on_step": on_step, "on_epoch": on_epoch}
    if kept is None:
        result = svi.fit(batches, validator, **hooks)  # type: ignore[arg-type]  # each its own kind
    else:
        result = kept.fit(svi, batches, validator, bool(start), **hooks)
    return model, result, validator


def _weights(
    config: ModelConfig, label_names: Sequence[str], positives: Tensor, num_items: int
) -> ClassWeights | None:
    """Return what labels weigh."""
    if isinstance(config.class_weights, str):
        beta = config.class_weight_beta
        return ClassWeights.of_counts(config.class_weights, positives, num_items, beta)
    return ClassWeights.of_labels(config.class_weights, label_names)


__all__ = ["Trained", "train"]
