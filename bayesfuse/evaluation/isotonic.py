"""Reliability without bins: isotonic regression of the labels on their probabilities (CORP)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.isotonic import IsotonicRegression

from bayesfuse.errors import ConfigError, UserError
from bayesfuse.evaluation.arrays import as_pair
from bayesfuse.evaluation.text import aligned, json_safe

Floats = NDArray[np.float64]

MAX_POINTS = 200
"""Points of a curve in JSON."""


@dataclass(frozen=True, eq=False)
class IsotonicReliability:
    """How often a label is there, by its probability; all arrays `values`, in ascending order.

    Attributes:
        name: The label.
        predicted: The probabilities that occur.
        observed: The recalibrated probability of each, by isotonic regression.
        low: Lower end of the 95 % consistency band at each: where `observed` is, were the
            probabilities right.
        high: Upper end.
        outside: Share of the items whose `observed` is out of the band.
        miscalibration: MCB: what recalibration would take off the Brier score; 0 if reliable.
        discrimination: DSC: what the recalibrated probabilities take off that of the base rate.
        uncertainty: UNC: the Brier score of the base rate. Brier = MCB − DSC + UNC.
        p: How often labels drawn from the probabilities have a miscalibration as large.
    """

    name: str
    predicted: Floats = field(repr=False)
    observed: Floats = field(repr=False)
    low: Floats = field(repr=False)
    high: Floats = field(repr=False)
    outside: float
    miscalibration: float
    discrimination: float
    uncertainty: float
    p: float


@dataclass(frozen=True)
class Reliability:
    """The reliability of each label; prints as a table."""

    labels: tuple[IsotonicReliability, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and lists, for JSON: `MAX_POINTS` of each curve, evenly chosen."""
        found = []
        for one in self.labels:
            at = np.unique(np.linspace(0, len(one.predicted) - 1, MAX_POINTS).round().astype(int))
            told = {
                name: value[at].tolist() if isinstance(value, np.ndarray) else value
                for name, value in asdict(one).items()
            }
            found.append(told)
        return {"labels": json_safe(found)}

    def __str__(self) -> str:
        """Return one line a label, the most doubtful one first."""
        rows = [
            [
                one.name,
                f"{one.miscalibration:.4f}",
                f"{one.discrimination:.4f}",
                f"{one.uncertainty:.4f}",
                f"{one.outside:.0%}",
                f"{one.p:.3f}",
            ]
            for one in sorted(self.labels, key=lambda one: one.p)
        ]
        header = ["label", "miscalibration", "discrimination", "uncertainty", "out of band", "p"]
        return f"reliability by isotonic regression\n\n{aligned(header, rows)}"


def reliability(
    probability: ArrayLike,
    labels: ArrayLike,
    label_names: Sequence[str],
    *,
    replicates: int = 200,
    seed: int = 0,
) -> Reliability:
    r"""Regress each label on its probability by pooling adjacent violators (PAVA).

    .. math:: \hat y = \arg\min_{z_1 \le \dots \le z_n} \sum_i (y_i - z_i)^2, \qquad
        \text{MCB} = \frac1n \sum_i (y_i - p_i)^2 - \frac1n \sum_i (y_i - \hat y_i)^2

    The band at a probability holds the middle 95 % of the regressions of labels that are drawn
    from the probabilities; p is that of their MCB.

    Args:
        probability: `items x labels`, in [0, 1].
        labels: `items x labels`, 0 or 1.
        label_names: One name a label.
        replicates: Drawn sets of labels, >= 40.
        seed: Of the draws.

    Raises:
        UserError: If shapes or values do not fit.
        ConfigError: If there are too few replicates for a 95 % band.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> p = rng.random((500, 1))
        >>> good = reliability(p, rng.random((500, 1)) < p, ["Horror"]).labels[0]
        >>> bad = reliability(p, rng.random((500, 1)) < p**2, ["Horror"]).labels[0]
        >>> good.p > 0.05 > bad.p, good.miscalibration < bad.miscalibration
        (True, True)

    Reference: Dimitriadis, Gneiting & Jordan 2021 (doi:10.1073/pnas.2016191118), eq. 3 and 4, and
    their bands of consistency.
    """
    p, y = as_pair(probability, labels)
    if len(label_names) != p.shape[1]:
        raise UserError(
            f"Got {len(label_names)} label names for {p.shape[1]} columns; expected one a label."
        )
    if replicates < 40:
        raise ConfigError(f"replicates is {replicates}; expected at least 40 for a 95 % band.")
    rng = np.random.default_rng([seed, 4])
    columns = zip(label_names, p.T.astype(np.float64), y.T, strict=True)
    return Reliability(tuple(_one(str(n), q, of, replicates, rng) for n, q, of in columns))


def _one(
    name: str, p: Floats, y: NDArray[np.bool_], replicates: int, rng: np.random.Generator
) -> IsotonicReliability:
    values, place, counts = np.unique(p, return_inverse=True, return_counts=True)
    regression = IsotonicRegression(y_min=0, y_max=1)

    def recalibrated(ones: NDArray[np.bool_]) -> Floats:
        rate = np.bincount(place, weights=ones, minlength=len(values)) / counts
        return np.asarray(regression.fit_transform(values, rate, sample_weight=counts), np.float64)

    def miscalibration(ones: NDArray[np.bool_], fitted: Floats) -> float:
        return float(((ones - p) ** 2).mean() - ((ones - fitted[place]) ** 2).mean())

    observed = recalibrated(y)
    mcb = miscalibration(y, observed)
    drawn, theirs = np.empty((replicates, len(values))), np.empty(replicates)
    for r in range(replicates):
        ones = rng.random(len(p)) < p
        drawn[r] = recalibrated(ones)
        theirs[r] = miscalibration(ones, drawn[r])
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    out = (observed < low - 1e-9) | (observed > high + 1e-9)
    base = float(((y - y.mean()) ** 2).mean())
    return IsotonicReliability(
        name,
        values,
        observed,
        low,
        high,
        outside=float(counts[out].sum() / len(p)),
        miscalibration=max(0.0, mcb),
        discrimination=base - float(((y - observed[place]) ** 2).mean()),
        uncertainty=base,
        p=float(((theirs >= mcb - 1e-12).sum() + 1) / (replicates + 1)),
    )
