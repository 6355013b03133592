"""Fusion by a transformer: each modality is a token, and they attend to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from torch import Tensor

from bayesfuse.encoders.transformers_library import import_transformers, quietly
from bayesfuse.models.fusion.base import Fusion

_CLS, _SEP = 0, 1

HEAD = 64
"""Features of a head, as in BERT."""


@final
class BitransformerFusion(Fusion):
    r"""Joins modalities as the tokens of a small transformer of BERT's kind.

    .. math:: s = [\text{CLS}],\; a_1,\; [\text{SEP}],\; \dots,\; a_n,\; [\text{SEP}], \qquad
        h = \tanh\bigl(W\, \text{BERT}(s + \text{segment} + \text{position})_1 + b\bigr)

    with the token :math:`a_m = W_m x_m + b_m` of modality m, which has segment m, and `absent` in
    its place where m was not observed. The transformer and its pooling layer of the first state are
    `fused`; their weights start at random. There is no dropout in it.

    Args:
        widths: Modality to its number of features, in the order of `observed`'s columns.
        hidden: Width of the tokens and of the output.
        layers: Number of layers, each with about `hidden / 64` heads.

    Raises:
        MissingExtraError: If transformers is not installed.

    Example:
        >>> fusion = BitransformerFusion({"text": 3, "graph": 2}, hidden=4)
        >>> inputs = {"text": torch.zeros(5, 3), "graph": torch.zeros(5, 2)}
        >>> fusion(inputs, torch.ones(5, 2, dtype=torch.bool)).shape
        torch.Size([5, 4])

    Reference: Kiela et al. 2020 (MMBT, arXiv:1909.02950), sec. 3, and Seo et al. 2022 (MM-GATBT),
    sec. 3.6 and figure 2. There the text is a token a word and the transformer a pretrained one;
    here a modality is a vector, and so one token.
    """

    def __init__(self, widths: Mapping[str, int], hidden: int, layers: int = 2) -> None:
        super().__init__(widths, hidden)
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
            max_position_embeddings=1 + 2 * count,
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
