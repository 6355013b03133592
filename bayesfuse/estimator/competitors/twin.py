"""The deterministic twin: the same network, trained by the same loop without priors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.catalog import Catalog
from bayesfuse.estimator.competitors.bench import Bench, Draws, Fitted, Network


@final
@dataclass(frozen=True)
class Twin(Fitted):
    """A network without a posterior.

    Attributes:
        network: The network.
    """

    network: Network

    def draws(self, catalog: Catalog, rows: NDArray[np.int64]) -> Draws:
        """Return its probabilities as one draw."""
        return self.network.draws(catalog, rows)


def fit(bench: Bench, seed: int) -> Twin:
    """Train it on train, its epoch chosen on val."""
    network = bench.twin(seed)
    return Twin(network.seconds, network.num_parameters, network)
