"""From posterior draws of probabilities to how sure they are, and why they are not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr

from bayesfuse.errors import UserError
from bayesfuse.evaluation.arrays import Floats, as_probability


def binary_entropy(probability: ArrayLike) -> NDArray[np.float64]:
    r"""Return the entropy of a yes or no, :math:`H(p) = -p \log p - (1-p) \log(1-p)`, in nats.

    Args:
        probability: Any shape, in [0, 1].

    Returns:
        Nats, same shape, between 0 (certain) and log 2 (p = 1/2).

    Raises:
        UserError: If a value is NaN or outside [0, 1].

    Example:
        >>> binary_entropy([0.0, 0.5, 1.0]).round(3)
        array([0.   , 0.693, 0.   ])
    """
    p = as_probability(probability).astype(np.float64)
    return np.asarray(entr(p) + entr(1 - p), dtype=np.float64)


class DrawSummary:
    r"""Summarises draws of probabilities chunk by chunk, keeping only running sums.

    With draws :math:`p^{(s)}`, s = 1..S, for every item and label:

    .. math:: \bar p = \frac1S \sum_s p^{(s)}, \qquad
        \text{total} = H(\bar p), \qquad
        \text{aleatoric} = \frac1S \sum_s H(p^{(s)}), \qquad
        \text{epistemic} = \text{total} - \text{aleatoric}

    The epistemic part is the mutual information between the label and the weights: what more
    training data could still teach. The aleatoric part stays however much is learned. Memory is
    that of three arrays `items x labels`, whatever the number of draws; quantiles need the draws
    themselves (see `summarise`).

    Attributes:
        num_draws: Draws seen so far.

    Example:
        >>> summary = DrawSummary()
        >>> summary.update([[[0.0]], [[1.0]]]).update([[[0.0]], [[1.0]]]).num_draws
        4
        >>> summary.mean, summary.aleatoric, summary.epistemic.round(3)  # the draws contradict
        (array([[0.5]]), array([[0.]]), array([[0.693]]))

    Reference: Depeweg et al. 2018 (arXiv:1710.07283), eq. 1; Chan et al. 1979 for joining the
    spread of two chunks.
    """

    def __init__(self) -> None:
        self.num_draws = 0
        self._mean: NDArray[np.float64] = np.zeros((0, 0))
        self._squares: NDArray[np.float64] = np.zeros((0, 0))
        self._entropy: NDArray[np.float64] = np.zeros((0, 0))

    def update(self, draws: ArrayLike) -> Self:
        """Take in one more chunk of draws of the same items.

        Args:
            draws: `draws x items x labels`, in [0, 1].

        Returns:
            The summary itself.

        Raises:
            UserError: If the chunk has another shape than `draws x items x labels`, other items or
                labels than the ones before, no draw, or a value outside [0, 1].
        """
        chunk = _as_draws(draws)
        if not self.num_draws:
            self._mean, self._squares, self._entropy = np.zeros((3, *chunk.shape[1:]))
        elif chunk.shape[1:] != self._mean.shape:
            raise UserError(
                f"Got draws of {chunk.shape[1]} items x {chunk.shape[2]} labels after draws of "
                f"{self._mean.shape[0]} x {self._mean.shape[1]}; expected the same items and "
                "labels in every chunk. Use one summary for each chunk of items."
            )
        size, before = len(chunk), self.num_draws
        mean = chunk.mean(axis=0)
        shift = mean - self._mean
        self.num_draws = before + size
        self._squares = (
            self._squares
            + np.square(chunk - mean).sum(axis=0)
            + np.square(shift) * (before * size / self.num_draws)
        )
        self._mean = self._mean + shift * (size / self.num_draws)
        self._entropy = self._entropy + binary_entropy(chunk).sum(axis=0)
        return self

    @property
    def mean(self) -> NDArray[np.float64]:
        """The predictive probability, `items x labels`: the mean over draws."""
        # A sum of rounded shifts may step outside by an ulp.
        return np.clip(self._seen(self._mean), 0.0, 1.0)

    @property
    def sd(self) -> NDArray[np.float64]:
        """Standard deviation over draws, `items x labels` (dividing by S: 0 for one draw)."""
        return np.sqrt(self._seen(self._squares) / self.num_draws)

    @property
    def total(self) -> NDArray[np.float64]:
        """Total uncertainty: the entropy of the mean, `items x labels`, in nats."""
        return binary_entropy(self.mean)

    @property
    def aleatoric(self) -> NDArray[np.float64]:
        """Aleatoric uncertainty: the mean entropy of draws, `items x labels`, in nats."""
        return self._seen(self._entropy) / self.num_draws

    @property
    def epistemic(self) -> NDArray[np.float64]:
        """Epistemic uncertainty: mutual information, `items x labels`, in nats, >= 0."""
        # Never negative by Jensen's inequality; rounding may say otherwise.
        return np.maximum(self.total - self.aleatoric, 0.0)

    def _seen(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return running sums, once there are any."""
        if not self.num_draws:
            raise UserError("This summary has seen no draws; expected at least one `update`.")
        return sums


@dataclass(frozen=True)
class Predictive:
    """What draws say about every item and label; every array is `items x labels`.

    Attributes:
        mean: Predictive probability, in [0, 1].
        sd: Standard deviation over draws.
        quantiles: Level (such as 0.05) to the quantile of the draws.
        total: Entropy of the mean, nats.
        aleatoric: Mean entropy of the draws, nats.
        epistemic: Mutual information, total - aleatoric, nats.
        num_draws: Number of draws behind it.
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    quantiles: dict[float, NDArray[np.float64]]
    total: NDArray[np.float64]
    aleatoric: NDArray[np.float64]
    epistemic: NDArray[np.float64]
    num_draws: int


def summarise(draws: ArrayLike, quantiles: tuple[float, ...] = (0.05, 0.95)) -> Predictive:
    """Summarise the draws of a chunk of items, quantiles included.

    Args:
        draws: `draws x items x labels`, in [0, 1].
        quantiles: Levels in [0, 1].

    Returns:
        The summary, with mean, sd and uncertainties as in `DrawSummary`.

    Raises:
        UserError: If the shape is another, a value or a level is outside [0, 1].

    Example:
        >>> summarise([[[0.2]], [[0.4]]], quantiles=(0.5,)).quantiles
        {0.5: array([[0.3]])}
    """
    chunk = _as_draws(draws)
    if quantiles:
        as_probability(quantiles, "quantile level")
    summary = DrawSummary().update(chunk)
    return Predictive(
        mean=summary.mean,
        sd=summary.sd,
        quantiles=dict(zip(quantiles, np.quantile(chunk, quantiles, axis=0), strict=True)),
        total=summary.total,
        aleatoric=summary.aleatoric,
        epistemic=summary.epistemic,
        num_draws=summary.num_draws,
    )


def _as_draws(draws: ArrayLike) -> NDArray[np.float64]:
    """Return draws in float64 if they are `draws x items x labels`."""
    array: Floats = as_probability(draws, "draws")
    if array.ndim != 3:
        raise UserError(
            f"Got draws of shape {array.shape}; expected draws x items x labels. "
            "For a single draw, add an axis in front."
        )
    return array.astype(np.float64)
