"""The figures of a report: numbers that are already there, drawn; each with words for its alt text.

Every figure is small enough to be read on a telephone; the page sets them side by side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bayesfuse.report.data import KnownTruth, LabelRow, ReliabilityCurve
from bayesfuse.report.svg import ACCENT, INK, MUTED, SECOND, Picture, canvas, to_picture

CURVES = {
    "nll": ("Training NLL", "Negative log likelihood of the training items, in nats an item."),
    "kl": ("KL", "Divergence of the guide from the prior, in nats an item."),
    "beta": ("β", "Weight of the KL term in the loss."),
    "val_nll": (
        "Validation NLL",
        "Negative log likelihood of the posterior predictive, in nats a label.",
    ),
    "val_macro_ap": ("Validation macro AP", "Average precision, mean over the labels."),
    "val_macro_f1": ("Validation macro F1", "F1 of tags at 0.5, mean over the labels."),
}
"""Column of the history -> (title of its figure, caption)."""

SCATTER_BLUE = "#3b82c4"
"""Legible on white and on black: the scatter is a bitmap and cannot follow the page's theme."""


def training_curves(
    history: Sequence[Mapping[str, float]], best_epoch: int | None = None
) -> list[Picture]:
    """Draw each column of `CURVES` by epoch, the kept epoch marked.

    Args:
        history: One mapping an epoch, with `epoch` and any of the columns.
        best_epoch: The epoch whose weights were kept.

    Returns:
        One picture a column that has a finite number; none for an empty history.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    pictures = []
    for column, (title, meaning) in CURVES.items():
        points = [
            (int(row["epoch"]), float(row[column]))
            for row in history
            if math.isfinite(row.get(column, math.nan))
        ]
        if not points:
            continue
        epochs, values = zip(*points, strict=True)
        kept = f"; epoch {best_epoch} was kept" if best_epoch is not None else ""
        alt = (
            f"Line chart. {title} by epoch: {values[0]:.4g} at epoch {epochs[0]}, "
            f"{values[-1]:.4g} at epoch {epochs[-1]}, lowest {min(values):.4g}, "
            f"highest {max(values):.4g}{kept}."
        )
        with canvas(3.3, 2.0) as figure:
            axes = figure.subplots()
            axes.plot(epochs, values, color=ACCENT, marker="o", markersize=2.5, linewidth=1.5)
            if best_epoch is not None:
                axes.axvline(best_epoch, color=SECOND, linestyle="--", linewidth=1.2)
            if min(values) == max(values):
                axes.margins(y=0.5)
            axes.locator_params(axis="x", integer=True)
            axes.set(title=title, xlabel="epoch")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
            pictures.append(to_picture(figure, f"curve-{column}", alt, meaning))
    return pictures


def reliability_diagram(curve: ReliabilityCurve) -> Picture:
    """Draw the curve of all labels together, the size of a bin as the area of its dot.

    Args:
        curve: Predicted and observed frequencies, one a bin.

    Returns:
        The picture.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    largest = max(curve.count, default=1)
    areas = [8 + 90 * count / largest for count in curve.count]
    with canvas(3.6, 3.4) as figure:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1)
        axes.plot(curve.predicted, curve.observed, color=ACCENT, linewidth=1.2)
        axes.scatter(curve.predicted, curve.observed, s=areas, color=ACCENT, linewidths=0)
        axes.set(xlim=(-0.02, 1.04), ylim=(-0.02, 1.04), aspect="equal")
        axes.set(xlabel="predicted probability", ylabel="observed frequency")
        caption = (
            "Reliability over all labels: on the dashed line, seven of ten tags given with 70 % "
            "are right. A larger dot stands for more predictions."
        )
        return to_picture(figure, "reliability", _reliability_alt(curve), caption)


