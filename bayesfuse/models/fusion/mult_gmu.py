"""MulT-GMU: cross-modal transformers, then a gated multimodal unit."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import final

import torch
from torch import Tensor

from bayesfuse.models.activations import tanh
from bayesfuse.models.fusion.cross_modal import CrossModalFusion
from bayesfuse.models.fusion.gated_unit import every_gate, gate_layers, gated_sum, gates_of


@final
class MulTGatedFusion(CrossModalFusion):
    r"""Joins sequences by cross-modal attention, and their last elements with vectors by gates.

    .. math:: h = \sum_m g_m \odot \tanh(U_m v_m + c_m), \qquad
        g_m = \sigma(V_m [v_1, \ldots, v_n] + d_m)

    with the last element :math:`v_m = z_m` of a sequence (see `CrossModalFusion`), and the features
    :math:`v_m = x_m` of a vector, 0 where they were not observed. As in `GatedFusion`, one gate
    serves two modalities and one alone has none. Without sequences it is `gmu`.

    Attributes:
        gate: Modality to the linear layer of its gate; only the first of two, none of one.

    Example:
        >>> fusion = MulTGatedFusion({"text": 3, "image": 2, "year": 1}, 4, ["text", "image"])
        >>> inputs = {"text": torch.zeros(5, 7, 3), "image": torch.zeros(5, 6, 2)}
        >>> inputs["year"] = torch.zeros(5, 1)
        >>> fusion.gates(inputs, torch.ones(5, 3, dtype=torch.bool)).shape
        torch.Size([5, 3, 4])

    Reference: Rodríguez-Bribiesca et al. 2021 (MulT-GMU, MAI workshop), sec. 2.2; we add the
    biases, and tie the gates of two.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        hidden: int,
        sequences: Collection[str] = (),
        layers: int = 2,
    ) -> None:
        super().__init__(widths, hidden, sequences, layers)
        self.gate = gate_layers(self.names, sum(self.late_widths.values()), hidden)

    def gates(
        self,
        inputs: Mapping[str, Tensor],
        observed: Tensor,
        presence: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Return how far each unit lets each modality through; see `GatedFusion.gates`."""
        vectors, _ = self.late(*self.activate(inputs, observed, presence))
        return every_gate(self._gates(vectors), len(self.names))

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Sum the gated tanh layers (see `Fusion.fuse`)."""
        vectors, entering = self.late(values, activations)
        return gated_sum(self._gates(vectors), [tanh(one) for one in entering])

    def _gates(self, vectors: Sequence[Tensor]) -> list[Tensor]:
        together = torch.cat(list(vectors), dim=-1)
        return gates_of(self.gate, together, len(self.names), self.out_features)
