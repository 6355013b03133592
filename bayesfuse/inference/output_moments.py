r"""Mean and variance of what a linear layer with independent random weights says of an item.

.. math:: \operatorname{E} a_j = \sum_k x_k \operatorname{E} w_{jk} + \operatorname{E} b_j, \qquad
    \operatorname{Var} a_j = \sum_k x_k^2 \operatorname{Var} w_{jk} + \operatorname{Var} b_j

With Laplace scales of rank k, :math:`\text{scale}_{jk} = \sum_r \alpha_{jr} \beta_{kr}`, the
variance takes k² products of vectors and none of the layer's size:

.. math:: \operatorname{Var} a_j = 2 \sum_{r, s} \alpha_{jr} \alpha_{js}
    \sum_k x_k^2 \beta_{kr} \beta_{ks} + \operatorname{Var} b_j

Reference: Kingma et al. 2015 (arXiv:1506.02557), eq. 6.
"""

from __future__ import annotations

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor, nn
from torch.nn import functional as F

from bayesfuse.inference.site_guides import SiteGuide, TiedLaplaceSiteGuide


class OutputMoments:
    """Mean and variance of a linear layer's outputs, from its guide as it is now.

    Args:
        layer: The layer.
        weight: The guide of its weights, which are independent of each other.
        bias: The guide of its bias; None if that is not random, or there is none.
        distributions: Site name to the distribution of `weight` and `bias`, where it is known.
    """

    def __init__(
        self,
        layer: nn.Linear,
        weight: SiteGuide,
        bias: SiteGuide | None,
        distributions: dict[str, TorchDistribution] | None = None,
    ) -> None:
        known = distributions or {}

        def of(guide: SiteGuide) -> TorchDistribution:
            return known.get(guide.site_name) or guide.distribution()

        weights = of(weight)
        self._loc: Tensor = weights.mean
        self._factors: tuple[Tensor, Tensor] | None = None
        if isinstance(weight, TiedLaplaceSiteGuide) and weight.tied:
            self._factors = (_pairs(weight.columns), 2 * _pairs(weight.rows))
        else:
            self._variance: Tensor = weights.variance
        self._bias = layer.bias
        self._bias_variance: Tensor | None = None
        if bias is not None:
            self._bias, self._bias_variance = of(bias).mean, of(bias).variance

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance, float32 at least, each `items x units`.

        Args:
            x: `items x features`.
        """
        loc, squares = F.linear(x, self._loc, self._bias), x.square()
        if self._factors is None:
            variance = F.linear(squares, self._variance, self._bias_variance)
        else:
            columns, rows = self._factors
            variance = F.linear(squares @ columns, rows, self._bias_variance)
        return _full(loc), _full(variance)


def _pairs(factor: Tensor) -> Tensor:
    """Return the products of every two columns, `rows x rank²`."""
    return (factor[:, :, None] * factor[:, None, :]).flatten(1)


def _full(tensor: Tensor) -> Tensor:
    """Return half precision as float32, and any other as it is."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
