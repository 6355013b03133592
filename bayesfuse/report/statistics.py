"""The statistical sections of a report, in numbers, and the pictures of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bayesfuse.evaluation.checks import PredictiveCheck
from bayesfuse.evaluation.resampling import Interval
from bayesfuse.report.competitors import Competitors, competitor_sketches
from bayesfuse.report.predictive import check_sketches
from bayesfuse.report.risk import Risks, label_risk_sketch, risk_sketch
from bayesfuse.report.robustness_section import robustness_sketch
from bayesfuse.report.sketch import Sketch
from bayesfuse.report.strata import MissingRow, Stratum, strata_sketches
from bayesfuse.report.svg import Picture

if TYPE_CHECKING:
    from bayesfuse.estimator.robustness import Robustness

MAX_PANELS = 40
"""Small risk-coverage curves: one a label."""


@dataclass(frozen=True)
class Statistics:
    """What is told of a run beside its scores and items.

    Args:
        intervals: Name of a metric to its value with a 95 % interval over items.
        risks: Risk-coverage curves.
        check: The posterior predictive check.
        strata: All items, and those that lack something; empty where none does.
        missing: Scores where modalities are hidden; empty where that was not asked.
        competitors: What `bayesfuse compare` found on the same items.
        robustness: Scores of items that are moved; None where that was not asked.
        notes: What was looked at of a part of the items only, one sentence each.
    """

    intervals: Mapping[str, Interval] = field(default_factory=dict)
    risks: Risks | None = None
    check: PredictiveCheck | None = None
    strata: Sequence[Stratum] = ()
    missing: Sequence[MissingRow] = ()
    competitors: Competitors | None = None
    robustness: Robustness | None = None
    notes: Sequence[str] = ()


def pictures_of(statistics: Statistics) -> dict[str, list[Picture]]:
    """Return the pictures of each section, by its name; none of a section that is not there.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    competitors, risks = statistics.competitors, statistics.risks
    found: dict[str, list[Sketch]] = {}
    found["strata"] = strata_sketches(statistics.strata) if statistics.strata else []
    found["competitors"] = [] if competitors is None else competitor_sketches(competitors)
    moved = statistics.robustness
    found["robustness"] = [] if moved is None else [robustness_sketch(moved)]
    found["check"] = [] if statistics.check is None else check_sketches(statistics.check)
    found["risk"] = [] if risks is None else _risk_sketches(risks)
    labels = [] if risks is None else risks.labels[:MAX_PANELS]
    found["risk_labels"] = [label_risk_sketch(curve, n) for n, curve in enumerate(labels)]
    return {name: [sketch.picture() for sketch in sketches] for name, sketches in found.items()}


def _risk_sketches(risks: Risks) -> list[Sketch]:
    dashed = "The dashed line is what a random order would leave; strokes are 95 % intervals."
    return [
        risk_sketch(
            risks.decisions,
            "Decisions, the surest first",
            "decisions",
            "Wrong decisions among those that are kept, all labels together, ordered by how far "
            f"the probability is from its threshold. {dashed}",
        ),
        risk_sketch(
            risks.items,
            "Items, the least uncertain first",
            "items",
            "Share of an item's labels that are wrong, by total uncertainty: what is left if the "
            f"most uncertain items go to a person. {dashed}",
        ),
    ]
