"""Accuracy against rejection: how many decisions are wrong, if the least sure are handed on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesfuse.evaluation.resampling import Interval, Statistic, bootstrap
from bayesfuse.evaluation.selective import decision_losses, risk_coverage, risk_statistic
from bayesfuse.report.scores import num_replicates
from bayesfuse.report.sketch import Sketch
from bayesfuse.report.svg import Colours

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COVERAGES = (1.0, 0.8, 0.5)
"""Shares that are kept, of the table."""

MAX_POINTS = 120
"""Points of a curve on the page."""


@dataclass(frozen=True)
class RiskCurve:
    """What share is wrong of the decisions that are kept, the surest first.

    Args:
        name: Whose decisions.
        coverage: Shares kept, ascending, ending at 1.
        risk: Share of those that is wrong.
        at: The same at `COVERAGES`, with intervals over items.
        aurc: Area under the curve, likewise.
        excess: What it has over that of a perfect order of the same decisions.
    """

    name: str
    coverage: Sequence[float]
    risk: Sequence[float]
    at: Sequence[Interval]
    aurc: Interval
    excess: float


@dataclass(frozen=True)
class Risks:
    """Risk-coverage curves of a split.

    Args:
        decisions: All labels' decisions in one order, by how far each is from its threshold.
        items: Whole items, by their total uncertainty; wrong is the share of an item's labels.
        labels: A label at a time.
    """

    decisions: RiskCurve
    items: RiskCurve
    labels: Sequence[RiskCurve]


def collect_risks(
    mean: NDArray[np.float64],
    uncertainty: NDArray[np.float64],
    labels: ArrayLike,
    label_names: Sequence[str],
    thresholds: ArrayLike = 0.5,
    *,
    replicates: int | None = None,
    seed: int = 0,
) -> Risks:
    """Return the curves of decisions, of items and of each label.

    Args:
        mean: Probabilities, `items x labels`.
        uncertainty: Total uncertainty of each item, `items`.
        labels: `items x labels`, 0 or 1.
        label_names: One name a label.
        thresholds: Of the decisions: one number, or one a label.
        replicates: Resamples of items; as many as a few seconds allow if None.
        seed: Of the resamples.

    Raises:
        UserError: If shapes or values do not fit.

    Example:
        >>> mean = np.array([[0.9], [0.8], [0.4], [0.6]])
        >>> found = collect_risks(mean, np.arange(4.0), [[1], [1], [0], [0]], ["War"])
        >>> found.labels[0].coverage, found.labels[0].risk
        ([0.25, 0.5, 1.0], [0.0, 0.0, 0.25])
    """
    confidence, loss = decision_losses(mean, labels, thresholds)
    names = [str(name) for name in label_names]
    whole = {"decisions": (confidence, loss), "items": (-uncertainty, loss.mean(axis=1))}
    pairs = [*whole.values(), *((confidence[:, c], loss[:, c]) for c in range(len(names)))]
    statistics: dict[str, Statistic] = {
        str(place): risk_statistic(sure, lost, COVERAGES)
        for place, (sure, lost) in enumerate(pairs)
    }
    times = num_replicates(*mean.shape) if replicates is None else replicates
    scores = bootstrap(
        statistics, len(mean), replicates=times, seed=seed, numbers_an_item=mean.shape[1]
    )
    curves = []
    for place, (name, (sure, lost)) in enumerate(zip([*whole, *names], pairs, strict=True)):
        score = scores[str(place)]
        low, high = score.ends(0.95, 0.0)
        aurc, *at = (
            Interval(float(of), float(under), float(min(over, 1.0)))
            for of, under, over in zip(score.estimate, low, high, strict=True)
        )
        curve = risk_coverage(sure, lost)
        shown = _shown(curve.coverage)
        curves.append(
            RiskCurve(
                name,
                curve.coverage[shown].tolist(),
                curve.risk[shown].tolist(),
                tuple(at),
                aurc,
                curve.excess_aurc,
            )
        )
    return Risks(curves[0], curves[1], curves[2:])


def _shown(coverage: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return which points of a curve to draw: evenly by coverage, with the first and the last."""
    wanted = np.linspace(coverage[0], 1.0, MAX_POINTS)
    return np.unique(np.minimum(np.searchsorted(coverage, wanted), len(coverage) - 1))


def risk_sketch(curve: RiskCurve, title: str, kept: str, caption: str) -> Sketch:
    """Return the figure of one curve, beside what any order would leave.

    Args:
        curve: The curve.
        title: Above it.
        kept: What is kept: `decisions`, `items`.
        caption: What it says.
    """
    base = curve.at[COVERAGES.index(1.0)].estimate

    def draw(figure: Figure, colours: Colours) -> None:
        axes = figure.subplots()
        axes.axhline(base, color=colours.muted, linestyle="--", linewidth=1)
        axes.plot(curve.coverage, curve.risk, color=colours.accent, linewidth=1.6)
        for coverage, one in zip(COVERAGES, curve.at, strict=True):
            axes.vlines(coverage, one.low, one.high, color=colours.second, linewidth=2)
            axes.plot([coverage], [one.estimate], "o", color=colours.second, markersize=3.5)
        # a few decisions at the very left swing wildly, and would set the scale
        steady = [r for c, r in zip(curve.coverage, curve.risk, strict=True) if c >= 0.02]
        top = max([base, *steady, *(one.high for one in curve.at)], default=0.0)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.08 * top or 1.0), title=title)
        axes.set(xlabel=f"share of {kept} that is kept", ylabel="share that is wrong")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")

    told = ", ".join(
        f"{one.estimate:.1%} at {coverage:.0%}"
        for coverage, one in zip(COVERAGES, curve.at, strict=True)
    )
    alt = f"Risk-coverage curve. {title}, wrong of those kept: {told}. "
    alt += f"AURC {curve.aurc.estimate:.4f}."
    return Sketch(f"risk-{kept}", 3.6, 2.6, draw, alt, caption)


def label_risk_sketch(curve: RiskCurve, place: int) -> Sketch:
    """Return a small figure of one label's curve."""
    base = curve.at[COVERAGES.index(1.0)].estimate

    def draw(figure: Figure, colours: Colours) -> None:
        axes = figure.subplots()
        axes.axhline(base, color=colours.muted, linestyle="--", linewidth=0.8)
        axes.plot(curve.coverage, curve.risk, color=colours.accent, linewidth=1.2)
        steady = [r for c, r in zip(curve.coverage, curve.risk, strict=True) if c >= 0.05]
        axes.set(xlim=(0, 1.05), ylim=(0, 1.1 * max([base, *steady]) or 1.0))
        axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
        axes.locator_params(axis="y", nbins=3)
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")

    alt = (
        f"Risk-coverage curve of {curve.name}: {base:.1%} of all decisions are wrong, "
        f"{curve.at[-1].estimate:.1%} of the surest half."
    )
    caption = f"{curve.name}\nAURC {curve.aurc.estimate:.3f}"
    return Sketch(f"risk-label-{place}", 1.6, 1.4, draw, alt, caption)
