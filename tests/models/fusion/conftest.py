"""What the golden tests of the fusion rules share: a rule, its weights in numpy, and items."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from bayesfuse.models import FUSIONS, Fusion

WIDTHS = {"text": 3, "image": 2, "table": 1}
ITEMS = 6


class Golden(NamedTuple):
    """A rule in float64, what it says, and all that is needed to say it in numpy.

    Attributes:
        fusion: The rule, with all parameters away from 0.
        fused: What it makes of the items, of which item 1 lacks the last modality.
        w: Parameter to value.
        x: Modality to features, 0 where not observed.
        a: Modality to pre-activations, with the stand-in where not observed.
    """

    fusion: Fusion
    fused: np.ndarray
    w: dict[str, np.ndarray]
    x: dict[str, np.ndarray]
    a: dict[str, np.ndarray]

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        """Return what the linear layer of this name makes of `items x features`."""
        found: np.ndarray = x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]
        return found


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    """Return exponentials that sum to 1 along an axis."""
    raised: np.ndarray = np.exp(x - x.max(axis=axis, keepdims=True))
    return raised / raised.sum(axis=axis, keepdims=True)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return the logistic function."""
    found: np.ndarray = 1 / (1 + np.exp(-x))
    return found


def golden(name: str, num_modalities: int, hidden: int = 4) -> Golden:
    """Return a `Golden` of a rule over the first so many modalities."""
    torch.manual_seed(num_modalities)
    widths = dict(list(WIDTHS.items())[:num_modalities])
    fusion = FUSIONS[name](widths, hidden).double()
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.normal_(std=0.5)
    inputs = {n: torch.randn(ITEMS, width).double() for n, width in widths.items()}
    observed = torch.ones(ITEMS, num_modalities, dtype=torch.bool)
    observed[1, -1] = False
    fused = fusion(inputs, observed).detach().numpy()
    w = {n: value.detach().numpy() for n, value in fusion.named_parameters()}
    x, a = {}, {}
    for column, n in enumerate(widths):
        seen = observed[:, column, None].numpy()
        x[n] = np.where(seen, inputs[n].numpy(), 0.0)
        said = inputs[n].numpy() @ w[f"{n}.weight"].T + w[f"{n}.bias"]
        a[n] = np.where(seen, said, w[f"absent.{n}"])
    return Golden(fusion, fused, w, x, a)
