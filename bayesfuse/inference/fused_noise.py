r"""Normal noise of a given variance, made inside the pass that adds it, forward and backward.

.. math:: \text{out} = \text{loc} + \sqrt{v}\, \varepsilon, \qquad
    \frac{\partial L}{\partial v} = \frac{\varepsilon}{2 \sqrt v}
    \frac{\partial L}{\partial\, \text{out}}

The noise is that of a hash of the element's number and a seed, as in
`bayesfuse.inference.fused_laplace`. The pass forward leaves the slope,
:math:`\varepsilon / 2 \sqrt v`, which takes less time to read than the noise to make again.

Two elements, one in each half of the array, share a hash, a logarithm and a root: the sine and the
cosine of one angle are independent of each other. Both are polynomials of it, true to 5e-8.

Reference: Box & Muller 1958 (doi:10.1214/aoms/1177706645) for normal numbers from uniform ones.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from bayesfuse.inference.fused import compile_all, first_line
from bayesfuse.inference.fused_laplace import draw_seed, mixed_numbers

LEAST = 1e-30
"""Variance below which noise has no gradient: the slope of a root is without bound at 0."""

# Minimax fits: of cos(pi x / 2) and of sin(pi x / 2) / x in x**2, for x from -1 to 1.
COSINE = (0.99999995, -1.2336982147, 0.2536507447, -0.0208106276, 0.0008581906)
SINE = (1.57079632, -0.6459637612, 0.0796899269, -0.0046741576, 0.0001516785)


class NoiseKernels(NamedTuple):
    """`noisy`, alone; a tuple, so that it is compiled as those of other kernels are."""

    noisy: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def noisy(loc: Tensor, variance: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
    """Return loc with noise, and its slope in the variance.

    Args:
        loc: An even number of elements.
        variance: >= 0, the same shape.
        seed: Two numbers, int32.
    """
    half = len(loc) // 2
    first, second = _normal_pairs(loc[:half], seed)
    found = [
        _with_noise(loc[:half], variance[:half], first),
        _with_noise(loc[half:], variance[half:], second),
    ]
    return torch.cat([found[0][0], found[1][0]]), torch.cat([found[0][1], found[1][1]])


def _with_noise(loc: Tensor, variance: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    one_over = torch.rsqrt(variance.clamp_min(LEAST))
    slope = torch.where(variance > LEAST, 0.5 * noise * one_over, 0.0)
    return loc + variance * one_over * noise, slope


def _normal_pairs(like: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
    """Return two arrays of standard normal numbers, of the elements' numbers and the seed."""
    first, second = mixed_numbers(like.numel(), seed)
    # 24 bits and a half: in (0, 1), and in (-1, 1) quarter turns; a bit more says which half
    uniform = (((first >> 8) & 0xFFFFFF).to(like.dtype) + 0.5) * 2.0**-24
    turn = ((second >> 8).to(like.dtype) + 0.5) * 2.0**-23
    radius = torch.sqrt(-2 * torch.log(uniform)) * (1 - 2 * (first & 1)).to(like.dtype)
    square = turn * turn
    return radius * _polynomial(COSINE, square), radius * turn * _polynomial(SINE, square)


def _polynomial(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    found = torch.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        found = found * x + coefficient
    return found


EAGER = NoiseKernels(noisy)


@functools.cache
def compiled(device: str = "cpu") -> NoiseKernels:
    """Return it compiled, for arrays of any shape.

    Args:
        device: Where the arrays will be.

    Raises:
        RuntimeError: If there is no compiler here, or it fails; what went wrong in one line.
    """
    made: NoiseKernels = compile_all(EAGER)
    # many, or else the compiler takes one thread for them; of no length that is anything else's
    loc, variance = (torch.ones(131_074, device=device) for _ in range(2))
    seed = torch.zeros(2, dtype=torch.int32, device=device)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the compiler's own parts
            made.noisy(loc, variance, seed)
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
        # bare data: the compiler tells views and what has gradients from others
        means, variances, num = loc.data.reshape(-1), variance.data.reshape(-1), loc.numel()
        if num % 2:
            means, variances = F.pad(means, (0, 1)), F.pad(variances, (0, 1))
        found, slope = kernels.noisy(means, variances, seed)
        ctx.save_for_backward(slope[:num].view(loc.shape))
        return found[:num].view(loc.shape)

    @staticmethod
    def backward(ctx, of_noisy: Tensor) -> Any:  # type: ignore[no-untyped-def]  # torch's
        (slope,) = ctx.saved_tensors
        return of_noisy, of_noisy * slope, None, None
