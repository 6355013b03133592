r"""Distillation: a small deterministic student of a posterior of many draws.

.. math:: L = \lambda\, L_{\text{BCE}}(y, s) + (1 - \lambda) \Bigl[ \sum_v w_v\, \tau^2\,
    \mathrm{KL}(t_v \,\|\, s_v) + L_{\text{BCE}}(u_v, \hat u_v) \Bigr] + \gamma L_{\text{fused}}

over views v of an item: the item as it is, and with modality-specific distillation each of its
modalities alone. t are the teacher's probabilities, the means of its draws, u the epistemic shares
of their uncertainty, which the student's second head learns. The items are those of train, and
those without labels learn from the teacher alone. The epoch with the lowest NLL on val is kept.

Reference: Hinton et al. 2015 (arXiv:1503.02531); Jin et al. 2021, *Modality-specific distillation*,
eq. 1 and 5.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from bayesfuse.config import DEEP_RULES
from bayesfuse.config.distilling import DistillConfig
from bayesfuse.data.batches import Batch, Batches, num_batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError, TrainingError
from bayesfuse.estimator.classifier import FusionClassifier
from bayesfuse.estimator.devices import choose_device
from bayesfuse.estimator.inputs import match_modalities
from bayesfuse.estimator.student import build_student
from bayesfuse.estimator.teaching import Lesson, teach, teachable
from bayesfuse.inference.distilling.losses import (
    hint_loss,
    relation_loss,
    similarity_loss,
    soft_kl,
)
from bayesfuse.inference.distilling.meta import Parameters, meta_gradient
from bayesfuse.inference.distilling.view_weights import (
    ViewWeigher,
    correctness_weights,
    importance_weights,
    population_weights,
)
from bayesfuse.inference.seeding import seeded
from bayesfuse.models.student import Said, StudentNetwork

FUSED_METHODS = ("fitnet", "rkd", "sp")
"""Methods that read fused vectors."""

FALLBACK_FUSION = "gmu"
"""What joins a student's modalities whose teacher has no rule for vectors."""


@dataclass(frozen=True)
class Items:
    """Items to learn from, or to choose the epoch by.

    Attributes:
        features: Their features, linked if the teacher has a graph.
        labels: `items x labels`, 0 or 1.
        known: Boolean, `items`: whose labels are known.
    """

    features: FeatureTable
    labels: NDArray[np.float32]
    known: NDArray[np.bool_]


