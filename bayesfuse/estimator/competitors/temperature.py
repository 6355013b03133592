"""The twin with temperature scaling: its logits divided by numbers chosen on val."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.catalog import Catalog
from bayesfuse.estimator.competitors.bench import Bench, Draws, Fitted, Network, stopwatch
from bayesfuse.evaluation.temperature import best_temperature, best_temperatures, tempered


@final
@dataclass(frozen=True)
class Tempered(Fitted):
    """A network without a posterior, and how much less sure to be than it is.

    Attributes:
        network: The network.
        temperature: One number, or one a label.
    """

    network: Network
    temperature: NDArray[np.float64]

    def draws(self, catalog: Catalog, rows: NDArray[np.int64]) -> Draws:
        """Return the scaled probabilities as one draw."""
        return tempered(self.network.draws(catalog, rows), self.temperature)


def fit(bench: Bench, seed: int) -> Tempered:
    """Choose one temperature for all labels (Guo et al. 2017)."""
    return _fit(bench, seed, by_label=False)


def fit_by_label(bench: Bench, seed: int) -> Tempered:
    """Choose one temperature a label."""
    return _fit(bench, seed, by_label=True)


def _fit(bench: Bench, seed: int, *, by_label: bool) -> Tempered:
    network = bench.twin(seed)
    with stopwatch() as elapsed:
        probability = network.draws(bench.catalog, bench.val)[0]
        choose = best_temperatures if by_label else best_temperature
        temperature = np.asarray(choose(probability, bench.labels(bench.val)))
        seconds = network.seconds + elapsed()
    return Tempered(seconds, network.num_parameters + temperature.size, network, temperature)
