"""Classifiers: from the fused vector of an item to one logit a label."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self, final

import torch
from torch import Tensor, nn

from bayesfuse.errors import ConfigError
from bayesfuse.models.label_vectors import FixedLinear, output_layer


class Classifier(nn.Module, ABC):
    """Maps `items x in_features` to logits `items x labels`; each kind is a final subclass.

    Attributes:
        output: The last, linear layer; its bias can start at the labels' base rates.
    """

    output: nn.Linear

    @classmethod
    @abstractmethod
    def from_options(
        cls,
        in_features: int,
        num_labels: int,
        *,
        hidden: int,
        pieces: int,
        dropout: float,
        label_vectors: str = "learned",
    ) -> Self:
        """Build one from the options that all kinds share; each documents those it has no use for.

        Args:
            in_features: Width of the input.
            num_labels: Number of labels.
            hidden: Units of a hidden layer.
            pieces: Linear pieces of a maxout unit.
            dropout: Probability in [0, 1) that an input of a layer is dropped in training.
            label_vectors: See `bayesfuse.models.label_vectors.output_layer`.
        """

    @final
    def set_base_rates(self, rates: Tensor) -> None:
        r"""Start each label at its base rate: the output's bias becomes its logit.

        .. math:: b_c = \log r_c - \log(1 - r_c)

        Args:
            rates: Share of items with each label, `labels`, strictly between 0 and 1.

        Raises:
            ConfigError: If the shape differs or a rate is not strictly between 0 and 1 (for a
                label that is always or never there, see `FusionNetwork.set_label_counts`).
        """
        if rates.shape != (self.output.out_features,):
            raise ConfigError(
                f"Got base rates of shape {tuple(rates.shape)}; expected "
                f"({self.output.out_features},), one a label."
            )
        if not bool(((rates > 0) & (rates < 1)).all()):
            raise ConfigError(
                f"Got base rates between {rates.min():g} and {rates.max():g}; expected them "
                "strictly between 0 and 1. Smooth the rate of a label that is always or never set."
            )
        with torch.no_grad():
            self.output.bias.copy_(torch.logit(rates.double()))


@final
class Maxout(nn.Linear):
    r"""A layer whose units take the largest of several linear pieces.

    .. math:: h_i = \max_{j \le k} \left(W_{ij} x + b_{ij}\right)

    The pieces of unit i are rows i k, ..., i k + k - 1 of `weight`, so a row is the weights
    incoming to one piece.

    Args:
        in_features: Width of the input.
        units: Width of the output.
        pieces: Number k of linear pieces a unit.

    Example:
        >>> Maxout(3, units=4, pieces=2)(torch.zeros(5, 3)).shape
        torch.Size([5, 4])

    Reference: Goodfellow et al. 2013 (arXiv:1302.4389), section 3.
    """

    def __init__(self, in_features: int, units: int, pieces: int) -> None:
        if units < 1 or pieces < 1:
            raise ConfigError(f"Got units={units}, pieces={pieces}; expected at least 1 of each.")
        super().__init__(in_features, units * pieces)
        self.units, self.pieces = units, pieces

    def forward(self, input: Tensor) -> Tensor:
        """Return the largest piece of each unit, `items x units`, of inputs `items x features`."""
        pieces = super().forward(input)
        return pieces.reshape(*pieces.shape[:-1], self.units, self.pieces).amax(-1)

    def extra_repr(self) -> str:
        """Describe the layer in the module's printout."""
        return f"in_features={self.in_features}, units={self.units}, pieces={self.pieces}"


