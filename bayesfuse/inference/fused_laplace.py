r"""A Laplace draw and its KL to a Laplace prior in one pass over memory, forward and backward.

Drawing weights, taking their KL and its gradients costs more than the products of a layer if each
operation reads and writes every weight. Here each direction is one kernel, compiled once by
`torch.compile` for arrays of any length. Noise comes from a hash of the weight's number and a
seed, so that threads need not wait for one another, as with torch's generator on the CPU; the seed
comes from torch's generator.

With scale :math:`s = \mathrm{softplus}(\rho)`, noise :math:`\epsilon \sim \mathrm{Laplace}(0, 1)`
and a prior Laplace(0, b):

.. math:: w = m + s \epsilon, \qquad
    \mathrm{KL} = \sum \log \frac bs + \frac{|m|}{b} + \frac sb e^{-|m|/s} - 1

.. math:: \frac{\partial L}{\partial m} = \frac{\partial L}{\partial w}
    + c \, \frac{\mathrm{sign}(m)}{b} (1 - e^{-|m|/s}), \qquad
    \frac{\partial L}{\partial s} = \frac{\partial L}{\partial w} \epsilon
    + c \left( \frac1b e^{-|m|/s} \left(1 + \frac{|m|}{s}\right) - \frac1s \right)

with c what the KL counts for in the loss L.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from torch import Tensor
from torch.nn.functional import softplus

from bayesfuse.inference.fused import SMALLEST, FusedDistribution, compile_all, first_line


class Kernels(NamedTuple):
    """The two directions: `draw` and `gradients`."""

    draw: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
    gradients: Callable[..., tuple[Tensor, Tensor]]


def draw(loc: Tensor, free: Tensor, seed: Tensor, prior_scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return a draw and the KL to Laplace(0, prior_scale), in nats.

    Args:
        loc: Locations, `n`.
        free: Unconstrained scales, `n`.
        seed: Two numbers, int32.
        prior_scale: b, a scalar.
    """
    scale = softplus(free)
    uniform = _uniform(loc, seed)
    noise = -torch.sign(uniform) * torch.log1p(-uniform.abs())
    far = loc.abs()
    kl = (scale / prior_scale) * torch.exp(-far / scale) - torch.log(scale / prior_scale)
    return loc + scale * noise, (kl + far / prior_scale - 1).sum()


