"""Which epoch is kept, and when training ends: by a score on the validation items."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from bayesfuse.errors import ConfigError, unknown_option
from bayesfuse.inference.history import SVISettings, Validation

MONITORS = ("macro-ap", "macro-f1", "nll")


class BestEpoch:
    """Keeps the state of the best epoch so far.

    An epoch is better if its score is by more than `min_delta`; that is also what counts against
    the patience.

    Args:
        monitor: A name in `MONITORS`.
        min_delta: Least improvement, in the units of the score, >= 0.
        patience: Epochs without a better one before training ends.

    Attributes:
        epoch: The best epoch, from 0; -1 if there is none yet.
        state: What was kept of it, tensors by name.

    Raises:
        ConfigError: If the name is unknown.

    Example:
        >>> best = BestEpoch("nll", 0.0, patience=2)
        >>> for epoch, nll in enumerate([0.5, 0.4, 0.6, 0.41]):
        ...     if best.is_better(Validation(nll, 0.3)):
        ...         best.keep(epoch, Validation(nll, 0.3), state=None)
        >>> best.epoch, best.is_over(2), best.is_over(3)
        (1, False, True)
    """

    def __init__(self, monitor: str = "nll", min_delta: float = 0.0, patience: int = 15) -> None:
        if monitor not in MONITORS:
            raise ConfigError(unknown_option("score to monitor", monitor, MONITORS))
        self._monitor, self._min_delta, self._patience = monitor, min_delta, patience
        self._score = -math.inf
        self.epoch = -1
        self.state: Sequence[Mapping[str, Tensor]] | None = None

    @classmethod
    def by(cls, settings: SVISettings) -> Self:
        """Return one that goes by the settings of a training."""
        return cls(settings.monitor, settings.min_delta, settings.patience)

    def score(self, val: Validation) -> float:
        """Return what the scores come to, more being better."""
        return {"macro-ap": val.macro_ap, "macro-f1": val.macro_f1, "nll": -val.nll}[self._monitor]

    def is_better(self, val: Validation) -> bool:
        """Return whether these scores are better than those of the best epoch."""
        score = self.score(val)
        return score > self._score + (self._min_delta if self.epoch >= 0 else 0.0)

    def keep(
        self, epoch: int, val: Validation, state: Sequence[Mapping[str, Tensor]] | None
    ) -> None:
        """Make this epoch the best one."""
        self.epoch, self._score, self.state = epoch, self.score(val), state

    def is_over(self, epoch: int) -> bool:
        """Return whether the patience is at its end after this epoch."""
        return epoch - self.epoch >= self._patience

    def state_dict(self) -> dict[str, Any]:
        """Return which epoch it is, its score, and what was kept of it (shared, not copied)."""
        kept = None if self.state is None else [dict(module) for module in self.state]
        return {"epoch": self.epoch, "score": self._score, "state": kept}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` of another one returned."""
        self.epoch, self._score = int(state["epoch"]), float(state["score"])
        self.state = state["state"]

    def restore(self, states: Sequence[Mapping[str, Tensor]]) -> bool:
        """Copy what was kept into these tensors; return whether there was anything."""
        if self.state is None:
            return False
        with torch.no_grad():
            for now, best in zip(states, self.state, strict=True):
                for name, value in best.items():
                    now[name].copy_(value)
        return True
