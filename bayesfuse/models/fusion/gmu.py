"""The gated multimodal unit: learned gates decide, unit by unit, which modality speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor

from bayesfuse.models.activations import tanh
from bayesfuse.models.fusion.base import Fusion
from bayesfuse.models.fusion.gated_unit import every_gate, gate_layers, gated_sum, gates_of


@final
class GatedFusion(Fusion):
    r"""Joins modalities with multiplicative gates that look at all of them.

    For two modalities, one gate serves both:

    .. math:: h_m = \tanh(W_m x_m + b_m), \qquad z = \sigma(W_z [x_1, x_2] + b_z), \qquad
        h = z \odot h_1 + (1 - z) \odot h_2

    and for any other number there is a gate a modality:

    .. math:: z_m = \sigma(W_{z m} [x_1, \ldots, x_n] + b_{z m}), \qquad
        h = \sum_m z_m \odot h_m

    One modality alone needs no gate: :math:`h = \tanh(W x + b)`. The gates read the features with
    0 where a modality was not observed. The tied gate of two modalities is `gate.<first name>`.

    Attributes:
        gate: Modality to the linear layer of its gate; only the first of two, none of one.

    Example:
        >>> fusion = GatedFusion({"text": 3, "image": 2}, hidden=4)
        >>> [name for name, _ in fusion.named_parameters() if "gate" in name]
        ['gate.text.weight', 'gate.text.bias']

    Reference: Arevalo et al. 2017 (arXiv:1702.01992), section 3 and figure 2: the bimodal unit and
    the one for n modalities. We add the biases, which the equations leave out.
    """

    def __init__(self, widths: Mapping[str, int], hidden: int) -> None:
        super().__init__(widths, hidden)
        self.gate = gate_layers(self.names, sum(self.widths.values()), hidden)

    def gates(
        self,
        inputs: Mapping[str, Tensor],
        observed: Tensor,
        presence: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Return how far each unit lets each modality through, to explain an output.

        Args:
            inputs: Modality to its features, each `items x features`.
            observed: Boolean, `items x modalities`.
            presence: See `Fusion.forward`.

        Returns:
            Gates in [0, 1], `items x modalities x hidden`. Those of two modalities sum to 1; the
            gate of a single modality is 1.

        Raises:
            FeatureError: If names or shapes are not those of `widths`.
        """
        values, _ = self.activate(inputs, observed, presence)
        return every_gate(self._gates(values), len(self.names))

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Sum the gated tanh layers (see `Fusion.fuse`)."""
        return gated_sum(self._gates(values), [tanh(activation) for activation in activations])

    def _gates(self, values: Sequence[Tensor]) -> list[Tensor]:
        together = torch.cat(list(values), dim=-1)
        return gates_of(self.gate, together, len(self.names), self.out_features)
