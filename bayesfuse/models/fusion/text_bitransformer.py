"""Fusion by a pretrained transformer: its own words, and modalities as tokens before them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from bayesfuse.encoders.text_loading import build_backbone
from bayesfuse.encoders.text_source import network_config
from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.models.fusion.base import Fusion

AT_ONCE = 64
"""Items that are read at once where no gradient is wanted: of long texts more take much memory."""


@dataclass(frozen=True, eq=False)
class TextTransformer:
    """A transformer of BERT's kind, and which modality holds its tokens.

    Attributes:
        modality: The one whose features are tokens, `items x length`, with `[CLS]` in front.
        network: A `BertModel` with its pooling layer.
        pad: The token that pads.
        cls: The token `[CLS]`.
        sep: The token `[SEP]`.
    """

    modality: str
    network: nn.Module
    pad: int
    cls: int
    sep: int

    def to_json(self) -> dict[str, Any]:
        """Return all but the weights."""
        tokens = {"pad": self.pad, "cls": self.cls, "sep": self.sep}
        return {"modality": self.modality, **tokens, "network": network_config(self.network)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TextTransformer:
        """Return one with weights that are yet to be loaded.

        Raises:
            FeatureError: If the network cannot be made.
        """
        rest = {name: value for name, value in values.items() if name != "network"}
        try:
            return cls(network=build_backbone(values["network"], None, pooler=True), **rest)
        except (KeyError, TypeError) as error:
            raise FeatureError(f"What is told of the transformer is incomplete: {error}.") from None


@final
class TextBitransformerFusion(Fusion):
    r"""Joins a text with other modalities in the transformer that reads the text.

    .. math:: s = [\text{CLS}], a_1, \dots, a_n, [\text{SEP}], w_1, \dots, w_T, [\text{SEP}],
        \qquad h = \text{pooler}(\text{BERT}(s + \text{segment} + \text{position})_1)

    with the words :math:`w_t` of the text, embedded as the transformer does, in segment 1, and each
    other modality as one token :math:`a_m = W_m x_m + b_m` of its width in segment 0, or `absent`
    in its place where it was not observed. A text that was not observed has no words. The
    transformer is `fused`.

    Args:
        widths: Modality to its number of features, in the order of `observed`'s columns; that of
            the text is the length of its tokens.
        transformer: The transformer; it is used in place, not copied.

    Raises:
        ConfigError: If it is not of BERT's kind, or has too few positions.

    Reference: Kiela et al. 2020 (MMBT, arXiv:1909.02950), sec. 3, and Seo et al. 2022 (MM-GATBT),
    sec. 3.6 and figure 2. We count positions on from segment to segment, as BERT does of pairs.
    """

    def __init__(self, widths: Mapping[str, int], transformer: TextTransformer) -> None:
        config: Any = transformer.network.config
        if config.model_type != "bert":
            raise ConfigError(
                f"A text is joined with other modalities in a network of BERT's kind, which has "
                f"segments; got one of {config.model_type}. Take bert-base-uncased or its like."
            )
        others = {name: width for name, width in widths.items() if name != transformer.modality}
        super().__init__(others, int(config.hidden_size))
        length = 1 + len(others) + widths[transformer.modality]
        if length > config.max_position_embeddings:
            raise ConfigError(
                f"Texts of {widths[transformer.modality]} tokens and {len(others)} other "
                f"modalities take {length} positions; the network has "
                f"{config.max_position_embeddings}. Read fewer tokens: --max-length."
            )
        self.fused = transformer.network
        self._text, self._order = transformer.modality, tuple(widths)
        self._pad, self._ends = transformer.pad, (transformer.cls, transformer.sep)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        observed: Tensor,
        presence: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """Fuse the modalities of each item; see `Fusion.forward`."""
        if not torch.is_grad_enabled() and len(observed) > AT_ONCE:
            parts = []
            for start in range(0, len(observed), AT_ONCE):
                some = slice(start, start + AT_ONCE)
                parts.append(
                    self.forward(
                        {name: values[some] for name, values in inputs.items()},
                        observed[some],
                        {name: weight[some] for name, weight in (presence or {}).items()},
                    )
                )
            return torch.cat(parts)
        column = self._order.index(self._text)
        others = [place for place in range(len(self._order)) if place != column]
        rest = {name: values for name, values in inputs.items() if name != self._text}
        _, activations = self.activate(rest, observed[:, others], presence)
        # without its own [CLS]: the one in front is for all
        tokens = inputs[self._text][:, 1:].long()
        seen = (tokens != self._pad) & observed[:, column, None]
        longest = int(seen.sum(dim=1).max())
        seen = seen[:, :longest]
        return self._read(activations, torch.where(seen, tokens[:, :longest], self._pad), seen)

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Return what the transformer makes of items without a text (see `Fusion.fuse`)."""
        nothing = torch.zeros(len(values[0]), 0, dtype=torch.long, device=values[0].device)
        return self._read(activations, nothing, nothing.bool())

    def _read(self, activations: Sequence[Tensor], tokens: Tensor, seen: Tensor) -> Tensor:
        """Return the pooled first state, of words where they are seen."""
        network: Any = self.fused
        embed = network.get_input_embeddings()
        ends = embed(torch.tensor(self._ends, device=tokens.device))
        count, hidden = len(tokens), self.out_features
        first, last = (end.expand(count, 1, hidden) for end in ends)
        vectors = torch.stack(list(activations), dim=1).to(first.dtype)
        sequence = torch.cat([first, vectors, last, embed(tokens)], dim=1)
        before = vectors.shape[1] + 2
        segments = torch.zeros(sequence.shape[:2], dtype=torch.long, device=tokens.device)
        segments[:, before:] = 1
        mask = torch.cat([seen.new_ones(count, before), seen], dim=1)
        pooled: Tensor = network(
            inputs_embeds=sequence, token_type_ids=segments, attention_mask=mask.long()
        ).pooler_output
        return pooled.float()
