"""Fusion by a central network: at every depth it listens to a network of each modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast, final

import torch
from torch import Tensor, nn

from bayesfuse.models.activations import tanh
from bayesfuse.models.auxiliary.base import AuxiliaryLoss
from bayesfuse.models.auxiliary.modality_losses import ModalityLosses
from bayesfuse.models.fusion.base import Fusion


@final
class CentralNetFusion(Fusion):
    r"""Joins networks of two layers, one a modality, in a central one that listens at both.

    .. math:: h^1_m = \tanh(W_m x_m + b_m), \qquad h^2_m = \tanh(U_m h^1_m + c_m)

    .. math:: h^1 = \tanh\Bigl(V^1 \sum_m \alpha^1_m h^1_m + d^1\Bigr), \qquad
        h^2 = \tanh\Bigl(V^2 \bigl(\alpha^2_0 h^1 + \sum_m \alpha^2_m h^2_m\bigr) + d^2\Bigr)

    and :math:`h^2` is what the classifier reads. The weights :math:`\alpha` are learned numbers,
    one a layer and stream, which start even: large at depth 1 is early fusion, at depth 2 late.

    Attributes:
        gate: The weights of each depth: :math:`\alpha^1`, `modalities`, and :math:`\alpha^2`,
            `1 + modalities`, that of the central stream first.
        fused: `streams`, modality to its second layer, and `central`, the two central layers.

    Example:
        >>> fusion = CentralNetFusion({"text": 3, "image": 2}, hidden=4)
        >>> [weight.tolist() for weight in fusion.gate]
        [[0.5, 0.5], [0.3333333432674408, 0.3333333432674408, 0.3333333432674408]]

    Its own loss is that of a classifier a modality, which reads :math:`h^2_m`: each network must
    tell the labels by itself, too.

    Reference: Vielzeuf et al. 2018 (CentralNet, arXiv:1808.07275), the central layer's weighted
    sum, and the loss of each modality beside the central one.
    """

    def __init__(self, widths: Mapping[str, int], hidden: int) -> None:
        super().__init__(widths, hidden)
        count = len(self.names)
        self.gate = nn.ParameterList(
            [torch.full((streams,), 1 / streams) for streams in (count, count + 1)]
        )
        self.fused = nn.ModuleDict(
            {
                "streams": nn.ModuleDict({n: nn.Linear(hidden, hidden) for n in self.names}),
                "central": nn.ModuleList([nn.Linear(hidden, hidden) for _ in range(2)]),
            }
        )

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Return what the central stream says in the end (see `Fusion.fuse`)."""
        early, late = cast(nn.ModuleList, self.fused["central"])
        first = tanh(torch.stack(list(activations), dim=-1))
        central = tanh(early(first @ self.gate[0]))
        second = self._streams(activations)
        joined: Tensor = late(torch.stack([central, *second], dim=-1) @ self.gate[1])
        return tanh(joined)

    def own_loss(self, num_labels: int, weight: float) -> AuxiliaryLoss | None:
        """Return the loss of a classifier a modality (see `Fusion.own_loss`)."""
        streams = CentralNetFusion._streams
        return ModalityLosses(self.names, self.out_features, num_labels, weight, streams)

    def _streams(self, activations: Sequence[Tensor]) -> list[Tensor]:
        """Return the second hidden vector of each modality's own network."""
        layers = cast(nn.ModuleDict, self.fused["streams"])
        return [
            tanh(layers[name](tanh(activation)))
            for name, activation in zip(self.names, activations, strict=True)
        ]
