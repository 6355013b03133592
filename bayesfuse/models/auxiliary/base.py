"""The contract of an auxiliary loss: what a network is trained by beside its labels' likelihood."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from bayesfuse.models.fusion.base import Fusion


class Seen(NamedTuple):
    """What an auxiliary loss reads of a batch.

    Attributes:
        fusion: The fusion rule, with the weights of the moment.
        observed: Bool, `items x modalities`, columns in the order of `fusion.names`.
        values: What enters the fusion, standardised, with 0 where not observed, one
            `items x features` a modality.
        activations: Their pre-activations, one `items x hidden` a modality.
        fused: What the fusion makes of them, `items x hidden`.
        labels: 0 or 1, `items x labels`; None where no labels are known.
        of_logits: Loss of logits `items x labels` by these labels, as the network's own are
            scored: a scalar, in nats an item.
    """

    fusion: Fusion
    observed: Tensor
    values: Sequence[Tensor]
    activations: Sequence[Tensor]
    fused: Tensor
    labels: Tensor | None
    of_logits: Callable[[Tensor], Tensor]


class AuxiliaryLoss(nn.Module, ABC):
    """A term of the training loss beside that of the labels; each kind is a final subclass.

    Its parameters are trained with the classifier, and take no part in a prediction. The gradient
    reaches the weights of the fusion, random or not: a posterior is then that of the labels'
    likelihood times exp(−N term), N being the number of training items.

    Attributes:
        needs_labels: Whether it reads labels; those that do not can be trained on items without.
    """

    needs_labels: ClassVar[bool] = False

    @abstractmethod
    def forward(self, seen: Seen) -> Tensor:
        """Return the term with its weight, a scalar, for the mean item of a batch."""


def precise(values: Tensor) -> Tensor:
    """Return values in float32 at least: cosines and their logarithms need more than bfloat16."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


@dataclass(eq=False)
class Auxiliary:
    """A request for auxiliary losses: a network that is given one leaves its terms there.

    Attributes:
        labels: See `Seen`.
        of_logits: See `Seen`.
        terms: Name of the loss to its term, a scalar with gradients; filled by the network.
    """

    labels: Tensor | None
    of_logits: Callable[[Tensor], Tensor]
    terms: dict[str, Tensor] = field(default_factory=dict)

    def fill(
        self,
        losses: nn.ModuleDict,
        fixed: Callable[[Tensor], Tensor],
        fusion: Fusion,
        observed: Tensor,
        values: Sequence[Tensor],
        activations: Sequence[Tensor],
        fused: Tensor,
    ) -> None:
        """Leave the term of each loss, but of those that read labels where none are known.

        Args:
            losses: Name to `AuxiliaryLoss`.
            fixed: Puts the logits in place that training can say nothing about.
            fusion: See `Seen`, as for all that follows.
            observed: See `Seen`.
            values: See `Seen`.
            activations: See `Seen`.
            fused: See `Seen`.
        """

        def of_logits(logits: Tensor) -> Tensor:
            return self.of_logits(fixed(logits))

        read = (fusion, observed, values, activations, fused)
        seen = Seen(*read, self.labels, of_logits)
        for name, loss in losses.items():
            if self.labels is not None or not loss.needs_labels:
                self.terms[name] = loss(seen)

    def total(self) -> Tensor:
        """Return the sum of all terms, a scalar."""
        return torch.stack(list(self.terms.values())).sum()
