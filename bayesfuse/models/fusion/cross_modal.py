"""Directional cross-modal transformers: each sequence hears every other, then itself."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bayesfuse.models.fusion.base import Fusion
from bayesfuse.models.steps import used_steps

HEAD = 64
"""Features of a head."""

AT_ONCE = 64
"""Items that are read at once where no gradient is wanted: of long sequences more take much
memory."""


@final
class CrossModalLayer(nn.Module):
    r"""One layer in which a target sequence attends to a source; of itself, self-attention.

    .. math:: t' = t + \text{MultiHead}(\text{LN}(t), \text{LN}(s), \text{LN}(s)), \qquad
        \text{out} = t' + V\, \text{ReLU}(U\, \text{LN}(t') + u) + v

    With the source the target itself this is torch's `TransformerEncoderLayer(norm_first=True)`.
    The layer norms have no parameters of their own, which the next linear layers can do and which
    have no place under a prior around 0; there is no dropout.

    Args:
        hidden: Width of both sequences.

    Reference: Tsai et al. 2019 (MulT, arXiv:1906.00295), eq. 3 to 5, as their published code has
    it: what a block adds to is not normalised.
    """

    def __init__(self, hidden: int) -> None:
        super().__init__()
        heads = next(h for h in range(max(1, hidden // HEAD), 0, -1) if hidden % h == 0)
        # steps first: batched inputs take a way that has no rule under vmap
        self.attention = nn.MultiheadAttention(hidden, heads, batch_first=False)
        self.up, self.down = nn.Linear(hidden, 4 * hidden), nn.Linear(4 * hidden, hidden)

    def forward(self, target: Tensor, source: Tensor, ignored: Tensor) -> Tensor:
        """Return the target after it has heard the source.

        Args:
            target: `steps x items x hidden`.
            source: `other steps x items x hidden`.
            ignored: `items x other steps`, bool: which steps of the source are not there.
        """
        asked, told = normed(target), normed(source)
        heard, _ = self.attention(asked, told, told, key_padding_mask=ignored)
        target = target + heard
        found: Tensor = target + self.down(torch.relu(self.up(normed(target))))
        return found


def normed(values: Tensor) -> Tensor:
    """Return vectors of mean 0 and variance 1 over their features."""
    return F.layer_norm(values, values.shape[-1:])


def sinusoids(steps: int, width: int) -> Tensor:
    r"""Return what tells places apart, `steps x width`, in float64.

    .. math:: p_{t, j} = \sin(t / 10000^{j / \lceil w / 2 \rceil}), \qquad
        p_{t, \lceil w / 2 \rceil + j} = \cos(t / 10000^{j / \lceil w / 2 \rceil})

    Example:
        >>> sinusoids(2, 2).tolist()[0]
        [0.0, 1.0]

    Reference: Vaswani et al. 2017, sec. 3.5, sines before cosines.
    """
    half = (width + 1) // 2
    rates = 10_000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(steps, dtype=torch.float64)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width]


def _joined(parts: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Return one tensor a modality, of the items of all parts."""
    return [torch.cat(one) for one in zip(*parts, strict=True)]


