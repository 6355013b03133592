"""MC dropout: the twin with its dropout left on when it predicts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from bayesfuse.data.catalog import Catalog
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.competitors.bench import Bench, Draws, Fitted, Network
from bayesfuse.estimator.devices import choose_device
from bayesfuse.inference.seeding import seeded


@final
@dataclass(frozen=True)
class MCDropout(Fitted):
    """A network without a posterior, of which each draw has other units dropped.

    Each item has units of its own dropped, so draws are not joint over items.

    Attributes:
        network: The network.
        num_draws: Passes a prediction.
        seed: Seed of what is dropped.
    """

    network: Network
    num_draws: int
    seed: int

    def draws(self, catalog: Catalog, rows: NDArray[np.int64]) -> Draws:
        """Return one draw a pass, each with dropout."""
        classifier = self.network.classifier
        items = classifier.link(catalog).features.take(rows)
        device = choose_device(classifier.device)
        found = []
        with dropping(classifier.model_.network):
            for draw in range(self.num_draws):
                state = np.random.SeedSequence([self.seed, draw]).generate_state(1, np.uint64)
                with seeded(int(state[0] >> 1), device):
                    found.append(classifier.sample_proba(items))
        return np.concatenate(found)


def fit(bench: Bench, seed: int) -> MCDropout:
    """Train the twin.

    Raises:
        ConfigError: If the network has no dropout.

    Reference: Gal and Ghahramani 2016 (arXiv:1506.02142), section 4.
    """
    if bench.config.dropout == 0:
        raise ConfigError(
            "mc-dropout needs dropout, and --dropout is 0: all its draws would be the same. Leave "
            "it out with --only, or set --dropout."
        )
    network = bench.twin(seed)
    draws = bench.config.draws
    return MCDropout(network.seconds, network.num_parameters, network, draws, seed)


@contextmanager
def dropping(network: nn.Module) -> Iterator[None]:
    """Leave every dropout layer on inside the block, in evaluation mode too."""

    def drop(layer: nn.Module, inputs: tuple[Any, ...], _: Tensor) -> Tensor:
        assert isinstance(layer, nn.Dropout)
        return F.dropout(inputs[0], layer.p, training=True)

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Dropout)]
    handles = [layer.register_forward_hook(drop) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