def reliability_by_label(curves: Sequence[ReliabilityCurve]) -> list[Picture]:
    """Draw one small reliability diagram a label.

    Args:
        curves: One curve a label.

    Returns:
        One picture a curve, in the same order.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    pictures = []
    for index, curve in enumerate(curves):
        with canvas(1.5, 1.5) as figure:
            axes = figure.subplots()
            axes.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=0.8)
            axes.plot(
                curve.predicted, curve.observed, color=ACCENT, marker="o", markersize=3, linewidth=1
            )
            axes.set(xlim=(-0.04, 1.06), ylim=(-0.04, 1.06), aspect="equal")
            axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
            axes.set_yticks([0, 0.5, 1], ["0", "½", "1"])
            ece = f"\nECE {curve.ece:.3f}" if math.isfinite(curve.ece) else ""
            pictures.append(
                to_picture(
                    figure, f"reliability-{index}", _reliability_alt(curve), f"{curve.name}{ece}"
                )
            )
    return pictures


def known_truth(truth: KnownTruth) -> Picture:
    """Draw predicted against true probabilities, where the catalogue knows the latter.

    Args:
        truth: Pairs of probabilities.

    Returns:
        The picture.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    with canvas(3.6, 3.4) as figure:
        axes = figure.subplots()
        # A bitmap: a few thousand dots as vectors would outweigh the rest of the page.
        axes.scatter(
            truth.true, truth.predicted, s=5, alpha=0.3, color=SCATTER_BLUE, linewidths=0
        ).set_rasterized(True)
        axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        axes.set(xlabel="true probability", ylabel="predicted probability")
        alt = (
            f"Scatter plot of {len(truth.true)} pairs of a predicted and the true probability; "
            "a perfect model would put each on the diagonal."
        )
        caption = (
            "Predicted against true probability: this catalogue was drawn from a known process. "
            "Each dot is one label of one item."
        )
        return to_picture(figure, "known-truth", alt, caption)


def average_precision_by_label(labels: Sequence[LabelRow]) -> Picture:
    """Draw the average precision of each label beside its base rate.

    Args:
        labels: One row a label; a NaN is drawn as no bar.

    Returns:
        The picture, the first label on top.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    positions = range(len(labels))
    precision = [row.average_precision for row in labels]
    lengths = [value if math.isfinite(value) else 0.0 for value in precision]
    defined = [(value, row.name) for value, row in zip(precision, labels, strict=True) if value > 0]
    alt = f"Bar chart of the average precision of {len(labels)} labels beside their base rates."
    if defined:
        (low, worst), (high, best) = min(defined), max(defined)
        alt += f" Lowest: {worst} with {low:.2f}. Highest: {best} with {high:.2f}."
    with canvas(3.6, 0.7 + 0.19 * len(labels)) as figure:
        axes = figure.subplots()
        axes.barh(positions, lengths, height=0.62, color=ACCENT, label="average precision")
        rates = [row.base_rate for row in labels]
        axes.plot(
            rates, positions, "|", color=INK, markersize=11, markeredgewidth=1.8, label="base rate"
        )
        axes.set_yticks(positions, [_short(row.name) for row in labels])
        axes.set(xlim=(0, 1), ylim=(len(labels) - 0.4, -0.6))
        axes.grid(visible=False, axis="y")
        figure.legend(loc="outside upper left", ncols=2)
        caption = "Average precision a label; the upright stroke is a blind guess (the base rate)."
        return to_picture(figure, "average-precision", alt, caption)


def epistemic_shares(shares: Sequence[float]) -> Picture:
    """Draw how much of the items' uncertainty is the model's own ignorance.

    Args:
        shares: One share an item, in [0, 1].

    Returns:
        The picture.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    ordered = sorted(shares)
    middle = f" Median {ordered[len(ordered) // 2]:.0%}." if ordered else ""
    with canvas(3.6, 2.4) as figure:
        axes = figure.subplots()
        axes.hist(ordered, bins=25, range=(0, max(ordered, default=1.0) or 1.0), color=ACCENT)
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.grid(visible=False, axis="x")
        axes.set(xlabel="epistemic share of the uncertainty", ylabel="items")
        alt = (
            f"Histogram of the epistemic share of the uncertainty of {len(ordered)} items.{middle}"
        )
        caption = (
            "Epistemic share: the part of an item's uncertainty that more training data would "
            "remove. The rest is ambiguity of the item itself."
        )
        return to_picture(figure, "epistemic", alt, caption)


def _reliability_alt(curve: ReliabilityCurve) -> str:
    """Say where the curve is furthest from the diagonal."""
    head = f"Reliability diagram of {curve.name}, {len(curve.count)} bins"
    if not curve.count:
        return f"{head}: nothing to show."
    gaps = zip(curve.predicted, curve.observed, strict=True)
    predicted, observed = max(gaps, key=lambda pair: abs(pair[0] - pair[1]))
    return (
        f"{head}. Furthest from the diagonal: predicted {predicted:.2f}, observed {observed:.2f}."
    )


def _short(name: str, width: int = 22) -> str:
    """Cut a long label, so that its bar keeps some room."""
    return name if len(name) <= width else name[: width - 1] + "…"
