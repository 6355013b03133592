"""Pareto-smoothed importance sampling: items left out one at a time, and the guide itself."""

from __future__ import annotations

import importlib
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import logsumexp

from bayesfuse.errors import ConfigError, MissingExtraError, UserError
from bayesfuse.evaluation.arrays import as_probability
from bayesfuse.evaluation.text import aligned, json_safe

Floats = NDArray[np.float64]

MIN_DRAWS = 50
"""Fewer draws than these have no tail to fit a Pareto distribution to."""

NO_SPREAD = 1e-3
"""Log weights nearer to each other than this are the same."""

TOO_HIGH = 0.7
"""A k̂ above this says that a mean over reweighted draws is not to be trusted."""


def psis(log_weights: ArrayLike) -> tuple[Floats, Floats]:
    r"""Smooth the largest importance weights by a generalised Pareto distribution.

    Args:
        log_weights: `... x draws`, each up to a constant.

    Returns:
        The smoothed log weights, whose exponentials add up to 1 over draws, and the shape
        :math:`\hat k` of each tail, `...`.

    Raises:
        MissingExtraError: If ArviZ is not installed.
        ConfigError: If there are fewer than `MIN_DRAWS` draws.

    Reference: Vehtari, Simpson, Gelman, Yao & Gabry 2024 (arXiv:1507.02646); ArviZ's `psislw`.
    """
    weights = np.asarray(log_weights, np.float64)
    if weights.shape[-1] < MIN_DRAWS:
        raise ConfigError(
            f"Got {weights.shape[-1]} draws; expected at least {MIN_DRAWS} for a Pareto tail."
        )
    smoothed, shape = _psislw()(weights)
    found = np.asarray(smoothed, np.float64)
    found = found - logsumexp(found, axis=-1, keepdims=True)
    # weights that are all the same have no tail, of which the shape is told to be infinite
    same = np.ptp(weights, axis=-1) < NO_SPREAD
    return found, np.where(same, 0.0, np.asarray(shape, np.float64))


def _psislw() -> Any:
    """Return ArviZ's function, wherever the installed line of ArviZ has it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the next version of ArviZ will differ
            arviz = importlib.import_module("arviz")
            if int(str(arviz.__version__).partition(".")[0]) < 1:
                return arviz.psislw
            return importlib.import_module("arviz_stats.base").array_stats.psislw
    except ImportError as error:
        raise MissingExtraError(
            "Importance sampling needs arviz, which is not installed. "
            "Try: pip install 'bayesfuse[report]'"
        ) from error


@dataclass(frozen=True)
class LeaveOneOut:
    """What items would be predicted with if each had been left out of the fit; all in nats.

    Attributes:
        num_items: Items of the fit.
        num_draws: Posterior draws.
        elpd: Expected log predictive density of a new item, by PSIS-LOO, the mean over items.
        standard_error: Of `elpd`.
        waic: The same by WAIC.
        in_sample: Log density of the items with themselves in the fit, the mean.
        num_high: Items whose k̂ is above 0.7: without them the posterior would be another.
        largest: The largest k̂.
        highest: Ids of up to 5 items of the highest k̂ above 0.7, with it.
        pit_p: Whether numbers of labels are where their predictive distributions say (LOO-PIT):
            p-value of Kolmogorov and Smirnov's test; near 0 if not.
    """

    num_items: int
    num_draws: int
    elpd: float
    standard_error: float
    waic: float
    in_sample: float
    num_high: int
    largest: float
    highest: tuple[tuple[str, float], ...]
    pit_p: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, texts, lists and dicts, for JSON."""
        return json_safe(asdict(self))  # type: ignore[return-value]  # a dict stays one

    def __str__(self) -> str:
        """Return aligned text and, of items with a high k̂, a line."""
        rows = [
            ["PSIS-LOO", f"{self.elpd:.4f}", f"{self.standard_error:.4f}"],
            ["WAIC", f"{self.waic:.4f}", ""],
            ["in the fit", f"{self.in_sample:.4f}", ""],
        ]
        table = aligned(["log density, nats an item", "mean", "standard error"], rows)
        told = f"Pareto k̂: largest {self.largest:.2f}; {self.num_high:,} items above {TOO_HIGH}"
        if self.highest:
            told += f" ({', '.join(f'{name} {k:.2f}' for name, k in self.highest)})"
        return (
            f"leaving items of train out, {self.num_items:,} items, {self.num_draws} draws\n\n"
            f"{table}\n\n{told}\nLOO-PIT of the number of labels: p {self.pit_p:.3f}"
        )