@dataclass
class Distillation:
    """Teaches one student; `run` does.

    Args:
        classifier: The teacher.
        train: What it learns from.
        val: What its epoch is chosen by; all labelled.
        config: The settings.

    Attributes:
        network: The student.
        history: NLL on val after each epoch, nats a label.

    Raises:
        ConfigError: If the teacher cannot be distilled, or a setting has no effect here.
    """

    classifier: FusionClassifier
    train: Items
    val: Items
    config: DistillConfig
    history: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        config = self.config
        names = teachable(self.classifier)
        if config.method != "msd" and config.view_weights != "population":
            raise ConfigError(
                f"--view-weights {config.view_weights}: --method {config.method} has one view of "
                "an item, the item as it is. Leave it out, or take --method msd."
            )
        if config.method == "msd" and len(names) < 2:
            raise ConfigError(
                f"--method msd: the run reads {names[0]} alone, which is no other view of an item. "
                "Take --method kd."
            )
        self.device = choose_device(config.device)
        widths = {n: self.classifier.model_.network.standardise.widths[n] for n in names}
        num_labels = len(self.classifier.label_names_)
        with seeded(config.seed):
            self.network = build_student(widths, num_labels, self.fusion, config).to(self.device)
            views = 1 + len(names) if config.method == "msd" else 1
            self.weigher = ViewWeigher(views, num_labels).to(self.device)
        self._mapped: nn.Module = nn.Identity()
        own = self.classifier.model_.network.standardise.state_dict()
        kept = self.network.network.standardise.state_dict()
        self.network.network.standardise.load_state_dict({name: own[name] for name in kept})

    @property
    def fusion(self) -> str:
        """The student's fusion rule: the teacher's, if that is one of vectors."""
        return student_fusion(self.classifier)

    def run(self, on_epoch: Callable[[int], None] | None = None) -> StudentNetwork:
        """Teach the student, and return it as it was at its best epoch.

        Args:
            on_epoch: Called with the number of each epoch that has ended, from 1.

        Raises:
            TrainingError: If the loss is not finite.
        """
        config = self.config
        lesson = self._taught()
        data = Batches(self._own(self.train.features), self.train.labels, self.device)
        learned = list(self.network.parameters())
        if config.method == "fitnet":
            with seeded(config.seed):
                mapped = nn.Linear(self.network.fused_features, lesson.fused.shape[1])
            self._mapped = mapped.to(self.device)
            learned += self._mapped.parameters()
        optimiser = torch.optim.Adam(learned, lr=config.learning_rate)
        weighing = torch.optim.Adam(self.weigher.parameters(), lr=config.learning_rate)
        generator = np.random.default_rng(config.seed)
        best, kept = np.inf, copy.deepcopy(self.network.state_dict())
        with seeded(config.seed, self.device):
            for epoch in range(1, config.epochs + 1):
                order = generator.permutation(len(data))
                for rows in np.array_split(order, num_batches(len(data), config.batch_size)):
                    batch, said = data.read(rows), _OfBatch.read(lesson, self.train, rows, self)
                    self.network.train()
                    if config.view_weights == "learned":
                        self._weigh(batch, said, weighing, generator)
                    optimiser.zero_grad(set_to_none=True)
                    loss = self._loss(batch, said, None)
                    loss.backward()  # type: ignore[no-untyped-call]  # torch's
                    optimiser.step()
                    if not bool(torch.isfinite(loss)):
                        raise TrainingError(
                            f"The student's loss was {loss.item()} in epoch {epoch}. Lower "
                            "--learning-rate."
                        )
                self.history.append(self._val_nll())
                if self.history[-1] < best:
                    best, kept = self.history[-1], copy.deepcopy(self.network.state_dict())
                if on_epoch is not None:
                    on_epoch(epoch)
        self.network.load_state_dict(kept)
        return self.network.eval()

    def _taught(self) -> Lesson:
        config = self.config
        return teach(
            self.classifier,
            self.train.features,
            draws=config.draws,
            seed=config.seed,
            single=config.method == "msd",
            without=config.view_weights == "importance",
            fused=config.method in FUSED_METHODS,
        )

    def _loss(self, batch: Batch, told: _OfBatch, parameters: Parameters | None) -> Tensor:
        """Return the student's loss, nats an item; of a student with other parameters if given."""
        config, labels = self.config, batch.labels
        assert labels is not None
        said = [self._said(batch, only, parameters) for only in [None, *range(len(told.views) - 1)]]
        found = batch.observed.new_zeros((), dtype=torch.float32)
        for number, (view, own) in enumerate(zip(said, told.mean, strict=True)):
            apart = soft_kl(own, view.logits, config.softness)
            share = F.binary_cross_entropy_with_logits(
                view.share_logits, told.share[number], reduction="none"
            ).sum(-1)
            there = told.views[number]
            found = found + (told.weights[number] * apart + there * share).sum()
        found = (1 - config.hard_weight) * found / len(labels)
        hard = F.binary_cross_entropy_with_logits(said[0].logits, labels, reduction="none")
        found = found + config.hard_weight * (told.known[:, None] * hard).sum() / len(labels)
        if config.method in FUSED_METHODS:
            fused = said[0].fused
            if config.method == "fitnet":
                apart = hint_loss(told.fused, self._mapped(fused))
            else:
                loss = relation_loss if config.method == "rkd" else similarity_loss
                apart = loss(told.fused, fused)
            found = found + config.feature_weight * apart
        return found

    def _said(self, batch: Batch, only: int | None, parameters: Parameters | None) -> Said:
        """Return what the student says of a batch, of one modality alone if so."""
        observed = batch.observed
        if only is not None:
            alone = torch.zeros_like(observed)
            alone[:, only] = observed[:, only]
            observed = alone
        said: Said
        if parameters is None:
            said = self.network(batch.inputs, observed)
        else:  # with its own running moments, which the step in thought leaves alone
            buffers = {name: value.clone() for name, value in self.network.named_buffers()}
            state = {**parameters, **buffers}
            said = functional_call(self.network, state, (batch.inputs, observed))
        return said

    def _weigh(
        self,
        batch: Batch,
        told: _OfBatch,
        optimiser: torch.optim.Optimizer,
        generator: np.random.Generator,
    ) -> None:
        """Take one step of the weigher, and weigh the views of the batch by it (algorithm 1)."""
        size = min(len(self.val.labels), self.config.batch_size)
        rows = np.sort(generator.choice(len(self.val.labels), size, replace=False))
        others = self._val_batches().read(rows)
        target = others.labels
        assert target is not None

        def student(parameters: Parameters) -> Tensor:
            told.weights = self.weigher(told.views, told.mean)
            return self._loss(batch, told, parameters)

        def meta(parameters: Parameters) -> Tensor:
            logits = self._said(others, None, parameters).logits
            return F.binary_cross_entropy_with_logits(logits, target) * target.shape[1]

        now = dict(self.network.named_parameters())
        slopes = meta_gradient(now, self.weigher, student, meta, self.config.learning_rate)
        for parameter, slope in zip(self.weigher.parameters(), slopes, strict=True):
            parameter.grad = slope
        optimiser.step()
        with torch.no_grad():
            told.weights = self.weigher(told.views, told.mean)

    def _val_batches(self) -> Batches:
        return Batches(self._own(self.val.features), self.val.labels, self.device)

    def _own(self, features: FeatureTable) -> FeatureTable:
        """Return the modalities that the student reads."""
        return match_modalities(features, self.network.network.standardise.widths)

    def _val_nll(self) -> float:
        """Return the student's NLL on val, nats a label."""
        self.network.eval()
        total, count = 0.0, 0
        with torch.no_grad():
            for batch in self._val_batches().in_order(4096):
                assert batch.labels is not None
                logits = self._said(batch, None, None).logits
                total += float(
                    F.binary_cross_entropy_with_logits(logits, batch.labels, reduction="sum")
                )
                count += batch.labels.numel()
        return total / count


