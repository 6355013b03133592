"""Scores on the validation items in training: of the posterior predictive, and of nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.estimator.finetuning import Finetuning
from bayesfuse.estimator.joint_finetuning import JointFinetuning
from bayesfuse.estimator.shares import by_share
from bayesfuse.evaluation import metrics
from bayesfuse.inference.class_weights import ClassWeights
from bayesfuse.inference.history import Validation
from bayesfuse.inference.losses import Loss
from bayesfuse.inference.predictive import PosteriorPredictive


@dataclass(frozen=True, eq=False)
class Validator:
    """Predicts the validation items by the model as it stands, and scores that.

    Attributes:
        items: The labelled validation items.
        predictive: The posterior predictive of the model in training.
        draws: Posterior draws of a score.
        finetuning: What makes the features of fine-tuned modalities anew; None if there are none.
        weights: What labels count for in training, and so in the choice of an epoch.
        loss: What training goes by, and so the choice of an epoch.
        with_f1: Whether macro F1, of tags at 0.5, is wanted too.
    """

    items: Batches
    predictive: PosteriorPredictive
    draws: int
    finetuning: Finetuning | JointFinetuning | None = None
    weights: ClassWeights | None = None
    loss: Loss = field(default_factory=Loss)
    with_f1: bool = False

    def probability(self, draws: int) -> NDArray[np.float32]:
        """Return the predictive probability of the items, `items x labels`."""
        return by_share(lambda some: self.predictive.mean(self._batches(some), draws), self._now())

    def draws_of_probability(self, draws: int) -> NDArray[np.float32]:
        """Return the draws whose mean `probability` is, `draws x items x labels`."""

        def drawn(some: FeatureTable) -> NDArray[np.float32]:
            return np.concatenate(list(self.predictive.chunks(self._batches(some), draws)), axis=1)

        return by_share(drawn, self._now(), axis=1)

    def _now(self) -> FeatureTable:
        """Return the items as the networks that are trained too make them now."""
        if self.finetuning is None:
            return self.items.features
        return self.finetuning.val_features(self.items.features)

    def _batches(self, features: FeatureTable) -> Batches:
        return Batches(features, None, self.items.device)

    def __call__(self) -> Validation:
        """Return the NLL (or other loss), weighted as in training, macro AP, and macro F1."""
        labels = self.items.labels
        assert labels is not None
        probability = self.probability(self.draws)
        macro = metrics.average_precision(probability, labels).macro
        f1 = metrics.f1(probability, labels).macro if self.with_f1 else math.nan
        weights = None
        if self.weights is not None:
            weights = self.weights.of(torch.from_numpy(labels)).cpu().numpy()
        if self.loss.is_likelihood:
            return Validation(metrics.nll(probability, labels, weights), macro, f1)
        logits = torch.logit(torch.from_numpy(probability).double(), eps=1e-12)
        terms = self.loss(logits, torch.from_numpy(labels).double()).numpy()
        return Validation(float((terms if weights is None else terms * weights).mean()), macro, f1)
