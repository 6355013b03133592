"""What the tests of auxiliary losses share: a batch as a network hands it to them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bayesfuse.models import FUSIONS
from bayesfuse.models.auxiliary import Seen

WIDTHS = {"text": 3, "image": 2, "year": 1}
ITEMS, LABELS = 7, 4


def seen_of(fusion: str = "gmu", hidden: int = 5, **changes: Any) -> Seen:
    """Return a batch in float64, of which the image of items 1 and 4 was not observed."""
    torch.manual_seed(0)
    rule = FUSIONS[fusion](WIDTHS, hidden).double()
    inputs = {name: torch.randn(ITEMS, width).double() for name, width in WIDTHS.items()}
    observed = torch.ones(ITEMS, len(WIDTHS), dtype=torch.bool)
    observed[[1, 4], 1] = False
    values, activations = rule.activate(inputs, observed)
    labels = (torch.rand(ITEMS, LABELS) < 0.4).double()
    seen = Seen(
        fusion=rule,
        observed=observed,
        values=values,
        activations=activations,
        fused=rule.fuse(values, activations),
        labels=labels,
        of_logits=lambda logits: score(logits, labels),
    )
    return seen._replace(**changes)


def score(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the binary cross-entropy, in nats an item."""
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="sum") / len(labels)
