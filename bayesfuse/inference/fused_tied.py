r"""The KL of a Laplace guide with scales of rank one, in one pass over memory each way.

With scales :math:`s_{ij} = a_i b_j`, locations m and a prior Laplace(0, c):

.. math:: \mathrm{KL} = \sum_{ij} \frac{|m_{ij}| + s_{ij} e^{-|m_{ij}| / s_{ij}}}{c}
    + n k \,(\log c - 1) - k \sum_i \log a_i - n \sum_j \log b_j

for n rows and k columns. The gradients of a and b are products of an array, which the pass back
leaves, and a vector:

.. math:: \frac{\partial\, \mathrm{KL}}{\partial m} = \frac{\mathrm{sign}(m)}{c}
    (1 - e^{-|m|/s}), \qquad
    \frac{\partial\, \mathrm{KL}}{\partial a_i} = \sum_j g_{ij} b_j - \frac{k}{a_i}, \qquad
    g = \frac1c e^{-|m|/s} \left(1 + \frac{|m|}{s}\right)

The gradient of the locations is added to that of what they were used for in the same pass. It
goes over some rows at a time, so that their g is still near when its two products are taken, and is
never there as a whole. Kernels are compiled as in `bayesfuse.inference.fused_laplace`.
"""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from torch import Tensor

from bayesfuse.inference.fused import FusedDistribution, compile_all, first_line

_PART = 1 << 19  # elements: 2 MiB


class TiedKernels(NamedTuple):
    """The two directions: `divergence` and `gradients`."""

    divergence: Callable[..., Tensor]
    gradients: Callable[..., Tensor]


def divergence(
    loc: Tensor, rows: Tensor, columns: Tensor, over_rows: Tensor, over_columns: Tensor
) -> Tensor:
    """Return the sum of |m| + s exp(-|m| / s), a scalar.

    Args:
        loc: Locations m, `rows x columns`.
        rows: a, `rows`.
        columns: b, `columns`.
        over_rows: 1 / a, which need not be divided by once an element.
        over_columns: 1 / b.
    """
    far = loc.abs()
    ratio = far * over_rows[:, None] * over_columns
    return (rows[:, None] * columns * torch.exp(-ratio) + far).sum()


def gradients(
    out: Tensor,
    of_value: Tensor,
    loc: Tensor,
    over_rows: Tensor,
    over_columns: Tensor,
    weight: Tensor,
) -> Tensor:
    """Write the gradient of the locations, and return that of the scales without what 1/s adds.

    Args:
        out: Where the gradient of the locations goes, `rows x columns`.
        of_value: Gradient of what the locations were used as, `rows x columns`.
        loc: Locations, `rows x columns`.
        over_rows: 1 / a, `rows`.
        over_columns: 1 / b, `columns`.
        weight: Gradient of the KL over the prior's scale, a scalar.
    """
    ratio = loc.abs() * over_rows[:, None] * over_columns
    decay = weight * torch.exp(-ratio)
    out.copy_(of_value + torch.sign(loc) * (weight - decay))
    return decay * (1 + ratio)


EAGER = TiedKernels(divergence, gradients)


@functools.cache
def compiled(device: str = "cpu") -> TiedKernels:
    """Return both compiled, for arrays of any shape.

    Args:
        device: Where the arrays will be.

    Raises:
        RuntimeError: If there is no compiler here, or it fails; what went wrong in one line.
    """
    made: TiedKernels = compile_all(EAGER)
    like: dict[str, Any] = {"device": device, "dtype": torch.float32}
    # No two lengths or places that are equal: the compiler takes what is equal for a rule. It has
    # another kernel for what does not begin where its memory does, as all parts but the first.
    arrays = [torch.ones(200, 131, **like) for _ in range(3)]
    rows, over_rows = (torch.ones(200, **like) for _ in range(2))
    columns, over_columns = (torch.ones(131, **like) for _ in range(2))
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the compiler's own parts
            made.divergence(arrays[0], rows, columns, over_rows, over_columns)
            for part in (slice(200), slice(133, 200)):
                some = (array[part].data for array in (*arrays, over_rows))
                made.gradients(*some, over_columns, torch.ones((), **like))
    except Exception as error:  # whatever a compiler's many parts may raise
        raise RuntimeError(first_line(error)) from error
    return made


