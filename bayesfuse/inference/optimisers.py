r"""Two optimisers behind one backward pass: clipped Adam and AdamW, with one learning-rate curve.

The variational parameters take a step of Adam on gradients that are clipped element by element
(Pyro's `ClippedAdam`, here through torch's fused kernel); the classifier takes one of AdamW, whose
weight decay stands in for the prior that it does not have.

Learning rates follow one factor: a linear rise over the warm-up, then constant, a half cosine
down to 0 (Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5 without restarts), or smaller by a
factor whenever a score on the validation items has not become better for some epochs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, LinearLR, LRScheduler, ReduceLROnPlateau

from bayesfuse.errors import ConfigError, unknown_option

if TYPE_CHECKING:
    from bayesfuse.inference.history import SVISettings

DECAYS = ("constant", "cosine", "plateau")


@dataclass(frozen=True)
class Plateau:
    """When learning rates become smaller, where they wait for a score.

    Attributes:
        factor: What they are multiplied with, in (0, 1).
        patience: Epochs without a better score that are borne.
        min_delta: Least improvement, in the score's units.
    """

    factor: float = 0.2
    patience: int = 2
    min_delta: float = 0.0


class TwoOptimisers:
    """Clipped Adam for one set of parameters, AdamW for the other.

    Args:
        variational: Parameters of the guide and learned prior scales; may be empty.
        deterministic: Every other parameter that is trained.
        learning_rate: Of the variational parameters.
        scales: Those of them that have a learning rate of their own.
        scale_learning_rate: That one; None if they have none.
        classifier_learning_rate: Of the deterministic ones.
        weight_decay: AdamW's, of the deterministic ones.
        clip: Gradients of the variational parameters are clipped to [−clip, clip].
        groups: Further deterministic parameters, `params` with a learning rate `lr` of their own.
        total_steps: Steps of the whole training.
        warmup_steps: Steps over which the learning rates rise.
        decay: A name in `DECAYS`, of what comes after the warm-up.
        plateau: When rates become smaller, if the decay is `"plateau"` and `after_epoch` is told.

    Raises:
        ConfigError: If the decay's name is unknown.

    Reference: Armitage et al. 2020, sec. 3.1 ("Adam with gradient clipping in A", "AdamW in C").
    """

    def __init__(
        self,
        variational: Sequence[nn.Parameter],
        deterministic: Sequence[nn.Parameter],
        *,
        learning_rate: float,
        scales: Sequence[nn.Parameter] = (),
        scale_learning_rate: float | None = None,
        classifier_learning_rate: float,
        weight_decay: float,
        clip: float,
        groups: Sequence[Mapping[str, Any]] = (),
        total_steps: int,
        warmup_steps: int,
        decay: str,
        plateau: Plateau | None = None,
    ) -> None:
        if decay not in DECAYS:
            raise ConfigError(unknown_option("learning-rate decay", decay, DECAYS))
        self._clipped = list(variational)
        self._clip = clip
        self._optimisers: list[torch.optim.Optimizer] = []
        if variational:
            apart = set() if scale_learning_rate is None else {id(scale) for scale in scales}
            parts: list[dict[str, Any]] = [
                {"params": [p for p in variational if id(p) not in apart]},
                {"params": [p for p in variational if id(p) in apart], "lr": scale_learning_rate},
            ]
            parts = [part for part in parts if part["params"]]
            self._optimisers.append(
                torch.optim.Adam(parts, lr=learning_rate, fused=_can_fuse(variational))
            )
        free: list[dict[str, Any]] = [dict(group) for group in groups]
        if deterministic:
            free.insert(0, {"params": list(deterministic)})
        if free:
            every = [parameter for group in free for parameter in group["params"]]
            self._optimisers.append(
                torch.optim.AdamW(
                    free,
                    lr=classifier_learning_rate,
                    weight_decay=weight_decay,
                    fused=_can_fuse(every),
                )
            )

        def factor(step: int) -> float:
            return learning_rate_factor(step, total_steps, warmup_steps, decay)

        self._curves: list[LRScheduler] = []
        self._plateaus: list[ReduceLROnPlateau] = []
        for optimiser in self._optimisers:
            if decay == "plateau":
                # of these two, each multiplies what the other has left: `LambdaLR` would undo it
                rise = max(1, warmup_steps)
                self._curves.append(
                    LinearLR(optimiser, start_factor=1 / rise, total_iters=rise - 1)
                )
                self._plateaus.append(_reduce(optimiser, plateau or Plateau()))
            else:
                self._curves.append(LambdaLR(optimiser, factor))

    @classmethod
    def by(
        cls,
        settings: SVISettings,
        variational: Sequence[nn.Parameter],
        deterministic: Sequence[nn.Parameter],
        scales: Sequence[nn.Parameter],
        groups: Sequence[Mapping[str, Any]],
        steps_an_epoch: int,
    ) -> Self:
        """Return those of a training that goes by the settings."""
        return cls(
            variational,
            deterministic,
            learning_rate=settings.learning_rate,
            scales=scales,
            scale_learning_rate=settings.scale_learning_rate,
            classifier_learning_rate=settings.classifier_learning_rate,
            weight_decay=settings.weight_decay,
            clip=settings.clip,
            groups=groups,
            total_steps=steps_an_epoch * settings.epochs,
            warmup_steps=round(settings.warmup_epochs * steps_an_epoch),
            decay=settings.learning_rate_decay,
            plateau=settings.plateau,
        )

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for optimiser in self._optimisers:
            optimiser.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Clip, step both optimisers, and move on along the learning-rate curve."""
        for parameter in self._clipped:
            if parameter.grad is not None:
                # one pass over memory, where `clip_grad_value_` takes two
                parameter.grad.clamp_(-self._clip, self._clip)
        for optimiser in self._optimisers:
            optimiser.step()
        for curve in self._curves:
            curve.step()

    def after_epoch(self, score: float) -> None:
        """Tell the score of an epoch, more being better; with other decays it changes nothing."""
        for plateau in self._plateaus:
            plateau.step(score)

    def state_dict(self) -> dict[str, Any]:
        """Return what both optimisers and their curves are at, as torch tells it (shared)."""
        return {name: [part.state_dict() for part in parts] for name, parts in self._parts()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` of one for the same parameters returned.

        Raises:
            ValueError: If it is of others.
        """
        for name, parts in self._parts():
            for part, kept in zip(parts, state[name], strict=True):
                part.load_state_dict(kept)

    def _parts(self) -> list[tuple[str, Sequence[Any]]]:
        optimisers, curves, plateaus = self._optimisers, self._curves, self._plateaus
        return [("optimisers", optimisers), ("curves", curves), ("plateaus", plateaus)]


def _reduce(optimiser: torch.optim.Optimizer, how: Plateau) -> ReduceLROnPlateau:
    return ReduceLROnPlateau(
        optimiser,
        mode="max",
        factor=how.factor,
        patience=how.patience,
        threshold=how.min_delta,
        threshold_mode="abs",
    )


def learning_rate_factor(step: int, total_steps: int, warmup_steps: int, decay: str) -> float:
    """Return what the learning rates are multiplied with at a step, by the clock alone.

    Example:
        >>> [round(learning_rate_factor(s, 100, 10, "cosine"), 2) for s in (0, 9, 10, 55, 99)]
        [0.1, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if decay != "cosine":
        return 1.0
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def _can_fuse(parameters: Sequence[nn.Parameter]) -> bool:
    """Return whether torch's fused kernels take these parameters."""
    return all(
        p.device.type in {"cpu", "cuda", "mps"} and p.is_floating_point() for p in parameters
    )
