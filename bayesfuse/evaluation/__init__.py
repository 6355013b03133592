"""Scores, calibration, thresholds and uncertainty, on plain arrays of probabilities and labels."""

from __future__ import annotations

from bayesfuse.evaluation.achieved import Achieved, achieved
from bayesfuse.evaluation.calibration import (
    ReliabilityCurve,
    calibration_error_per_label,
    expected_calibration_error,
    reliability_curve,
)
from bayesfuse.evaluation.criterion import Criterion
from bayesfuse.evaluation.decisions import DecisionRule, cost_thresholds
from bayesfuse.evaluation.decomposition import BrierDecomposition, brier_decomposition
from bayesfuse.evaluation.draw_file import DrawFile
from bayesfuse.evaluation.evaluate import Evaluation, LabelEvaluation, evaluate
from bayesfuse.evaluation.guarantees import Guarantee, guarantee
from bayesfuse.evaluation.informative import Batch, most_informative
from bayesfuse.evaluation.intervals import bootstrap_scores, bootstrap_scores_per_label
from bayesfuse.evaluation.metrics import (
    F1,
    AveragePrecision,
    average_precision,
    average_precision_per_label,
    brier,
    brier_per_label,
    f1,
    f1_per_label,
    nll,
    nll_per_label,
)
from bayesfuse.evaluation.outliers import outlier_auroc
from bayesfuse.evaluation.ranking import Ranking, near_ties, rank_draws, ranks, write_scores
from bayesfuse.evaluation.recalibration import Recalibration
from bayesfuse.evaluation.resampling import Bootstrap, Interval, bootstrap
from bayesfuse.evaluation.selective import RiskCoverage, decision_losses, risk_coverage
from bayesfuse.evaluation.thresholds import best_threshold, best_thresholds, decide
from bayesfuse.evaluation.uncertainty import DrawSummary, Predictive, binary_entropy, summarise

__all__ = [
    "F1",
    "Achieved",
    "AveragePrecision",
    "Batch",
    "Bootstrap",
    "BrierDecomposition",
    "Criterion",
    "DecisionRule",
    "DrawFile",
    "DrawSummary",
    "Evaluation",
    "Guarantee",
    "Interval",
    "LabelEvaluation",
    "Predictive",
    "Ranking",
    "Recalibration",
    "ReliabilityCurve",
    "RiskCoverage",
    "achieved",
    "average_precision",
    "average_precision_per_label",
    "best_threshold",
    "best_thresholds",
    "binary_entropy",
    "bootstrap",
    "bootstrap_scores",
    "bootstrap_scores_per_label",
    "brier",
    "brier_decomposition",
    "brier_per_label",
    "calibration_error_per_label",
    "cost_thresholds",
    "decide",
    "decision_losses",
    "evaluate",
    "expected_calibration_error",
    "f1",
    "f1_per_label",
    "guarantee",
    "most_informative",
    "near_ties",
    "nll",
    "nll_per_label",
    "outlier_auroc",
    "rank_draws",
    "ranks",
    "reliability_curve",
    "risk_coverage",
    "summarise",
    "write_scores",
]