def leave_one_out(
    probability: ArrayLike,
    log_likelihood: ArrayLike,
    labels: ArrayLike,
    ids: Sequence[str],
    seed: int = 0,
) -> LeaveOneOut:
    r"""Predict items of the fit as if each had been left out, by reweighting posterior draws.

    .. math:: w^{(s)}_i \propto 1 / p(y_i \mid \theta^{(s)}), \qquad
        \text{elpd}_i = \log \sum_s \tilde w^{(s)}_i p(y_i \mid \theta^{(s)})

    with :math:`\tilde w` smoothed. The draws are taken for posterior draws; how far those of a
    guide are, `guide_check` tells.

    Args:
        probability: `draws x items x labels`, in [0, 1], of items of the fit.
        log_likelihood: Nats, `draws x items`.
        labels: `items x labels`, 0 or 1.
        ids: Names of the items.
        seed: Of the part of the PIT within a number of labels.

    Raises:
        UserError: If shapes do not fit.

    Reference: Vehtari, Gelman & Gabry 2017 (arXiv:1507.04544), eq. 10 (LOO) and 11 to 13 (WAIC);
    Czado, Gneiting & Held 2009 for the PIT of counts.
    """
    p, ll = as_probability(probability), np.asarray(log_likelihood, np.float64).T
    y = np.asarray(labels).astype(np.bool_)
    if p.ndim != 3 or p.shape[1:] != y.shape or ll.shape != (len(y), len(p)) or len(ids) != len(y):
        raise UserError(
            f"Got draws of shape {p.shape}, log likelihoods of {ll.T.shape}, labels of {y.shape} "
            f"and {len(ids)} ids; expected draws x items x labels, draws x items, and so on."
        )
    weights, shape = psis(-ll)
    pointwise = logsumexp(weights + ll, axis=1)
    density = logsumexp(ll, axis=1) - np.log(len(p))
    high = np.argsort(-shape)[: min(5, int((shape > TOO_HIGH).sum()))]
    pit = _pit_of_counts(p, y, np.exp(weights).T, np.random.default_rng([seed, 5]))
    return LeaveOneOut(
        num_items=len(y),
        num_draws=len(p),
        elpd=float(pointwise.mean()),
        standard_error=float(pointwise.std(ddof=1) / len(y) ** 0.5) if len(y) > 1 else np.nan,
        waic=float((density - ll.var(axis=1, ddof=1)).mean()),
        in_sample=float(density.mean()),
        num_high=int((shape > TOO_HIGH).sum()),
        largest=float(shape.max()),
        highest=tuple((str(ids[i]), float(shape[i])) for i in high),
        pit_p=float(stats.kstest(pit, "uniform").pvalue),
    )


def _pit_of_counts(
    p: NDArray[Any], y: NDArray[np.bool_], weights: Floats, rng: np.random.Generator
) -> Floats:
    """Return the randomised PIT of each item's number of labels, `items`; weights `draws x items`.

    Given a draw the number is Poisson-binomial; its distribution is built up label by label.
    """
    num_items, num_labels = y.shape
    mixture = np.zeros((num_items, num_labels + 1))
    for one, weight in zip(p, weights, strict=True):
        counts = np.zeros((num_items, num_labels + 1))
        counts[:, 0] = 1
        for label in range(num_labels):
            q = one[:, label, None].astype(np.float64)
            counts[:, 1:] = counts[:, 1:] * (1 - q) + counts[:, :-1] * q
            counts[:, :1] *= 1 - q
        mixture += weight[:, None] * counts
    below = np.hstack([np.zeros((num_items, 1)), mixture.cumsum(axis=1)])
    rows, k = np.arange(num_items), y.sum(axis=1)
    at = below[rows, k] + rng.random(num_items) * mixture[rows, k]
    return np.asarray(np.clip(at, 0, 1), np.float64)


@dataclass(frozen=True)
class GuideCheck:
    """How far a guide is from the posterior that it stands for.

    Attributes:
        shape: k̂ of the ratios of the posterior to the guide.
        num_draws: Draws of the guide.
        num_weights: Random weights.
        effective: Draws that are left after reweighting, Kish's number.
    """

    shape: float
    num_draws: int
    num_weights: int
    effective: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and the verdict, for JSON."""
        return json_safe({**asdict(self), "verdict": self.verdict})  # type: ignore[return-value]

    @property
    def verdict(self) -> str:
        """What k̂ says, in words."""
        if self.shape < 0.5:
            return "The guide is close to the posterior."
        if self.shape <= TOO_HIGH:
            return "The guide is near the posterior; single weights may be off."
        return (
            "The guide is too narrow for this model: somewhere the posterior reaches further than "
            "its draws. That is usual with many random weights, and predictions may be good all "
            "the same, as the checks above tell; but no mean over the weights is to be trusted. "
            "Try --guide lowrank, random weights in fewer --parts, more --epochs, or --elbo "
            "meanfield."
        )

    def __str__(self) -> str:
        """Return one line of numbers and the verdict."""
        return (
            f"the guide against the posterior: k̂ {self.shape:.2f} ({self.num_draws} draws of "
            f"{self.num_weights:,} weights, worth {self.effective:.1f})\n"
            f"{textwrap.fill(self.verdict, 96)}"
        )


def guide_check(log_ratios: ArrayLike, num_weights: int) -> GuideCheck:
    r"""Judge a guide by how unequal its importance ratios are.

    .. math:: \log r_s = \log p(\theta^{(s)}, y) - \log q(\theta^{(s)}), \qquad \theta^{(s)} \sim q

    Args:
        log_ratios: Nats, `draws`, up to a constant.
        num_weights: Random weights.

    Example:
        >>> guide_check(np.random.default_rng(0).normal(0, 0.1, 400), num_weights=3).verdict
        'The guide is close to the posterior.'

    Reference: Yao, Vehtari, Simpson & Gelman 2018 (arXiv:1802.02538), algorithm 1 (PSIS
    diagnostic).
    """
    ratios = np.asarray(log_ratios, np.float64)
    weights, shape = psis(ratios - ratios.max())
    effective = float(np.exp(-logsumexp(2 * weights)))
    return GuideCheck(float(shape), len(ratios), num_weights, effective)
