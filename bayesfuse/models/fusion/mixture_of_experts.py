"""Fusion by a mixture of experts: one expert a modality, and a manager who trusts whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor, nn

from bayesfuse.models.fusion.base import Fusion


@final
class MixtureOfExpertsFusion(Fusion):
    r"""Joins modalities as a mixture of experts, each of which has seen one of them alone.

    .. math:: p_m = \sigma(W_m x_m + b_m), \qquad
        g_{m j} = \frac{\exp (V_m [x_1, \ldots, x_n] + c_m)_j}
        {\sum_k \exp (V_k [x_1, \ldots, x_n] + c_k)_j}, \qquad
        h = \sum_m g_m \odot p_m

    The manager's weights :math:`g` sum to 1 over modalities, for each unit by itself. It reads the
    features with 0 where a modality was not observed; that modality's expert then says what stands
    in for it. One modality alone has no manager: :math:`h = p_1`.

    Attributes:
        gate: Modality to the linear layer of the manager; none of one modality.

    Example:
        >>> fusion = MixtureOfExpertsFusion({"text": 3, "image": 2}, hidden=4)
        >>> [name for name, _ in fusion.named_parameters() if name.endswith("weight")]
        ['text.weight', 'image.weight', 'gate.text.weight', 'gate.image.weight']

    Reference: the mixture of experts of Arevalo et al. 2017 (arXiv:1702.01992), with logistic
    experts and untied gates, after Jacobs et al. 1991. There the units are the labels; here they
    are `hidden` units that the classifier reads, as it reads any other rule.
    """

    def __init__(self, widths: Mapping[str, int], hidden: int) -> None:
        super().__init__(widths, hidden)
        total = sum(self.widths.values())
        managed = self.names if len(self.names) > 1 else ()
        self.gate = nn.ModuleDict({name: nn.Linear(total, hidden) for name in managed})

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Mix what the experts say (see `Fusion.fuse`)."""
        experts = torch.sigmoid(torch.stack(list(activations)))
        if len(self.names) == 1:
            return experts[0]
        together = torch.cat(list(values), dim=-1)
        trust = torch.stack([layer(together) for layer in self.gate.values()]).softmax(0)
        return (trust * experts).sum(0)