class FusedTiedLaplace(FusedDistribution):
    """Laplace(loc, a bᵀ) over a matrix, whose KL is fused.

    It is known once there is a draw or a mean, whose gradients pass where the KL's do.

    Args:
        loc: Locations; a matrix of the last dimension's columns.
        rows: a, > 0, one a row.
        columns: b, > 0, one a column.
        prior_scale: See `FusedDistribution`.
        kernels: `EAGER`, or `compiled()`.
    """

    arg_constraints = {"loc": constraints.real, "rows": constraints.real}  # noqa: RUF012  # as torch's

    def __init__(
        self,
        loc: Tensor,
        rows: Tensor,
        columns: Tensor,
        prior_scale: Tensor | None,
        kernels: TiedKernels,
    ) -> None:
        self.rows, self.columns, self._kernels = rows, columns, kernels
        self._value: Tensor | None = None
        super().__init__(loc, prior_scale)

    @property
    def scale(self) -> Tensor:
        """Return the scale of every element."""
        return (self.rows[:, None] * self.columns).reshape(self.loc.shape)

    @property
    def plain(self) -> dist.Independent:
        """Return the same distribution without kernels."""
        return dist.Laplace(self.loc, self.scale).to_event(self.loc.dim())

    @property
    def mean(self) -> Tensor:
        """Return the locations; the KL comes with them."""
        if self.prior_scale is None:
            return self.loc
        if self._value is None:
            loc = self.loc.reshape(len(self.rows), len(self.columns))
            ends = (loc, self.rows, self.columns, self.prior_scale, self._kernels)
            value, self.kl = _Divergence.apply(*ends)  # type: ignore[no-untyped-call]
            self._value = value.reshape(self.loc.shape)
        return self._value

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw the array; the KL comes with it."""
        shape = (*sample_shape, *self.loc.shape)
        one = self.loc.new_ones(())
        noise: Tensor = dist.Laplace(0 * one, one).sample(shape)
        return torch.addcmul(self.mean, self.scale, noise)


def _parts(array: Tensor) -> list[slice]:
    """Return slices of rows that have about as many elements each, few enough for a cache."""
    num = max(1, min(len(array) // 2, -(-array.numel() // _PART)))  # one row is another kernel
    ends = [round(i * len(array) / num) for i in range(num + 1)]
    return [slice(*pair) for pair in itertools.pairwise(ends)]


class _Divergence(torch.autograd.Function):
    @staticmethod
    def forward(  # type: ignore[no-untyped-def]  # torch's
        ctx, loc: Tensor, rows: Tensor, columns: Tensor, c: Tensor, kernels: TiedKernels
    ) -> tuple[Tensor, Tensor]:
        # bare data: the compiler tells views and what has gradients from others
        over = [1 / rows.data, 1 / columns.data]
        found = kernels.divergence(loc.data, rows.data, columns.data, *over) / c
        num_rows, num_columns = loc.shape
        found = found + loc.numel() * (c.log() - 1)
        found = found - num_columns * rows.log().sum() - num_rows * columns.log().sum()
        ctx.save_for_backward(loc, rows, columns, c)
        ctx.kernels = kernels
        return loc.view_as(loc), found

    @staticmethod
    def backward(  # type: ignore[no-untyped-def]  # torch's
        ctx, of_value: Tensor, of_kl: Tensor
    ) -> tuple[Tensor | None, ...]:
        loc, rows, columns, c = (tensor.data for tensor in ctx.saved_tensors)
        of_loc, of_rows, of_columns = (torch.empty_like(t) for t in (loc, rows, columns))
        weight, over_rows, over_columns = of_kl / c, 1 / rows, 1 / columns
        of_columns.zero_()
        for part in _parts(loc):
            # bare data: the compiler tells views from others
            some = (t[part].data for t in (of_loc, of_value, loc, over_rows))
            of_scale = ctx.kernels.gradients(*some, over_columns, weight)
            torch.mv(of_scale, columns, out=of_rows[part])
            of_columns.addmv_(of_scale.T, rows[part])
        of_rows -= of_kl * len(columns) * over_rows
        of_columns -= of_kl * len(rows) * over_columns
        return of_loc, of_rows, of_columns, None, None