@final
class MaxoutClassifier(Classifier):
    """A perceptron of maxout layers, each preceded by batch norm and dropout.

    BatchNorm, dropout, maxout (`num_layers` times), BatchNorm, dropout, linear. Parameters are
    `norm.<i>`, `maxout.<i>` and `output`.

    In training mode batch norm needs at least two items and PyTorch raises a `ValueError` on one:
    the training loop must not leave a last minibatch of one item.

    Args:
        in_features: Width of the input.
        num_labels: Number of labels.
        hidden: Units of each maxout layer.
        pieces: Linear pieces of each unit.
        dropout: Probability in [0, 1) that an input of a layer is dropped in training.
        num_layers: Number of maxout layers (>= 1).
        label_vectors: See `bayesfuse.models.label_vectors.output_layer`.

    Raises:
        ConfigError: If an argument is out of range.

    Example:
        >>> MaxoutClassifier(8, 3, hidden=4).eval()(torch.zeros(5, 8)).shape
        torch.Size([5, 3])

    Reference: Arevalo et al. 2017 (arXiv:1702.01992) and Armitage et al. 2020, section 3.1, for
    the place of batch norm, dropout and max-norm around Goodfellow et al. 2013.
    """

    def __init__(
        self,
        in_features: int,
        num_labels: int,
        hidden: int = 256,
        pieces: int = 2,
        dropout: float = 0.5,
        num_layers: int = 1,
        label_vectors: str = "learned",
    ) -> None:
        super().__init__()
        _check(num_labels, dropout)
        if num_layers < 1:
            raise ConfigError(
                f'Got num_layers={num_layers}; expected at least 1 (or classifier "linear").'
            )
        widths = [in_features] + [hidden] * num_layers
        self.norm = nn.ModuleList([nn.BatchNorm1d(width) for width in widths])
        self.maxout = nn.ModuleList([Maxout(width, hidden, pieces) for width in widths[:-1]])
        self.dropout = nn.Dropout(dropout)
        self.output = output_layer(hidden, num_labels, label_vectors)

    @classmethod
    def from_options(
        cls,
        in_features: int,
        num_labels: int,
        *,
        hidden: int,
        pieces: int,
        dropout: float,
        label_vectors: str = "learned",
    ) -> Self:
        """Build one with a single maxout layer; every option is used."""
        return cls(in_features, num_labels, hidden, pieces, dropout, 1, label_vectors)

    def forward(self, fused: Tensor) -> Tensor:
        """Return logits `items x labels` of fused vectors `items x in_features`."""
        x = fused
        for norm, maxout in zip(self.norm, self.maxout, strict=False):
            x = maxout(self.dropout(norm(x)))
        logits: Tensor = self.output(self.dropout(self.norm[-1](x)))
        return logits


@final
class LinearClassifier(Classifier):
    """Dropout and one linear layer: the simple one.

    Args:
        in_features: Width of the input.
        num_labels: Number of labels.
        dropout: Probability in [0, 1) that an input is dropped in training.
        label_vectors: See `bayesfuse.models.label_vectors.output_layer`.

    Raises:
        ConfigError: If an argument is out of range.

    Example:
        >>> LinearClassifier(8, 3).eval()(torch.zeros(5, 8)).shape
        torch.Size([5, 3])
    """

    def __init__(
        self,
        in_features: int,
        num_labels: int,
        dropout: float = 0.5,
        label_vectors: str = "learned",
    ) -> None:
        super().__init__()
        _check(num_labels, dropout)
        self.dropout = nn.Dropout(dropout)
        self.output = output_layer(in_features, num_labels, label_vectors)

    @classmethod
    def from_options(
        cls,
        in_features: int,
        num_labels: int,
        *,
        hidden: int,
        pieces: int,
        dropout: float,
        label_vectors: str = "learned",
    ) -> Self:
        """Build one; it has no hidden layer, so `hidden` and `pieces` have nothing to set."""
        return cls(in_features, num_labels, dropout, label_vectors)

    def forward(self, fused: Tensor) -> Tensor:
        """Return logits `items x labels` of fused vectors `items x in_features`."""
        logits: Tensor = self.output(self.dropout(fused))
        return logits


CLASSIFIERS: dict[str, type[Classifier]] = {
    "linear": LinearClassifier,
    "maxout": MaxoutClassifier,
}
"""The classifiers by the names that the configuration takes."""


@torch.no_grad()
def apply_max_norm_(module: nn.Module, max_norm: float) -> None:
    r"""Project the weights incoming to each unit onto a ball, in place, after an optimiser step.

    .. math:: w \leftarrow w \cdot \min(1, \text{max\_norm} / \lVert w \rVert_2)

    for every row w of the weight of every linear layer in `module`, a maxout piece being a unit of
    its own. Biases, batch norm and fixed vectors of labels stay as they are.

    Args:
        module: For example, a network's classifier.
        max_norm: Radius of the ball, > 0.

    Raises:
        ConfigError: If `max_norm` is not > 0.

    Reference: Goodfellow et al. 2013 (arXiv:1302.4389), section 2, as dropout is used there.
    """
    if not max_norm > 0:
        raise ConfigError(f"Got max_norm={max_norm}; expected a number > 0.")
    for layer in module.modules():
        if isinstance(layer, nn.Linear) and not isinstance(layer, FixedLinear):
            layer.weight.copy_(torch.renorm(layer.weight, p=2, dim=0, maxnorm=max_norm))


def _check(num_labels: int, dropout: float) -> None:
    """Raise if the options that all classifiers have are out of range."""
    if num_labels < 1:
        raise ConfigError(f"Got num_labels={num_labels}; expected at least 1 label.")
    if not 0 <= dropout < 1:
        raise ConfigError(f"Got dropout={dropout}; expected a probability in [0, 1).")
