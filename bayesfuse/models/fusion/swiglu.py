"""Fusion by SwiGLU projections and self-attention over modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bayesfuse.models.fusion.base import Fusion

HEADS = 8


@final
class SwiGLUFusion(Fusion):
    r"""Projects each modality by a SwiGLU, lets them attend to each other, projects once more.

    .. math:: t_m = P_m \bigl(\text{SiLU}(W_m x_m + b_m) \odot (U_m x_m + c_m)\bigr) + d_m, \qquad
        [t'_1, \ldots, t'_n] = \text{LayerNorm}(\text{SelfAttention}(t) + t)

    .. math:: h = P \bigl(\text{SiLU}(W [t'_1, \ldots, t'_n] + b)
        \odot (U [t'_1, \ldots, t'_n] + c)\bigr) + d

    All inner layers are `hidden` wide, and there are 8 heads, or as many fewer as divide that.
    A modality that was not observed has its stand-in in the place of :math:`W_m x_m + b_m`, and
    :math:`c_m` in the other factor. The layer norm has no parameters of its own: those that scale
    and shift it, the next linear layers can do, and they have no place under a prior around 0.
    There is no dropout in it.

    Attributes:
        fused: `up` and `down`, modality to U and P; `attention`; and `head`, the layers W, U and P
            over all of them (`gate`, `up`, `down`).

    Example:
        >>> fusion = SwiGLUFusion({"text": 3, "image": 2}, hidden=16)
        >>> inputs = {"text": torch.zeros(5, 3), "image": torch.zeros(5, 2)}
        >>> fusion(inputs, torch.ones(5, 2, dtype=torch.bool)).shape
        torch.Size([5, 16])

    Reference: Supkhankulov 2025 (Multimodal Movie Genre Classification using Image Posters and Plot
    Summaries), eq. 1-3, up to the last dropout and linear layer, which are the classifier `linear`.
    There self-attention reads one vector, the concatenation, so that it can attend to nothing but
    itself; here it is over modalities. The inner width is ours, and so are the biases.
    """

    def __init__(self, widths: Mapping[str, int], hidden: int) -> None:
        super().__init__(widths, hidden)
        together = hidden * len(self.names)
        heads = next(h for h in range(HEADS, 0, -1) if hidden % h == 0)
        head = {
            "gate": nn.Linear(together, hidden),
            "up": nn.Linear(together, hidden),
            "down": nn.Linear(hidden, hidden),
        }
        self.fused = nn.ModuleDict(
            {
                "up": nn.ModuleDict({n: nn.Linear(w, hidden) for n, w in self.widths.items()}),
                "down": nn.ModuleDict({n: nn.Linear(hidden, hidden) for n in self.names}),
                # modalities first: batched inputs take a way that has no rule under vmap
                "attention": nn.MultiheadAttention(hidden, heads, batch_first=False),
                "head": nn.ModuleDict(head),
            }
        )

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Project, attend, project (see `Fusion.fuse`)."""
        fused: Any = self.fused
        up, down, head = fused["up"], fused["down"], fused["head"]
        tokens = torch.stack(
            [
                down[name](F.silu(activation) * up[name](value))
                for name, value, activation in zip(self.names, values, activations, strict=True)
            ]
        )
        attended, _ = fused["attention"](tokens, tokens, tokens)
        normed = F.layer_norm(tokens + attended, tokens.shape[-1:])
        together = torch.cat(list(normed), dim=-1)
        projected: Tensor = head["down"](F.silu(head["gate"](together)) * head["up"](together))
        return projected
