"""A deep ensemble: twins that differ in their seed, averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.catalog import Catalog
from bayesfuse.estimator.competitors.bench import Bench, Draws, Fitted, Network

NUM_MEMBERS = 5
"""The paper's number."""


@final
@dataclass(frozen=True)
class Ensemble(Fitted):
    """Several networks without a posterior.

    Attributes:
        members: The networks.
    """

    members: tuple[Network, ...]

    def draws(self, catalog: Catalog, rows: NDArray[np.int64]) -> Draws:
        """Return the probabilities of each member as one draw."""
        return np.concatenate([member.draws(catalog, rows) for member in self.members])


def fit(bench: Bench, seed: int) -> Ensemble:
    """Train the members; those of one seed are not among those of another.

    Reference: Lakshminarayanan et al. 2017 (arXiv:1612.01474), without adversarial training.
    """
    members = tuple(bench.twin(seed * NUM_MEMBERS + number) for number in range(NUM_MEMBERS))
    return Ensemble(
        sum(member.seconds for member in members),
        sum(member.num_parameters for member in members),
        members,
    )
