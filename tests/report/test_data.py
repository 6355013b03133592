from __future__ import annotations

import dataclasses
import math

import pytest

from bayesfuse.report import KnownTruth, ReliabilityCurve, ReportData


def test_a_curve_of_unequal_bins_is_refused() -> None:
    with pytest.raises(ValueError, match=r'"Drama" has 2 predicted, 1 observed and 2 counts'):
        ReliabilityCurve("Drama", [0.1, 0.9], [0.1], [3, 4])


def test_truth_comes_in_pairs() -> None:
    with pytest.raises(ValueError, match="Got 1 predicted and 2 true"):
        KnownTruth([0.5], [0.5, 0.5])


def test_matching_lengths_are_accepted() -> None:
    assert math.isnan(ReliabilityCurve("Drama", [0.1], [0.2], [3]).ece)
    assert KnownTruth([0.5], [0.4]).true == [0.4]


def test_a_report_cannot_be_changed(report_data: ReportData) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        report_data.title = "other"  # type: ignore[misc]