def gradients(
    of_draw: Tensor, of_kl: Tensor, drawn: Tensor, loc: Tensor, free: Tensor, prior_scale: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the gradients of locations and unconstrained scales, `n` each.

    Args:
        of_draw: Gradient of the draw, `n`.
        of_kl: Gradient of the KL, a scalar.
        drawn: The draw, `n`.
        loc: Locations, `n`.
        free: Unconstrained scales, `n`.
        prior_scale: b, a scalar.
    """
    scale = softplus(free)
    ratio = loc.abs() / scale
    decay = torch.exp(-ratio)
    of_loc = of_draw + of_kl * torch.sign(loc) * (1 - decay) / prior_scale
    of_scale = of_draw * (drawn - loc) / scale + of_kl * (
        decay * (1 + ratio) / prior_scale - 1 / scale
    )
    return of_loc, of_scale * torch.sigmoid(free)


def _uniform(like: Tensor, seed: Tensor) -> Tensor:
    """Return numbers in (-1, 1): the number of the element, mixed twice with a seed.

    Reference: the finaliser of MurmurHash3 (Appleby 2016, public domain), a bijection of 32 bits;
    multiples of 2^32 / golden ratio spread the counter (Knuth 1998, section 6.4).
    """
    return _between(mixed_numbers(like.numel(), seed)[0], like.dtype)


def mixed_numbers(num: int, seed: Tensor) -> tuple[Tensor, Tensor]:
    """Return two arrays of 32 random bits, `num` each; see `_uniform`."""
    number = torch.arange(num, dtype=torch.int32, device=seed.device)
    first = _mix(_mix(number * -1640531527 + seed[0]) ^ seed[1])
    return first, _mix(first ^ (seed[0] * 5 + 1))


def draw_seed(device: torch.device) -> Tensor:
    """Return a seed from torch's generator, two numbers."""
    return torch.randint(-(2**31), 2**31 - 1, (2,), dtype=torch.int32, device=device)


def _between(bits: Tensor, dtype: torch.dtype) -> Tensor:
    """Return 32 random bits as a number in (-1, 1)."""
    # 24 bits and a half: exact in float32, never 0 or at an end
    return ((bits >> 8).to(dtype) + 0.5) * 2.0**-23


def _mix(bits: Tensor) -> Tensor:
    # shifts of int32 keep the sign, which the masks take away
    bits = bits ^ ((bits >> 16) & 0xFFFF)
    bits = bits * -2048144789
    bits = bits ^ ((bits >> 13) & 0x7FFFF)
    bits = bits * -1028477387
    return bits ^ ((bits >> 16) & 0xFFFF)


EAGER = Kernels(draw, gradients)


@functools.cache
def compiled(device: str = "cpu") -> Kernels:
    """Return both compiled, for arrays of any length.

    Args:
        device: Where the arrays will be.

    Raises:
        RuntimeError: If there is no compiler here, or it fails; what went wrong in one line.
    """
    made: Kernels = compile_all(EAGER)
    like: dict[str, Any] = {"device": device, "dtype": torch.float32}
    # three arrays, of a length that is nothing else's: the compiler takes what is equal for a rule
    loc, free, grad = (torch.ones(SMALLEST + 17, **like) for _ in range(3))
    seed = torch.zeros(2, dtype=torch.int32, device=device)
    of_kl, b = torch.ones((), **like), torch.ones((), **like)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the compiler's own parts
            drawn, _ = made.draw(loc.data, free.data, seed, b)
            made.gradients(grad.data, of_kl, drawn, loc.data, free.data, b)
    except Exception as error:  # whatever a compiler's many parts may raise
        raise RuntimeError(first_line(error)) from error
    return made


class FusedLaplace(FusedDistribution):
    """Laplace(loc, softplus(free)) over a whole array, whose draws and KL are fused.

    The KL is that of the draw's own pass, so it is known once there is a draw.

    Args:
        loc: Locations, any shape.
        free: Unconstrained scales, the same shape.
        prior_scale: See `FusedDistribution`.
        kernels: `EAGER`, or `compiled()`.
    """

    arg_constraints = {"loc": constraints.real, "free": constraints.real}  # noqa: RUF012  # as torch's

    def __init__(
        self, loc: Tensor, free: Tensor, prior_scale: Tensor | None, kernels: Kernels
    ) -> None:
        self.free, self._kernels = free, kernels
        super().__init__(loc, prior_scale)

    @property
    def plain(self) -> dist.Independent:
        """Return the same distribution without kernels."""
        return dist.Laplace(self.loc, softplus(self.free)).to_event(self.loc.dim())

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw the array; the KL comes with it."""
        if tuple(sample_shape):
            several: Tensor = self.plain.rsample(sample_shape)
            return several
        loc, free = self.loc.reshape(-1), self.free.reshape(-1)
        seed = draw_seed(loc.device)
        b = loc.new_ones(()) if self.prior_scale is None else self.prior_scale
        drawn, kl = _Draw.apply(loc, free, seed, b, self._kernels)  # type: ignore[no-untyped-call]
        if self.prior_scale is not None:
            self.kl = kl
        value: Tensor = drawn.reshape(self.loc.shape)
        return value


class _Draw(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[no-untyped-def]  # torch's
        ctx, loc: Tensor, free: Tensor, seed: Tensor, prior_scale: Tensor, kernels: Kernels
    ) -> tuple[Tensor, Tensor]:
        # bare data: the compiler tells views and what has gradients from others
        drawn, kl = kernels.draw(loc.data, free.data, seed, prior_scale)
        ctx.save_for_backward(drawn, loc, free, prior_scale)
        ctx.kernels = kernels
        return drawn, kl

    @staticmethod
    def backward(  # type: ignore[no-untyped-def]  # torch's
        ctx, of_draw: Tensor, of_kl: Tensor
    ) -> tuple[Tensor | None, ...]:
        arrays = [tensor.data for tensor in (of_draw, of_kl, *ctx.saved_tensors)]
        of_loc, of_free = ctx.kernels.gradients(*arrays)
        return of_loc, of_free, None, None, None
