"""The last layer of a classifier: a vector a label, learned or fixed."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bayesfuse.errors import ConfigError, unknown_option

LABEL_VECTORS = ("hadamard", "learned", "random")


@final
class FixedLinear(nn.Linear):
    r"""A linear layer of which a scale and the bias are learned, and the vectors are not.

    .. math:: \text{logit}_c = s\, v_c^\top x + b_c, \qquad \lVert v_c \rVert_2 = 1

    Args:
        vectors: :math:`v`, `labels x features`.

    Attributes:
        weight: Buffer, the vectors.
        scale: Parameter s, which starts at 1.

    Example:
        >>> layer = FixedLinear(torch.eye(3))
        >>> [name for name, _ in layer.named_parameters()]
        ['bias', 'scale']
    """

    def __init__(self, vectors: Tensor) -> None:
        labels, features = vectors.shape
        super().__init__(features, labels)
        del self._parameters["weight"]
        self.register_buffer("weight", vectors.clone())
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, input: Tensor) -> Tensor:
        """Return logits `items x labels` of vectors `items x features`."""
        return F.linear(input, label_weights(self), self.bias)


def label_weights(layer: nn.Linear) -> Tensor:
    """Return what the units before the last layer are weighed by, `labels x features`.

    Args:
        layer: The last layer, whose vectors are learned or fixed.
    """
    return layer.scale * layer.weight if isinstance(layer, FixedLinear) else layer.weight


def output_layer(in_features: int, num_labels: int, label_vectors: str = "learned") -> nn.Linear:
    r"""Return the last layer of a classifier.

    Args:
        in_features: Width of its input.
        num_labels: Number of labels.
        label_vectors: `"learned"`; `"random"`, normal and of length 1, drawn once; or
            `"hadamard"`, rows of a Hadamard matrix, of length 1 and, where `in_features` is a power
            of two, orthogonal.

    Raises:
        ConfigError: If the name is unknown, or there are more labels than rows.

    Example:
        >>> layer = output_layer(4, 2, "hadamard")
        >>> layer.weight.tolist()
        [[0.5, 0.5, 0.5, 0.5], [0.5, -0.5, 0.5, -0.5]]

    Reference: Shalev et al. (MAI workshop 2021), vectors drawn at random, of length 1 and fixed;
    Hoffer et al. 2018 (arXiv:1801.04540) for Hadamard's and the learned scale. There logits are of
    one class in many; here each is a label's own, and has a bias.
    """
    if label_vectors not in LABEL_VECTORS:
        raise ConfigError(unknown_option("kind of label vectors", label_vectors, LABEL_VECTORS))
    if label_vectors == "learned":
        return nn.Linear(in_features, num_labels)
    if label_vectors == "random":
        return FixedLinear(F.normalize(torch.randn(num_labels, in_features), dim=1))
    return FixedLinear(_hadamard(in_features, num_labels) * in_features**-0.5)


def _hadamard(columns: int, rows: int) -> Tensor:
    """Return the corner of Sylvester's matrix of the first order with so many columns."""
    found = torch.ones(1, 1)
    while len(found) < columns:
        found = torch.cat([torch.cat([found, found], 1), torch.cat([found, -found], 1)])
    if rows > len(found):
        raise ConfigError(
            f"There are {rows} labels, and a Hadamard matrix for {columns} units has "
            f"{len(found)} rows; take a wider layer before it (--classifier-hidden of maxout, "
            "--hidden of linear), or --label-vectors random."
        )
    return found[:rows, :columns]
