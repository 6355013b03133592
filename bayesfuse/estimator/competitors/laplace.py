r"""Last-layer Laplace approximation: a Gaussian around the twin's last weights.

The logit of a label depends on no other label's weights, so the generalised Gauss-Newton matrix of
Bernoulli labels is exactly a block a label, and neither a diagonal nor a Kronecker approximation
is needed. (laplace-torch has no likelihood of several Bernoulli labels.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit
from torch import Tensor, nn

from bayesfuse.data.catalog import Catalog
from bayesfuse.estimator.competitors.bench import Bench, Draws, Fitted, Network, stopwatch
from bayesfuse.models.label_vectors import label_weights

Array = NDArray[np.float64]

LOG_PRECISIONS = (-9.0, 12.0)
"""Logarithms of the prior's precision that are looked at."""


@final
@dataclass(frozen=True)
class LastLayer(Fitted):
    """A network without a posterior but for its last layer's.

    Attributes:
        network: The network.
        weights: The last layer's weights, the bias last, `labels x (units + 1)`.
        roots: Square roots of their covariances, `labels x (units + 1) x (units + 1)`.
        precision: The prior's precision.
        num_draws: Draws a prediction.
        seed: Seed of the draws.
    """

    network: Network
    weights: Array
    roots: Array
    precision: float
    num_draws: int
    seed: int

    def draws(self, catalog: Catalog, rows: NDArray[np.int64]) -> Draws:
        """Return draws, joint over items, of the last layer's weights."""
        units, plain = last_units(self.network, catalog, rows)
        rng = np.random.default_rng(self.seed)
        noise = rng.standard_normal((self.num_draws, *self.weights.shape))
        weights = self.weights + np.einsum("cij,scj->sci", self.roots, noise)
        found: Array = expit(np.einsum("iu,scu->sic", units, weights))
        fixed = self.network.classifier.model_.network.fixed_logit.cpu().numpy()
        known = ~np.isnan(fixed)
        found[:, :, known] = plain[:, known]  # the last layer has no say in these
        return found


def fit(bench: Bench, seed: int) -> LastLayer:
    r"""Train the twin, and measure the curvature of its loss in the last layer's weights.

    .. math:: \Sigma_c = \Bigl( \sum_i p_{ic} (1 - p_{ic}) \, h_i h_i^\top
        + \lambda I \Bigr)^{-1}

    with the units h of the last layer, 1 among them for the bias. The precision λ of the prior is
    the one with the largest marginal likelihood.

    Reference: Daxberger et al. 2021 (arXiv:2106.14806), section 2 and appendix A; Kristiadi et al.
    2020 (arXiv:2002.10118) for the last layer alone.
    """
    network = bench.twin(seed)
    with stopwatch() as elapsed:
        units, probability = last_units(network, bench.catalog, bench.train)
        output = network.classifier.model_.network.classifier.output
        weights = np.hstack(
            [
                p.detach().double().cpu().numpy()
                for p in (label_weights(output), output.bias[:, None])
            ]
        )
        values, vectors = curvature(units, probability)
        precision = best_precision(weights, values)
        roots = vectors / np.sqrt(values + precision)[:, None, :]
        seconds = network.seconds + elapsed()
    draws, count = bench.config.draws, network.num_parameters + 1
    return LastLayer(seconds, count, network, weights, roots, precision, draws, seed)


def curvature(units: Array, probability: Array) -> tuple[Array, Array]:
    """Return the eigenvalues and eigenvectors of each label's Gauss-Newton matrix.

    Args:
        units: `items x units`.
        probability: `items x labels`.

    Returns:
        `labels x units`, each >= 0, and `labels x units x units`, a vector a column.
    """
    matrices = [(units * (p * (1 - p))[:, None]).T @ units for p in probability.T]
    values, vectors = np.linalg.eigh(np.stack(matrices))
    return np.maximum(values, 0.0), vectors


def best_precision(weights: Array, values: Array) -> float:
    r"""Return the precision of the prior with the largest Laplace marginal likelihood.

    .. math:: \lambda = \arg\max_\lambda \; \tfrac{P}{2} \log \lambda
        - \tfrac{\lambda}{2} \lVert w \rVert^2 - \tfrac12 \sum_j \log(e_j + \lambda)

    for P weights w and eigenvalues e of the curvature; what else there is does not depend on λ.

    Example:
        >>> weights = np.random.default_rng(0).normal(0, 0.5, (4, 2000))
        >>> round(best_precision(weights, np.full((4, 2000), 1e6)), 1)  # 1 / 0.5², all is known
        4.0
    """
    square, eigenvalues = float((weights**2).sum()), values.ravel()

    def loss(log_precision: float) -> float:
        precision = np.exp(log_precision)
        fit = eigenvalues.size * log_precision - precision * square
        return float(np.log(eigenvalues + precision).sum() - fit) / 2

    found = minimize_scalar(loss, bounds=LOG_PRECISIONS, method="bounded")
    return float(np.exp(found.x))


def last_units(
    network: Network, catalog: Catalog, rows: NDArray[np.int64]
) -> tuple[Array, NDArray[np.float64]]:
    """Return what enters the last layer, and the probabilities that leave it.

    Returns:
        `items x (units + 1)`, the last all 1, and `items x labels`.
    """
    with _entering(network.classifier.model_.network.classifier.output) as seen:
        probability = network.draws(catalog, rows)[0]
    units = np.concatenate(seen)[: len(rows)]  # the last batch is filled up with repeats
    return np.hstack([units, np.ones((len(rows), 1))]), probability.astype(np.float64)


@contextmanager
def _entering(layer: nn.Module) -> Iterator[list[Array]]:
    """Yield a list of what a layer reads inside the block, batch by batch."""
    seen: list[Array] = []

    def note(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        values: Tensor = inputs[0]
        seen.append(values.detach().double().cpu().numpy())

    handle = layer.register_forward_pre_hook(note)
    try:
        yield seen
    finally:
        handle.remove()
