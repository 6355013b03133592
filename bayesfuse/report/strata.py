"""How good and how sure a run is for items that lack something, and for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesfuse.evaluation.arrays import as_pair
from bayesfuse.evaluation.checks import MIN_ITEMS
from bayesfuse.evaluation.resampling import Interval, bootstrap
from bayesfuse.report.scores import num_replicates, score_intervals
from bayesfuse.report.sketch import Sketch, Span, draw_spans
from bayesfuse.report.svg import Colours

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALL = "all items"
REPLICATES = 400
"""Resamples of a stratum, at most."""

SCORES = {
    "macro_ap": "Macro AP",
    "nll": "NLL",
    "ece": "ECE, debiased",
    "epistemic": "Epistemic share",
}
"""Attribute of a stratum -> its heading."""


@dataclass(frozen=True)
class Stratum:
    """The scores of some of the items, with 95 % intervals over them.

    Args:
        name: Which items.
        num_items: How many they are.
        macro_ap: Average precision, mean over the labels that some of them have.
        nll: Negative log-likelihood, nats a label.
        ece: Calibration error in bins of equal count, less what chance adds; it may be below 0.
        epistemic: Mean share of the items' uncertainty that is epistemic.
    """

    name: str
    num_items: int
    macro_ap: Interval
    nll: Interval
    ece: Interval
    epistemic: Interval


@dataclass(frozen=True)
class MissingRow:
    """What is left where a modality was hidden of some items, drawn at random.

    Args:
        name: The modality; empty where nothing was hidden.
        share: Of the items, without those that never had it.
        macro_ap: Average precision, mean over the labels.
        nll: Negative log-likelihood, nats a label.
        ece: Calibration error.
        confidence: Mean probability of the likelier answer.
        epistemic: Mean epistemic uncertainty, nats a label.
    """

    name: str
    share: float
    macro_ap: float
    nll: float
    ece: float
    confidence: float
    epistemic: float


def collect_strata(
    mean: NDArray[np.float64],
    labels: ArrayLike,
    epistemic_share: ArrayLike,
    strata: Mapping[str, ArrayLike],
    *,
    seed: int = 0,
) -> list[Stratum]:
    """Return all items, then each stratum of at least `MIN_ITEMS` that is not all of them.

    Args:
        mean: Probabilities, `items x labels`.
        labels: `items x labels`, 0 or 1.
        epistemic_share: `items`, in [0, 1].
        strata: Name to mask, `items`.
        seed: Of the resamples.

    Returns:
        The strata; none where there is nothing to hold all items against.

    Raises:
        UserError: If shapes or values do not fit.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> p = rng.random((100, 2))
        >>> half = np.arange(100) < 50
        >>> found = collect_strata(p, rng.random((100, 2)) < p, p[:, 0], {"early": half})
        >>> [(one.name, one.num_items) for one in found]
        [('all items', 100), ('early', 50)]
    """
    p, y = as_pair(mean, labels)
    share = np.asarray(epistemic_share, np.float64)
    masks = {name: np.asarray(mask, np.bool_) for name, mask in strata.items()}
    masks = {name: mask for name, mask in masks.items() if MIN_ITEMS <= mask.sum() < len(p)}
    if not masks:
        return []
    masks = {ALL: np.ones(len(p), np.bool_), **masks}
    return [_one(name, p[mask], y[mask], share[mask], seed) for name, mask in masks.items()]


def _one(
    name: str,
    p: NDArray[np.floating],
    y: NDArray[np.bool_],
    share: NDArray[np.float64],
    seed: int,
) -> Stratum:
    times = num_replicates(len(p), p.shape[1], most=REPLICATES)
    only = ("macro_ap", "nll", "ece_debiased")
    scores = score_intervals(p, y, 0.5, replicates=times, seed=seed, only=only)
    mean = {"epistemic": lambda weights: weights @ share / weights.sum(axis=1)}
    epistemic = bootstrap(mean, len(p), replicates=times, seed=seed)["epistemic"].interval(0.95, 0)
    return Stratum(
        name, len(p), scores["macro_ap"], scores["nll"], scores["ece_debiased"], epistemic
    )


def strata_sketches(strata: Sequence[Stratum]) -> list[Sketch]:
    """Return one figure a score: each stratum with its interval, all items as a line."""
    return [_sketch(strata, score, title) for score, title in SCORES.items()]


def _sketch(strata: Sequence[Stratum], score: str, title: str) -> Sketch:
    found: list[tuple[Stratum, Interval]] = [(one, getattr(one, score)) for one in strata]

    def draw(figure: Figure, colours: Colours) -> None:
        axes = figure.subplots()
        axes.axvline(found[0][1].estimate, color=colours.muted, linestyle="--", linewidth=1)
        spans = [
            Span(f"{one.name} ({one.num_items:,})", of.low, of.high, of.estimate)
            for one, of in found
        ]
        draw_spans(axes, spans, colours)
        axes.set_title(title)

    told = "; ".join(
        f"{one.name} {of.estimate:.3f} ({of.low:.3f} to {of.high:.3f})" for one, of in found
    )
    caption = f"{title} by stratum, with 95 % intervals over items; the dashed line is all items."
    height = 0.75 + 0.21 * len(found)
    return Sketch(f"strata-{score}", 3.6, height, draw, f"{title} by stratum: {told}.", caption)
