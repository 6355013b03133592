"""A normal distribution over an array of weights with a low-rank plus diagonal covariance."""

from __future__ import annotations

from typing import Any, ClassVar

import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor


class LowRankNormal(TorchDistribution):  # type: ignore[misc]  # Pyro ships no types
    r"""Normal over one array: w = m + F ε + s ⊙ η, with ε and η standard normal.

    The covariance is F Fᵀ + diag(s²) over the flattened array; density and entropy are those of
    `torch.distributions.LowRankMultivariateNormal` (matrix determinant lemma, O(weights · rank²)).

    Args:
        loc: m, of the event's shape.
        factor: F, event shape x rank.
        scale: s > 0, of the event's shape.

    Reference: Ong, Nott & Smith 2018 (arXiv:1701.03208), Gaussian VI with a factor covariance.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}
    has_rsample = True

    def __init__(self, loc: Tensor, factor: Tensor, scale: Tensor) -> None:
        self.loc, self.factor, self.scale = loc, factor, scale
        self._flat = dist.LowRankMultivariateNormal(
            loc.reshape(-1),
            factor.reshape(-1, factor.shape[-1]),
            scale.reshape(-1).square(),
            validate_args=False,
        )
        super().__init__(torch.Size(), loc.shape, validate_args=False)

    @property
    def support(self) -> Any:
        """All real arrays of the event's shape."""
        return constraints.independent(constraints.real, len(self.event_shape))

    @property
    def marginal_scale(self) -> Tensor:
        r"""Standard deviation of each weight on its own: √(s² + Σ_k F_k²)."""
        return (self.scale.square() + self.factor.square().sum(-1)).sqrt()

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:  # noqa: B008  # torch's signature
        """Return reparameterised draws, `sample_shape + event_shape`."""
        flat: Tensor = self._flat.rsample(sample_shape)
        return flat.reshape(torch.Size(sample_shape) + self.event_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density of the whole array, `sample_shape`, in nats."""
        batch = value.shape[: value.dim() - len(self.event_shape)]
        density: Tensor = self._flat.log_prob(value.reshape(*batch, -1))
        return density

    def entropy(self) -> Tensor:
        """Return the differential entropy of the whole array, a scalar, in nats."""
        entropy: Tensor = self._flat.entropy()
        return entropy
