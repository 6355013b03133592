"""The network with its posterior, as the settings say: what the others are held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.catalog import Catalog
from bayesfuse.estimator.competitors.bench import Bench, Draws, Fitted, Network


@final
@dataclass(frozen=True)
class Bayesian(Fitted):
    """A network and its posterior.

    Attributes:
        network: The network.
    """

    network: Network

    def draws(self, catalog: Catalog, rows: NDArray[np.int64]) -> Draws:
        """Return as many posterior draws as the settings say."""
        return self.network.draws(catalog, rows)


def fit(bench: Bench, seed: int) -> Bayesian:
    """Train it on train, its epoch chosen on val."""
    network = bench.network(seed)
    return Bayesian(network.seconds, network.num_parameters, network)
