"""What training is told, and what it tells: settings, progress, history, result."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from bayesfuse.inference.annealing import AnnealingSchedule
from bayesfuse.inference.losses import Loss
from bayesfuse.inference.optimisers import Plateau


@dataclass(frozen=True)
class SVISettings:
    """How to train. See `FitConfig` for what each means; the names are the same."""

    elbo: str = "annealed"
    annealing: AnnealingSchedule = field(default_factory=AnnealingSchedule)
    epochs: int = 50
    batch_size: int = 128
    learning_rate: float = 1e-3
    scale_learning_rate: float | None = None
    classifier_learning_rate: float = 1e-3
    learning_rate_decay: str = "cosine"
    warmup_epochs: float = 1.0
    weight_decay: float = 0.01
    clip: float = 10.0
    l1: float = 0.0
    l2: float = 0.0
    max_norm: float | None = None
    modality_dropout: float = 0.0
    adversarial: float = 0.0
    num_particles: int = 1
    noise: str = "weights"
    patience: int = 15
    monitor: str = "nll"
    min_delta: float = 0.0
    plateau_factor: float = 0.2
    plateau_patience: int = 2
    seed: int = 0
    precision: torch.dtype = torch.float32
    compile: str = "auto"
    loss: Loss = field(default_factory=Loss)

    @property
    def plateau(self) -> Plateau:
        """When learning rates become smaller, with that decay."""
        return Plateau(self.plateau_factor, self.plateau_patience, self.min_delta)


class Epoch(NamedTuple):
    """A row of `history.csv`; nll, kl and elbo in nats an item (elbo = −nll − kl: β is not in it).

    `val_nll` is in nats a label, of the posterior predictive; NaN where there was no validation.
    `val_macro_f1`, of tags at 0.5, is NaN unless it chooses the epoch.
    """

    epoch: int
    nll: float
    kl: float
    beta: float
    elbo: float
    val_nll: float
    val_macro_ap: float
    seconds: float
    val_macro_f1: float = math.nan


class Validation(NamedTuple):
    """Posterior-predictive scores on the validation items: nats a label, macro AP and macro F1."""

    nll: float
    macro_ap: float
    macro_f1: float = math.nan


class Step(NamedTuple):
    """Progress within an epoch: steps done of all, and running values in nats an item.

    `member` is whose of the members of a mixture, from 0.
    """

    done: int
    total: int
    epoch: int
    nll: float
    kl: float
    beta: float
    val_nll: float
    member: int = 0


@dataclass(frozen=True)
class SVIResult:
    """What a training came to.

    Attributes:
        history: One row an epoch.
        best_epoch: The epoch whose model was kept (0-based); the last one without validation.
        stopped: `"finished"`, `"early"` (no better for `patience` epochs) or `"interrupted"`.
        annealed: Whether the kept model is from after the end of the annealing.
        notes: What the user should know, one sentence each.
    """

    history: tuple[Epoch, ...]
    best_epoch: int
    stopped: str
    annealed: bool
    notes: tuple[str, ...] = ()