@dataclass
class _OfBatch:
    """The part of a lesson that is about a batch, on the device; see `Lesson`."""

    views: Tensor
    mean: Tensor
    share: Tensor
    fused: Tensor
    known: Tensor
    weights: Tensor

    @classmethod
    def read(
        cls, lesson: Lesson, items: Items, rows: NDArray[np.int64], task: Distillation
    ) -> _OfBatch:
        def put(array: NDArray[np.generic]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(task.device)

        views, mean = put(lesson.views[:, rows]), put(lesson.mean[:, rows])
        known, how = put(items.known[rows]), task.config.view_weights
        if how == "importance":
            weights = importance_weights(views, mean[0], put(lesson.without[:, rows]))
        elif how == "correctness":
            weights = correctness_weights(views, mean, put(items.labels[rows]), known)
        else:  # those of `learned` are set before they are read
            weights = population_weights(views, task.config.modality_weight)
        fused = put(lesson.fused[rows] if len(lesson.fused) else lesson.fused)
        return cls(views, mean, put(lesson.share[:, rows]), fused, known, weights)


def student_fusion(classifier: FusionClassifier) -> str:
    """Return the fusion rule of a student: its teacher's, if that is one of vectors."""
    config = classifier.config_
    usable = config.model == "fusion" and config.fusion_rule not in DEEP_RULES
    return config.fusion_rule if usable else FALLBACK_FUSION