class CrossModalFusion(Fusion):
    r"""What the rules after MulT share: from sequences to one vector each, which hears the others.

    .. math:: Z_m^{(0)} = \sqrt{h}\, a_m + \text{position}, \qquad
        Z_{n \to m} = \text{CrossModal}_{n \to m}(Z_m^{(0)}, Z_n^{(0)}), \qquad
        z_m = \text{SelfAttention}_m\bigl([Z_{n \to m}]_{n \neq m}\bigr)_{\text{last}}

    with the steps :math:`a_{mt} = W_m x_{mt} + b_m` of the sequence m, and as many layers in every
    transformer. A step attends only to steps that the item has, and the last is the item's own. An
    item without any step has one, `absent`. Modalities that are vectors join late: a subclass says
    how. Without a sequence there is late fusion alone; a single one hears itself.

    Args:
        widths: Modality to its number of features, in the order of `observed`'s columns.
        hidden: Width of steps and of the output.
        sequences: Modalities that are sequences.
        layers: Layers of each transformer.

    Attributes:
        fused: `cross`, target to source to layers; `own`, sequence to layers of self-attention; and
            `late`, sequence to the layer by which its last element enters the late fusion.

    Reference: Tsai et al. 2019 (MulT, arXiv:1906.00295), sec. 3; Rodríguez-Bribiesca et al. 2021
    (MulT-GMU, MAI workshop), sec. 2.1. Their convolution over steps has width 1 here.
    """

    reads_steps: ClassVar[bool] = True

    def __init__(
        self,
        widths: Mapping[str, int],
        hidden: int,
        sequences: Collection[str] = (),
        layers: int = 2,
    ) -> None:
        super().__init__(widths, hidden, sequences)
        wide = hidden * max(1, len(self.sequences) - 1)

        def stack(width: int) -> nn.ModuleList:
            return nn.ModuleList([CrossModalLayer(width) for _ in range(layers)])

        cross = {
            target: nn.ModuleDict({n: stack(hidden) for n in self.sequences if n != target})
            for target in self.sequences
        }
        self.fused = nn.ModuleDict(
            {
                "cross": nn.ModuleDict(cross),
                "own": nn.ModuleDict({name: stack(wide) for name in self.sequences}),
                "late": nn.ModuleDict({n: nn.Linear(wide, hidden) for n in self.sequences}),
            }
        )
        self.late_widths = {n: wide if n in self.sequences else w for n, w in self.widths.items()}

    @final
    def late(
        self, values: Sequence[Tensor], activations: Sequence[Tensor]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return each modality's vector, and the pre-activation of it that enters late fusion.

        Args:
            values: See `Fusion.fuse`.
            activations: See `Fusion.fuse`.

        Returns:
            One `items x width` a modality (`late_widths`), and one `items x hidden`.
        """
        count = len(activations[0])
        if not torch.is_grad_enabled() and self.sequences and count > AT_ONCE:
            parts = [
                self.late([v[some] for v in values], [a[some] for a in activations])
                for some in (slice(s, s + AT_ONCE) for s in range(0, count, AT_ONCE))
            ]
            return _joined([part[0] for part in parts]), _joined([part[1] for part in parts])
        fused: Any = self.fused
        last = self._last(dict(zip(self.names, activations, strict=True)))
        vectors = [last.get(name, value) for name, value in zip(self.names, values, strict=True)]
        entering = [
            fused["late"][name](last[name]) if name in last else activation
            for name, activation in zip(self.names, activations, strict=True)
        ]
        return vectors, entering

    def _last(self, activations: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the last element of each sequence once it has heard all, `items x width`."""
        fused: Any = self.fused
        tokens, ignored, places = {}, {}, {}
        for name in self.sequences:
            steps = activations[name]
            used = used_steps(steps)
            where = sinusoids(steps.shape[1], self.out_features).to(steps)
            embedded = math.sqrt(self.out_features) * torch.where(used[:, :, None], steps, 0.0)
            tokens[name] = (embedded + where).transpose(0, 1)
            ignored[name], places[name] = ~used, used.sum(dim=1) - 1
        found = {}
        for target in self.sequences:
            heard = []
            for source, layers in fused["cross"][target].items():
                sequence = tokens[target]
                for layer in layers:
                    sequence = layer(sequence, tokens[source], ignored[source])
                heard.append(normed(sequence))
            sequence = torch.cat(heard, dim=-1) if heard else tokens[target]
            for layer in fused["own"][target]:
                sequence = layer(sequence, sequence, ignored[target])
            items = torch.arange(sequence.shape[1], device=sequence.device)
            found[target] = normed(sequence)[places[target], items]
        return found

    @abstractmethod
    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Fuse late what `late` returns (see `Fusion.fuse`)."""
