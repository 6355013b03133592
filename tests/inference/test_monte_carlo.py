from __future__ import annotations

import numpy as np
import pytest

from bayesfuse.errors import UserError
from bayesfuse.inference.monte_carlo import monte_carlo_error


def test_it_is_the_spread_of_means_of_that_many_draws() -> None:
    rng = np.random.default_rng(0)
    sets = rng.beta(2, 5, size=(2000, 40, 1, 1))  # 2,000 times 40 draws of one probability
    truth = sets.mean(axis=1).std()
    found = np.array([monte_carlo_error(draws.std(axis=0), 40) for draws in sets])
    assert np.sqrt(np.square(found).mean()) == pytest.approx(truth, rel=0.03)
    # the negative control: an error that forgets the number of draws would not pass
    assert found.mean() * 40**0.5 > 1.5 * truth


def test_the_worst_label_counts_and_of_it_the_root_mean_square() -> None:
    sd = np.array([[0.0, 0.1], [0.0, 0.7]])
    assert monte_carlo_error(sd, 26) == pytest.approx(0.1)
    assert monte_carlo_error(sd[:, :1], 26) == 0
    assert monte_carlo_error(np.zeros((3, 0)), 2) == 0


@pytest.mark.parametrize(("sd", "draws"), [([[0.1]], 1), ([0.1], 5)])
def test_what_has_no_error_is_refused(sd: list[float], draws: int) -> None:
    with pytest.raises(UserError, match="expected"):
        monte_carlo_error(sd, draws)
