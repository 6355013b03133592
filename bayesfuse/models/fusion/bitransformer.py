"""Fusion by a transformer: modalities are tokens, or their steps are, and attend to each other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from bayesfuse.encoders.transformers_library import import_transformers, quietly
from bayesfuse.errors import FeatureError
from bayesfuse.models.fusion.base import Fusion
from bayesfuse.models.steps import tokens_there

_CLS, _SEP = 0, 1

HEAD = 64
"""Features of a head, as in BERT."""

MAX_STEPS = 512
"""Places that can be told apart in a segment, as in BERT."""

AT_ONCE = 64
"""Items that are read at once where no gradient is wanted: of long sequences more take much
memory."""


@final
class BitransformerFusion(Fusion):
    r"""Joins modalities as the tokens of a small transformer of BERT's kind.

    .. math:: s = [\text{CLS}],\; a_1,\; [\text{SEP}],\; \dots,\; a_n,\; [\text{SEP}], \qquad
        h = \tanh\bigl(W\, \text{BERT}(s + \text{segment} + \text{position})_1 + b\bigr)

    with the token :math:`a_m = W_m x_m + b_m` of modality m, which has segment m, and `absent` in
    its place where m was not observed. The transformer and its pooling layer of the first state are
    `fused`; their weights start at random. There is no dropout in it.

    With sequences each step is a token, :math:`a_{mt} = W_m x_{mt} + b_m`: the words of a text, the
    places of a picture's grid. Positions then start from 0 in every segment, and no token attends
    to steps that an item does not have.

    Args:
        widths: Modality to its number of features, in the order of `observed`'s columns.
        hidden: Width of the tokens and of the output.
        layers: Number of layers, each with about `hidden / 64` heads.
        sequences: Modalities that are sequences, of up to `MAX_STEPS` - 2 steps.

    Raises:
        MissingExtraError: If transformers is not installed.

    Example:
        >>> fusion = BitransformerFusion({"text": 3, "graph": 2}, hidden=4)
        >>> inputs = {"text": torch.zeros(5, 3), "graph": torch.zeros(5, 2)}
        >>> fusion(inputs, torch.ones(5, 2, dtype=torch.bool)).shape
        torch.Size([5, 4])

    Reference: Kiela et al. 2020 (MMBT, arXiv:1909.02950), sec. 3, and Seo et al. 2022 (MM-GATBT),
    sec. 3.6 and figure 2. There the transformer is a pretrained one that reads words, as that of
    `TextBitransformerFusion` is; here it reads vectors that are made beforehand.
    """

    reads_steps: ClassVar[bool] = True

    def __init__(
        self,
        widths: Mapping[str, int],
        hidden: int,
        layers: int = 2,
        sequences: Collection[str] = (),
    ) -> None:
        super().__init__(widths, hidden, sequences)
        import_transformers()
        from transformers import BertConfig, BertModel

        count = len(self.names)
        heads = next(h for h in range(max(1, hidden // HEAD), 0, -1) if hidden % h == 0)
        config: Any = BertConfig(
            vocab_size=2,
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * hidden,
            max_position_embeddings=MAX_STEPS if self.sequences else 1 + 2 * count,
            type_vocab_size=count,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            pad_token_id=None,
        )
        config._attn_implementation = "eager"  # the others have no rule under vmap on a CPU
        with quietly():
            self.fused = BertModel(config)

    def fuse(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Return the pooled first state of the transformer (see `Fusion.fuse`)."""
        if self.sequences:
            return self._fuse_steps(values, activations)
        words = self.fused.embeddings.word_embeddings.weight
        tokens = torch.stack(list(activations), dim=1)
        items, count, hidden = tokens.shape
        sep = words[_SEP].to(tokens.dtype).expand(items, count, hidden)
        cls = words[_CLS].to(tokens.dtype).expand(items, 1, hidden)
        pairs = torch.stack([tokens, sep], dim=2).reshape(items, 2 * count, hidden)
        segments = torch.arange(2 * count, device=tokens.device) // 2
        first = segments.new_zeros(1)
        pooled: Tensor = self.fused(
            inputs_embeds=torch.cat([cls, pairs], dim=1),
            token_type_ids=torch.cat([first, segments]).expand(items, -1),
        ).pooler_output
        return pooled

    def _fuse_steps(self, values: Sequence[Tensor], activations: Sequence[Tensor]) -> Tensor:
        """Return the same where steps are tokens."""
        count = len(activations[0])
        if not torch.is_grad_enabled() and count > AT_ONCE:
            cuts = [slice(start, start + AT_ONCE) for start in range(0, count, AT_ONCE)]
            both = ([[one[cut] for one in part] for part in (values, activations)] for cut in cuts)
            return torch.cat([self._fuse_steps(*some) for some in both])
        words = self.fused.embeddings.word_embeddings.weight
        parts, seen, segments, places = [], [], [], []
        for number, steps in enumerate(activations):
            tokens = steps if steps.ndim == 3 else steps[:, None]
            used = tokens_there(values[number])
            cls, sep = (words[end].to(tokens).expand(count, 1, -1) for end in (_CLS, _SEP))
            there = used.new_ones(count, 1)
            before = int(number == 0)
            parts += [cls] * before + [torch.where(used[:, :, None], tokens, 0.0), sep]
            seen += [there] * before + [used, there]
            length = before + tokens.shape[1] + 1
            check_positions(self.names[number], length, MAX_STEPS)
            place = torch.arange(length - 1, device=tokens.device).expand(count, -1)
            places += [place, before + used.sum(dim=1, keepdim=True)]  # [SEP] after the item's own
            segments.append(place.new_full((length,), number))
        pooled: Tensor = self.fused(
            inputs_embeds=torch.cat(parts, dim=1),
            attention_mask=torch.cat(seen, dim=1).long(),
            token_type_ids=torch.cat(segments).expand(count, -1),
            position_ids=torch.cat(places, dim=1),
        ).pooler_output
        return pooled


def check_positions(what: str, length: int, most: int) -> None:
    """Refuse more tokens than a transformer has positions.

    Args:
        what: Whose tokens they are.
        length: Their number.
        most: The transformer's positions.

    Raises:
        FeatureError: If there are too many.
    """
    if length > most:
        raise FeatureError(
            f"{what} takes {length} positions of the transformer, with the tokens around its steps;"
            f" it has {most}. Keep fewer steps: --max-length of a text, --image-grid of a picture."
        )
