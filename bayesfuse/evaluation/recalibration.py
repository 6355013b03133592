"""Recalibration of posterior draws: one temperature, or an isotonic map a label, fitted on val."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from bayesfuse.errors import ConfigError, UserError, unknown_option
from bayesfuse.evaluation.arrays import Bools, Floats, as_pair, as_probability
from bayesfuse.evaluation.metrics import nll
from bayesfuse.evaluation.temperature import RANGE, tempered

METHODS = ("isotonic", "temperature")

Knots = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Probabilities in ascending order, and what each becomes; between two, what lies between."""


@dataclass(frozen=True, eq=False)
class Recalibration:
    """How probabilities are changed, each draw by itself and in the same way.

    Attributes:
        temperature: By which logits of draws are divided; None for isotonic maps.
        knots: A monotone map a label, `labels`; empty for a temperature.
    """

    temperature: float | None = None
    knots: tuple[Knots, ...] = ()

    def __post_init__(self) -> None:
        """Check that it is one or the other, and monotone.

        Raises:
            ConfigError: If it is not.
        """
        if (self.temperature is None) == (not self.knots):
            raise ConfigError("A recalibration has a temperature or knots, one of the two.")
        if self.temperature is not None and not 0 < self.temperature < np.inf:
            raise ConfigError(f"Got a temperature of {self.temperature}; expected more than 0.")
        for x, y in self.knots:
            rising = (np.diff(x) > 0).all() and (np.diff(y) >= 0).all()
            if not (len(x) == len(y) >= 1 and rising and (x >= 0).all() and (x <= 1).all()):
                raise ConfigError("The knots of an isotonic map do not rise within [0, 1].")
            if not ((y >= 0) & (y <= 1)).all():
                raise ConfigError("An isotonic map leaves [0, 1].")

    @property
    def method(self) -> str:
        """Return its name, one of `METHODS`."""
        return "isotonic" if self.temperature is None else "temperature"

    def __call__(self, probability: Floats) -> Floats:
        """Return the recalibrated probabilities, of the same shape and dtype.

        Args:
            probability: `... x labels`, in [0, 1]; draws count, too.

        Raises:
            UserError: If a value is out of range, or the number of labels does not fit.

        Example:
            >>> Recalibration(temperature=2.0)(np.array([[0.9, 0.1]]))
            array([[0.75, 0.25]])
        """
        p = as_probability(probability)
        if self.temperature is not None:
            return np.asarray(tempered(p, self.temperature), p.dtype)
        if p.shape[-1] != len(self.knots):
            raise UserError(
                f"Got probabilities of {p.shape[-1]} labels; expected {len(self.knots)}, of which "
                "each has its isotonic map."
            )
        found = np.empty_like(p)
        for label, (x, y) in enumerate(self.knots):
            found[..., label] = np.interp(p[..., label], x, y)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, for JSON."""
        return {
            "method": self.method,
            "temperature": self.temperature,
            "knots": [{"from": x.tolist(), "to": y.tolist()} for x, y in self.knots],
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Self:
        """Return the recalibration of which `to_dict` told.

        Raises:
            KeyError: If something is left out.
            TypeError: If something is of the wrong type.
            ConfigError: If the numbers are none of a recalibration.
        """
        heat = told["temperature"]
        knots = tuple(
            (np.array(one["from"], np.float64), np.array(one["to"], np.float64))
            for one in told["knots"]
        )
        return cls(None if heat is None else float(heat), knots)

    @classmethod
    def fit(cls, method: str, draws: ArrayLike, labels: ArrayLike) -> Self:
        r"""Choose a recalibration on labelled items.

        `temperature` is the one number for all labels whose mean over tempered draws has the least
        negative log-likelihood:

        .. math:: T = \arg\min_T \; -\sum_{ic} \log \text{Bernoulli}\Bigl(y_{ic} \Bigm|
            \tfrac1S \sum_s \sigma(\operatorname{logit}(p_{sic}) / T) \Bigr)

        `isotonic` regresses each label on its predictive mean by pooling adjacent violators, and
        maps every draw by that: what was said of equally probable items becomes how often they
        have the label. It stays within 1 / (n + 2) of 0 and 1, of n items, since none of n is no
        certainty; a label that no item or every item has is left as it is.

        Args:
            method: One of `METHODS`.
            draws: `draws x items x labels`, in [0, 1]; of items that are not the ones to be scored.
            labels: `items x labels`, 0 or 1.

        Raises:
            ConfigError: If there is no such method.
            UserError: If shapes or values do not fit.

        Example:
            >>> draws = np.full((2, 4, 1), 0.9)
            >>> found = Recalibration.fit("temperature", draws, [[1], [1], [1], [0]])
            >>> round(found.temperature, 3)
            2.0

        Reference: Guo et al. 2017 (arXiv:1706.04599), section 4.2, of the mean over draws; Zadrozny
        and Elkan 2002 (doi:10.1145/775047.775151).
        """
        if method not in METHODS:
            raise ConfigError(unknown_option("recalibration", method, METHODS))
        p = as_probability(draws)
        if p.ndim != 3:
            raise UserError(f"Got draws of shape {p.shape}; expected draws x items x labels.")
        mean, truth = as_pair(p.mean(axis=0, dtype=np.float64), labels)
        if method == "temperature":
            return cls(temperature=_temperature(p, truth))
        columns = zip(mean.T, truth.T, strict=True)
        return cls(knots=tuple(_knots(one, has) for one, has in columns))


def _temperature(draws: Floats, truth: Bools) -> float:
    epsilon = float(np.finfo(draws.dtype).eps)
    logits = logit(np.clip(draws.astype(np.float64), epsilon, 1 - epsilon))

    def loss(log_temperature: float) -> float:
        return nll(expit(logits * np.exp(-log_temperature)).mean(axis=0), truth)

    bounds = tuple(np.log(RANGE))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def _knots(mean: Floats, has: Bools) -> Knots:
    ends = np.array([0.0, 1.0])
    if has.all() or not has.any():
        return ends, ends
    least = 1 / (len(has) + 2)
    regression = IsotonicRegression(y_min=least, y_max=1 - least).fit(mean, has)
    return (
        np.asarray(regression.X_thresholds_, np.float64),
        np.asarray(regression.y_thresholds_, np.float64),
    )
