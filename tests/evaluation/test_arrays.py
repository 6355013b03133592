from __future__ import annotations

import numpy as np
import pytest

from bayesfuse.errors import UserError
from bayesfuse.evaluation.arrays import as_pair, as_probability


def test_the_floating_dtype_is_kept():
    assert as_probability(np.float32([[0.5]])).dtype == np.float32
    assert as_probability([[1, 0]]).dtype == np.float64


@pytest.mark.parametrize("dtype", [bool, int, np.float32])
def test_labels_come_back_as_bool(dtype):
    probability, labels = as_pair([[0.5, 0.5]], np.array([[1, 0]], dtype=dtype))
    assert labels.dtype == bool
    assert labels.tolist() == [[True, False]]
    assert probability.shape == (1, 2)


@pytest.mark.parametrize(
    ("probability", "labels", "message"),
    [
        ([[0.5, 0.5]], [[1, 0, 1]], r"shape \(1, 2\) and labels of shape \(1, 3\)"),
        ([0.5, 0.5], [1, 0], "expected both to be items x labels"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "at least one value"),
        ([[0.5, np.nan]], [[1, 0]], r"holds nan at \(0, 1\)"),
        ([[0.5], [1.5]], [[1], [0]], r"holds 1.5 at \(1, 0\).* not logits"),
        ([[-0.1]], [[1]], "holds -0.1"),
        ([[0.5]], [[2]], "other than 0 and 1"),
        ([[0.5]], [[np.nan]], "other than 0 and 1"),
        ([[0.5]], [[-1]], "other than 0 and 1"),
    ],
)
def test_what_does_not_fit_is_said(probability, labels, message):
    with pytest.raises(UserError, match=message):
        as_pair(probability, labels)
