from __future__ import annotations

import pytest
import torch

from bayesfuse.errors import ConfigError
from bayesfuse.models.base_rates import base_rates


def test_rates_are_the_posterior_means_under_jeffreys_prior() -> None:
    counts = torch.tensor([0, 1, 5, 9])
    rates, constant = base_rates(counts, 9, 4)
    expected = torch.distributions.Beta(counts.double() + 0.5, 9 - counts.double() + 0.5).mean
    torch.testing.assert_close(rates, expected)
    assert constant.tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("counts", "num_items", "words"),
    [([1, 2, 3], 9, "expected.*one a label"), ([1, 12], 9, "expected 0..N"), ([0, 0], 0, "0..N")],
)
def test_counts_are_checked(counts: list[int], num_items: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        base_rates(torch.tensor(counts), num_items, 2)
