"""What a report shows: plain numbers and words that somebody else has computed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bayesfuse.report.item_rows import ItemRow, LabelRanking, SurpriseRow, TagRow
from bayesfuse.report.statistics import Statistics


@dataclass(frozen=True)
class LabelRow:
    """How one label fares on the evaluated split; NaN where a number does not exist.

    Args:
        name: The label.
        num_positives: How many items carry it.
        base_rate: Its share of the items: the average precision of a blind guess.
        average_precision: Area under the precision-recall curve.
        f1: F1 at `threshold`.
        threshold: The probability from which the label is given.
        brier: Mean squared error of the probability.
        ece: Expected calibration error, in probability.
    """

    name: str
    num_positives: int
    base_rate: float
    average_precision: float
    f1: float
    threshold: float
    brier: float
    ece: float


@dataclass(frozen=True)
class ReliabilityCurve:
    """Predicted against observed frequency, one number a bin; empty bins are left out.

    Args:
        name: The label, or what was pooled.
        predicted: Mean probability in each bin.
        observed: Share of positives in each bin.
        count: How many predictions each bin holds.
        ece: Expected calibration error of the curve, in probability.

    Raises:
        ValueError: If the three sequences differ in length.
    """

    name: str
    predicted: Sequence[float]
    observed: Sequence[float]
    count: Sequence[int]
    ece: float = math.nan

    def __post_init__(self) -> None:
        """Check that the bins match."""
        sizes = {len(self.predicted), len(self.observed), len(self.count)}
        if len(sizes) > 1:
            raise ValueError(
                f'The reliability curve of "{self.name}" has {len(self.predicted)} predicted, '
                f"{len(self.observed)} observed and {len(self.count)} counts; expected one of "
                "each a bin."
            )


@dataclass(frozen=True)
class KnownTruth:
    """Pairs of a predicted and the true probability, where a demo catalogue knows the latter.

    Args:
        predicted: Posterior-predictive probabilities; a sample of a few thousand is plenty.
        true: The probabilities that the items were drawn with, in the same order.

    Raises:
        ValueError: If the two differ in length.
    """

    predicted: Sequence[float]
    true: Sequence[float]

    def __post_init__(self) -> None:
        """Check that the pairs are pairs."""
        if len(self.predicted) != len(self.true):
            raise ValueError(
                f"Got {len(self.predicted)} predicted and {len(self.true)} true probabilities; "
                "expected pairs."
            )


@dataclass(frozen=True)
class ReportData:
    """Everything on the page; `bayesfuse.report.html.render` computes nothing more.

    Args:
        title: The page's heading.
        command: The exact command that reproduces the run; empty where it was fitted on arrays.
        split: The split that was evaluated.
        num_items: How many items it has.
        num_draws: Posterior draws behind each probability.
        settings: Every setting of the run, in the order to show them.
        history: One mapping an epoch, with the columns of `history.csv`.
        metrics: Pooled metrics by name, such as `macro_ap`; NaN where undefined.
        labels: One row a label, in the order to show them.
        reliability: The curve over all labels.
        label_reliability: One curve a label.
        items: The most uncertain items first; all of them, or as many as were asked for.
        epistemic_shares: The epistemic share of every item of the split, in [0, 1].
        best_epoch: The epoch whose weights were kept.
        num_left_to_person: How many items of the split are left to a person.
        temperature: The weight of the KL term at the end of training; other than 1 is said aloud.
        truth: Known probabilities, for a demo catalogue.
        warnings: What the reader must know, one sentence each.
        versions: Package name to version.
        typed: The command of the fit as it was typed.
        report_command: The command that made this report, as it was typed.
        surprises: The labels whose truth was least probable, the least probable first.
        rankings: The first items of each label, in the order to show the labels.
        num_unreadable: How many of the items have a picture that cannot be read.
        statistics: Intervals, checks, risk-coverage, strata and competitors.
    """

    title: str
    command: str
    split: str
    num_items: int
    num_draws: int
    settings: Mapping[str, object]
    history: Sequence[Mapping[str, float]]
    metrics: Mapping[str, float]
    labels: Sequence[LabelRow]
    reliability: ReliabilityCurve
    label_reliability: Sequence[ReliabilityCurve]
    items: Sequence[ItemRow]
    epistemic_shares: Sequence[float]
    best_epoch: int | None = None
    num_left_to_person: int | None = None
    temperature: float = 1.0
    truth: KnownTruth | None = None
    warnings: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    typed: str = ""
    report_command: str = ""
    surprises: Sequence[SurpriseRow] = ()
    rankings: Sequence[LabelRanking] = ()
    num_unreadable: int = 0
    statistics: Statistics = field(default_factory=Statistics)


__all__ = ["ItemRow", "KnownTruth", "LabelRow", "ReliabilityCurve", "ReportData", "TagRow"]
