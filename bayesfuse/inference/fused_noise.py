r"""Normal noise of a given variance, made inside the pass that adds it, forward and backward.

.. math:: \text{out} = \text{loc} + \sqrt{v}\, \varepsilon, \qquad
    \frac{\partial L}{\partial v} = \frac{\varepsilon}{2 \sqrt v}
    \frac{\partial L}{\partial\, \text{out}}

The noise is that of a hash of the element's number and a seed, as in
`bayesfuse.inference.fused_laplace`, so that the pass back makes it again and nothing is kept.

Reference: Box & Muller 1958 (doi:10.1214/aoms/1177706645) for normal numbers from uniform ones.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from bayesfuse.inference.fused import compile_all, first_line
from bayesfuse.inference.fused_laplace import draw_seed, mixed_numbers

LEAST = 1e-30
"""Variance below which noise has no gradient: the slope of a root is without bound at 0."""


class NoiseKernels(NamedTuple):
    """The two directions: `noisy` and `gradient`."""

    noisy: Callable[[Tensor, Tensor, Tensor], Tensor]
    gradient: Callable[[Tensor, Tensor, Tensor], Tensor]


def noisy(loc: Tensor, variance: Tensor, seed: Tensor) -> Tensor:
    """Return loc with noise.

    Args:
        loc: Any shape.
        variance: >= 0, the same shape.
        seed: Two numbers, int32.
    """
    return loc + variance.clamp_min(LEAST).sqrt() * _normal(loc, seed)


def gradient(of_noisy: Tensor, variance: Tensor, seed: Tensor) -> Tensor:
    """Return the gradient of the variance.

    Args:
        of_noisy: Gradient of what `noisy` returned.
        variance: As there.
        seed: As there.
    """
    slope = 0.5 * _normal(of_noisy, seed) * torch.rsqrt(variance.clamp_min(LEAST))
    return torch.where(variance > LEAST, of_noisy * slope, 0.0)


def _normal(like: Tensor, seed: Tensor) -> Tensor:
    """Return standard normal numbers of the elements' numbers and the seed."""
    first, second = mixed_numbers(like.numel(), seed)
    # 24 bits and a half: in (0, 1), and in (-1, 1) half turns
    uniform = (((first >> 8) & 0xFFFFFF).to(like.dtype) + 0.5) * 2.0**-24
    turn = ((second >> 8).to(like.dtype) + 0.5) * 2.0**-23
    found = torch.sqrt(-2 * torch.log(uniform)) * torch.cos(math.pi * turn)
    return found.view(like.shape)


EAGER = NoiseKernels(noisy, gradient)


@functools.cache
def compiled(device: str = "cpu") -> NoiseKernels:
    """Return both compiled, for arrays of any shape.

    Args:
        device: Where the arrays will be.

    Raises:
        RuntimeError: If there is no compiler here, or it fails; what went wrong in one line.
    """
    made: NoiseKernels = compile_all(EAGER)
    # two arrays, of lengths that are nothing else's: the compiler takes what is equal for a rule
    loc, variance = (torch.ones(67, 131, device=device) for _ in range(2))
    seed = torch.zeros(2, dtype=torch.int32, device=device)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the compiler's own parts
            made.noisy(loc, variance, seed)
            made.gradient(loc, variance, seed)
    except Exception as error:  # whatever a compiler's many parts may raise
        raise RuntimeError(first_line(error)) from error
    return made


def add_noise(loc: Tensor, variance: Tensor, kernels: NoiseKernels | None = None) -> Tensor:
    """Return loc with normal noise of its own for each element.

    Args:
        loc: Any shape.
        variance: >= 0, the same shape.
        kernels: `EAGER`, or `compiled()`; torch and its own noise if None.
    """
    if kernels is None:
        return torch.addcmul(loc, variance.clamp_min(LEAST).sqrt(), torch.randn_like(variance))
    found: Tensor = _Noise.apply(loc, variance, draw_seed(loc.device), kernels)  # type: ignore[no-untyped-call]  # torch's
    return found


class _Noise(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[no-untyped-def]  # torch's
        ctx, loc: Tensor, variance: Tensor, seed: Tensor, kernels: NoiseKernels
    ) -> Tensor:
        ctx.save_for_backward(variance, seed)
        ctx.kernels = kernels
        # bare data: the compiler tells views and what has gradients from others
        return kernels.noisy(loc.data, variance.data, seed)

    @staticmethod
    def backward(ctx, of_noisy: Tensor) -> Any:  # type: ignore[no-untyped-def]  # torch's
        variance, seed = (tensor.data for tensor in ctx.saved_tensors)
        return of_noisy, ctx.kernels.gradient(of_noisy.contiguous(), variance, seed), None, None
