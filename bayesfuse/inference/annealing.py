r"""Annealing schedules: how much the KL counts, β_t, as training goes on.

Every schedule rises from `start` to `end` within `epochs` and stays at `end`. `end` is the
temperature of the posterior that is fitted: 1 is Bayes' rule, below 1 a cold posterior.

With progress p = min(1, epoch / epochs):

- `linear`    β = start + (end − start) p
- `cosine`    β = start + (end − start) (1 − cos πp) / 2
- `sigmoid`   β = start + (end − start) (σ(12p − 6) − σ(−6)) / (σ(6) − σ(−6))
- `cyclical`  `cycles` times: a linear rise over the first half of the cycle, then `end`
  (Fu et al. 2019, arXiv:1903.10145, eq. 6–7 with R = 0.5)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from bayesfuse.errors import ConfigError, unknown_option


def _linear(progress: float, _cycles: int) -> float:
    return progress


def _cosine(progress: float, _cycles: int) -> float:
    return 0.5 * (1 - math.cos(math.pi * progress))


def _sigmoid(progress: float, _cycles: int) -> float:
    def logistic(x: float) -> float:
        return 1 / (1 + math.exp(-x))

    return (logistic(12 * progress - 6) - logistic(-6)) / (logistic(6) - logistic(-6))


def _cyclical(progress: float, cycles: int) -> float:
    within = (progress * cycles) % 1.0 if progress < 1 else 1.0
    return min(1.0, 2 * within)


SCHEDULES: dict[str, Callable[[float, int], float]] = {
    "linear": _linear,
    "cosine": _cosine,
    "sigmoid": _sigmoid,
    "cyclical": _cyclical,
}


@dataclass(frozen=True)
class AnnealingSchedule:
    """β as a function of the (fractional) epoch.

    Args:
        name: `"linear"`, `"cosine"`, `"sigmoid"` or `"cyclical"`.
        start: β at epoch 0, in [0, ∞).
        end: β once `epochs` have passed: the temperature, > 0.
        epochs: How long the annealing lasts; 0 means that β is `end` from the first step.
        cycles: Number of rises of `"cyclical"`.

    Raises:
        ConfigError: If the name is unknown or a number is out of range.

    Example:
        >>> schedule = AnnealingSchedule("linear", start=0.2, end=1.0, epochs=10)
        >>> [round(schedule(epoch), 2) for epoch in (0, 5, 10, 30)]
        [0.2, 0.6, 1.0, 1.0]
    """

    name: str = "linear"
    start: float = 0.2
    end: float = 1.0
    epochs: float = 10.0
    cycles: int = 4

    def __post_init__(self) -> None:
        if self.name not in SCHEDULES:
            raise ConfigError(unknown_option("annealing schedule", self.name, SCHEDULES))
        if not 0 <= self.start < math.inf:
            raise ConfigError(f"The annealing starts at β = {self.start}; expected a number ≥ 0.")
        if not 0 < self.end < math.inf:
            raise ConfigError(f"The temperature is {self.end}; expected a number > 0 (1 is Bayes).")
        if not 0 <= self.epochs < math.inf or self.cycles < 1:
            raise ConfigError(
                f"The annealing lasts {self.epochs} epochs in {self.cycles} cycles; expected a "
                "number of epochs ≥ 0 and at least 1 cycle."
            )

    def __call__(self, epoch: float) -> float:
        """Return β at a moment of training, in epochs (0.5 is half-way through the first)."""
        if epoch >= self.epochs:
            return self.end
        rise = SCHEDULES[self.name](epoch / self.epochs, self.cycles)
        return self.start + (self.end - self.start) * rise

    def has_ended(self, epoch: float) -> bool:
        """Return whether β has reached `end` for good at that moment."""
        return epoch >= self.epochs
