"""Scores, calibration, thresholds and uncertainty, on plain arrays of probabilities and labels."""

from __future__ import annotations

from bayesfuse.evaluation.calibration import (
    ReliabilityCurve,
    calibration_error_per_label,
    expected_calibration_error,
    reliability_curve,
)
from bayesfuse.evaluation.evaluate import Evaluation, LabelEvaluation, evaluate
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
from bayesfuse.evaluation.thresholds import best_threshold, best_thresholds, decide
from bayesfuse.evaluation.uncertainty import DrawSummary, Predictive, binary_entropy, summarise

__all__ = [
    "F1",
    "AveragePrecision",
    "DrawSummary",
    "Evaluation",
    "LabelEvaluation",
    "Predictive",
    "ReliabilityCurve",
    "average_precision",
    "average_precision_per_label",
    "best_threshold",
    "best_thresholds",
    "binary_entropy",
    "brier",
    "brier_per_label",
    "calibration_error_per_label",
    "decide",
    "evaluate",
    "expected_calibration_error",
    "f1",
    "f1_per_label",
    "nll",
    "nll_per_label",
    "reliability_curve",
    "summarise",
]
