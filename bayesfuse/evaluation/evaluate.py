"""One call from probabilities and labels to every score, pooled and a label at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from bayesfuse.errors import UserError
from bayesfuse.evaluation import calibration, metrics
from bayesfuse.evaluation.arrays import as_pair
from bayesfuse.evaluation.metrics import F1, AveragePrecision

Json = dict[str, "Json"] | list["Json"] | str | int | float | None


@dataclass(frozen=True)
class CalibrationError:
    """Expected calibration error, in [0, 1].

    Attributes:
        equal_width: All predictions pooled, bins of equal width.
        equal_mass: All predictions pooled, bins of equal count.
        macro_equal_width: Mean over labels of each label's own, bins of equal width.
        macro_equal_mass: Mean over labels of each label's own, bins of equal count.
    """

    equal_width: float
    equal_mass: float
    macro_equal_width: float
    macro_equal_mass: float


@dataclass(frozen=True)
class LabelEvaluation:
    """The scores of one label; F1 and average precision are NaN if no item has it.

    Attributes:
        name: The label.
        positives: Number of items that have it.
        base_rate: Their share.
        mean_probability: Mean predicted probability; near the base rate if calibrated.
        average_precision: Average precision of the ranking of items.
        f1: F1 of decisions at 0.5.
        threshold: The threshold given for it, if any.
        f1_at_threshold: F1 of decisions at that threshold, if any.
        nll: Negative log-likelihood, nats.
        brier: Brier score.
        ece_equal_width: Expected calibration error, bins of equal width.
        ece_equal_mass: Expected calibration error, bins of equal count.
    """

    name: str
    positives: int
    base_rate: float
    mean_probability: float
    average_precision: float
    f1: float
    threshold: float | None
    f1_at_threshold: float | None
    nll: float
    brier: float
    ece_equal_width: float
    ece_equal_mass: float


@dataclass(frozen=True)
class Evaluation:
    """Every score of a set of predictions; prints as a table.

    Attributes:
        num_items: Number of labelled items scored.
        num_labels: Number of labels.
        f1: F1 of decisions at 0.5.
        f1_at_thresholds: F1 of decisions at the given thresholds, if any.
        average_precision: Average precision.
        nll: Negative log-likelihood a label, mean over items and labels, nats.
        brier: Brier score, mean over items and labels.
        ece: Expected calibration error.
        labels: The scores of each label, in the order given.
    """

    num_items: int
    num_labels: int
    f1: F1
    f1_at_thresholds: F1 | None
    average_precision: AveragePrecision
    nll: float
    brier: float
    ece: CalibrationError
    labels: tuple[LabelEvaluation, ...]

    def to_dict(self) -> dict[str, Json]:
        """Return plain dicts, lists and numbers for JSON; what is not defined becomes None."""
        plain = _json_safe(asdict(self))
        assert isinstance(plain, dict)
        return plain

    def __str__(self) -> str:
        """Return the scores as aligned text, pooled first, then one line a label."""
        rows = [["F1 at 0.5", *_averages(self.f1)]]
        if self.f1_at_thresholds is not None:
            rows.append(["F1 at thresholds", *_averages(self.f1_at_thresholds)])
        rows.append(["average precision", *_averages(self.average_precision)])
        pooled = _aligned(["", "micro", "macro", "weighted", "samples"], rows)
        calibrated = _aligned(
            ["", "pooled", "label by label"],
            [
                ["NLL a label (nats)", _number(self.nll), ""],
                ["Brier", _number(self.brier), ""],
                [
                    "ECE, equal width",
                    *map(_number, (self.ece.equal_width, self.ece.macro_equal_width)),
                ],
                [
                    "ECE, equal mass",
                    *map(_number, (self.ece.equal_mass, self.ece.macro_equal_mass)),
                ],
            ],
        )
        columns = {
            "positives": "positives",
            "base rate": "base_rate",
            "mean p": "mean_probability",
            "AP": "average_precision",
            "F1 at 0.5": "f1",
            "threshold": "threshold",
            "F1 at it": "f1_at_threshold",
            "NLL": "nll",
            "Brier": "brier",
            "ECE width": "ece_equal_width",
            "ECE mass": "ece_equal_mass",
        }
        if self.f1_at_thresholds is None:
            del columns["threshold"], columns["F1 at it"]
        table = _aligned(
            ["label", *columns],
            [
                [one.name, *(_number(getattr(one, c)) for c in columns.values())]
                for one in self.labels
            ],
        )
        return "\n\n".join([self._heading(), pooled, calibrated, table])

    def _heading(self) -> str:
        """Say what was scored and what was left out of which average."""
        lines = [f"{self.num_items:,} items, {self.num_labels} labels"]
        if labels := self.f1.labels_left_out:
            what = "1 label has" if labels == 1 else f"{labels} labels have"
            lines.append(f"{what} no positive here: left out of macro")
        if items := self.f1.items_left_out:
            what = "1 item has" if items == 1 else f"{items:,} items have"
            lines.append(f"{what} no label: left out of samples")
        return "\n".join(lines)


def evaluate(
    probability: ArrayLike,
    labels: ArrayLike,
    label_names: Sequence[str],
    thresholds: ArrayLike | None = None,
) -> Evaluation:
    """Score predicted probabilities against true labels.

    Args:
        probability: `items x labels`, in [0, 1].
        labels: `items x labels`, 0 or 1; items whose labels are unknown left out.
        label_names: One name a label.
        thresholds: One number or one a label, chosen on other items than these; None scores
            decisions at 0.5 only.

    Returns:
        The scores.

    Raises:
        UserError: If shapes or values do not fit.

    Example:
        >>> scores = evaluate([[0.9, 0.2], [0.6, 0.7]], [[1, 0], [0, 1]], ["Drama", "Horror"])
        >>> scores.average_precision.macro, scores.labels[1].name, scores.labels[1].f1
        (1.0, 'Horror', 1.0)
    """
    p, y = as_pair(probability, labels)
    num_items, num_labels = p.shape
    if len(label_names) != num_labels:
        raise UserError(
            f"Got {len(label_names)} label names for {num_labels} columns of probabilities; "
            "expected one a label."
        )
    width = calibration.calibration_error_per_label(p, y, binning="equal-width")
    mass = calibration.calibration_error_per_label(p, y, binning="equal-mass")
    columns = {
        "positives": y.sum(axis=0),
        "base_rate": y.mean(axis=0),
        "mean_probability": p.mean(axis=0, dtype=np.float64),
        "average_precision": metrics.average_precision_per_label(p, y),
        "f1": metrics.f1_per_label(p, y),
        "nll": metrics.nll_per_label(p, y),
        "brier": metrics.brier_per_label(p, y),
        "ece_equal_width": width,
        "ece_equal_mass": mass,
    }
    cuts, f1_at_cuts = [None] * num_labels, [None] * num_labels
    if thresholds is not None:
        f1_at_cuts = metrics.f1_per_label(p, y, thresholds).tolist()
        cuts = np.broadcast_to(np.asarray(thresholds, np.float64), (num_labels,)).tolist()
    return Evaluation(
        num_items=num_items,
        num_labels=num_labels,
        f1=metrics.f1(p, y),
        f1_at_thresholds=None if thresholds is None else metrics.f1(p, y, thresholds),
        average_precision=metrics.average_precision(p, y),
        nll=float(columns["nll"].mean()),
        brier=float(columns["brier"].mean()),
        ece=CalibrationError(
            equal_width=calibration.expected_calibration_error(p, y, binning="equal-width"),
            equal_mass=calibration.expected_calibration_error(p, y, binning="equal-mass"),
            macro_equal_width=float(width.mean()),
            macro_equal_mass=float(mass.mean()),
        ),
        labels=tuple(
            LabelEvaluation(
                name=str(name),
                threshold=cuts[c],
                f1_at_threshold=f1_at_cuts[c],
                **{key: values[c].item() for key, values in columns.items()},
            )
            for c, name in enumerate(label_names)
        ),
    )


def _averages(scores: F1 | AveragePrecision) -> list[str]:
    """Spell out the averages; average precision has no weighted one."""
    weighted = _number(scores.weighted) if isinstance(scores, F1) else ""
    return [_number(scores.micro), _number(scores.macro), weighted, _number(scores.samples)]


def _number(value: float | None) -> str:
    """Spell a count as it is and a score with four digits; `-` where it is not defined."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _aligned(header: list[str], rows: list[list[str]]) -> str:
    """Lay out a table: the first column to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [header, *rows]
    )


def _json_safe(value: object) -> Json:
    """Turn nested dataclass values into what JSON can hold."""
    if isinstance(value, dict):
        return {str(key): _json_safe(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json_safe(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    assert value is None or isinstance(value, str | int | float)
    return value
