"""What a row of a paper holds."""

from __future__ import annotations

import pytest

from bayesfuse.estimator.reproducing.published import SCORE_NAMES, PaperRow, scores_of


def test_what_was_not_published_is_not_there() -> None:
    names = ("micro_f1", "macro_f1", "weighted_f1")
    assert scores_of(names, 0.5, None, 0.25) == {"micro_f1": 0.5, "weighted_f1": 0.25}
    with pytest.raises(ValueError, match="zip"):
        scores_of(names, 0.5)


def test_a_row_without_a_model_is_of_nothing_here() -> None:
    row = PaperRow("MFM", "1", {"micro_f1": 0.675}, absent="no model")
    assert row.model is None
    assert set(row.scores) <= set(SCORE_NAMES)
