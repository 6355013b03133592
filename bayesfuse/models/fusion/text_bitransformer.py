"""Fusion by a pretrained transformer: its own words, and modalities as tokens before them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from bayesfuse.encoders.text_loading import build_backbone
from bayesfuse.encoders.text_source import network_config
from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.models.fusion.base import Fusion
from bayesfuse.models.fusion.bitransformer import check_positions
from bayesfuse.models.steps import tokens_there

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
    in its place where it was not observed; of a sequence, such as the places of a picture's grid,
    every step is such a token. A text that was not observed has no words. The transformer is
    `fused`.

    Args:
        widths: Modality to its number of features, in the order of `observed`'s columns; that of
            the text is the length of its tokens.
        transformer: The transformer; it is used in place, not copied.
        sequences: Modalities besides the text that are sequences.
        restart: Whether positions start from 0 again in segment 1, as in MMBT; if not, they are
            counted on from segment to segment, as BERT does of pairs.

    Raises:
        ConfigError: If it is not of BERT's kind, or has too few positions.

    Reference: Kiela et al. 2020 (MMBT, arXiv:1909.02950), sec. 3, and Seo et al. 2022 (MM-GATBT),
    sec. 3.6 and figure 2.
    """

    reads_steps: ClassVar[bool] = True

    def __init__(
        self,
        widths: Mapping[str, int],
        transformer: TextTransformer,
        sequences: Collection[str] = (),
        restart: bool = False,
    ) -> None:
        config: Any = transformer.network.config
        if config.model_type != "bert":
            raise ConfigError(
                f"A text is joined with other modalities in a network of BERT's kind, which has "
                f"segments; got one of {config.model_type}. Take bert-base-uncased or its like."
            )
        others = {name: width for name, width in widths.items() if name != transformer.modality}
        super().__init__(others, int(config.hidden_size), sequences)
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
        self._restart = restart

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
                        {name: given[some] for name, given in inputs.items()},
                        observed[some],
                        {name: weight[some] for name, weight in (presence or {}).items()},
                    )
                )
            return torch.cat(parts)
        column = self._order.index(self._text)
        others = [place for place in range(len(self._order)) if place != column]
        rest = {name: given for name, given in inputs.items() if name != self._text}
        values, activations = self.activate(rest, observed[:, others], presence)
        # without its own [CLS]: the one in front is for all
        tokens = inputs[self._text][:, 1:].long()
        seen = (tokens != self._pad) & observed[:, column, None]
        longest = int(seen.sum(dim=1).max())
        seen = seen[:, :longest]
        words = torch.where(seen, tokens[:, :longest], self._pad)
        return self._read(values, activations, words, seen)

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Return what the transformer makes of items without a text (see `Fusion.fuse`)."""
        nothing = torch.zeros(len(values[0]), 0, dtype=torch.long, device=values[0].device)
        return self._read(values, activations, nothing, nothing.bool())

    def _read(
        self,
        values: Sequence[Tensor],
        activations: Sequence[Tensor],
        tokens: Tensor,
        seen: Tensor,
    ) -> Tensor:
        """Return the pooled first state, of words where they are seen."""
        network: Any = self.fused
        embed = network.get_input_embeddings()
        ends = embed(torch.tensor(self._ends, device=tokens.device))
        count, hidden = len(tokens), self.out_features
        first, last = (end.expand(count, 1, hidden) for end in ends)
        steps = [one if one.ndim == 3 else one[:, None] for one in activations]
        vectors = torch.cat(steps, dim=1)
        used = torch.cat([tokens_there(value) for value in values], dim=1)
        vectors = torch.where(used[:, :, None], vectors, 0.0).to(first.dtype)
        sequence = torch.cat([first, vectors, last, embed(tokens)], dim=1)
        before, length = vectors.shape[1] + 2, sequence.shape[1]
        places = torch.arange(length, device=tokens.device)
        segments = (places >= before).long()
        end = 1 + used.sum(dim=1, keepdim=True)  # of [SEP], after the item's own steps
        word = places[: length - before] + (0 if self._restart else end + 1)
        own = places[: before - 1].expand(count, -1)
        places = torch.cat([own, end, word.expand(count, -1)], dim=1)
        most = int(network.config.max_position_embeddings)
        check_positions("an item", max(before, length - before) if self._restart else length, most)
        there = seen.new_ones(count, 1)
        mask = torch.cat([there, used, there, seen], dim=1)
        pooled: Tensor = network(
            inputs_embeds=sequence,
            token_type_ids=segments.expand(count, -1),
            position_ids=places,
            attention_mask=mask.long(),
        ).pooler_output
        return pooled.float()
