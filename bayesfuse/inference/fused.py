"""What distributions of whole arrays have in common whose KL comes out of a pass they make."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from pyro.distributions.torch_distribution import TorchDistribution
from torch import Tensor
from torch.distributions import kl_divergence
from torch.distributions.kl import register_kl

SMALLEST = 8192
"""Elements below which a kernel of its own gains nothing."""


class FusedDistribution(TorchDistribution):  # type: ignore[misc]  # Pyro ships no types
    """A Laplace distribution of a whole array whose KL to its prior is fused. Abstract.

    Attributes:
        loc: Locations, any shape.
        prior_scale: Scale of the Laplace prior around 0 to which the KL will be taken; None if it
            has another form.
        kl: That KL, once it is known, in nats.
    """

    has_rsample = True

    def __init__(self, loc: Tensor, prior_scale: Tensor | None) -> None:
        self.loc, self.prior_scale = loc, prior_scale
        self.kl: Tensor | None = None
        super().__init__(torch.Size(), loc.shape, validate_args=False)

    @property
    @abstractmethod
    def plain(self) -> dist.Independent:
        """Return the same distribution without kernels."""

    @property
    def mean(self) -> Tensor:
        """Return the locations."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """Return the variance of every element."""
        variance: Tensor = self.plain.variance
        return variance

    @property
    def support(self) -> Any:
        """Return where it has mass."""
        return constraints.independent(constraints.real, len(self.event_shape))

    def expand(self, batch_shape: Any, _instance: Any = None) -> TorchDistribution:
        """Return the plain distribution, expanded."""
        return self.plain.expand(batch_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density of an array, a scalar, in nats."""
        density: Tensor = self.plain.log_prob(value)
        return density


def first_line(error: Exception) -> str:
    """Return what went wrong in a compiler of many parts, in one line."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def compile_all(kernels: Any) -> Any:
    """Return a tuple of kernels compiled, for arrays of any shape."""
    compiled: list[Callable[..., Any]] = [
        torch.compile(kernel, dynamic=True, fullgraph=True) for kernel in kernels
    ]
    return type(kernels)(*compiled)


def _kl_fused_independent(q: FusedDistribution, p: dist.Independent) -> Tensor:
    """Return the KL of the distribution's own pass if it is to this prior, else torch's."""
    base = p.base_dist
    known = isinstance(base, dist.Laplace) and base.scale.data_ptr() == (
        None if q.prior_scale is None else q.prior_scale.data_ptr()
    )
    if known and q.kl is not None:
        return q.kl
    plain: Tensor = kl_divergence(q.plain, p)
    return plain


register_kl(FusedDistribution, torch.distributions.Independent)(_kl_fused_independent)  # type: ignore[no-untyped-call]  # torch's
