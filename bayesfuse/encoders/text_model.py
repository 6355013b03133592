"""A transformer encoder and its pooling as one module: tokens in, one vector a text out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bayesfuse.errors import ConfigError

POOLINGS = ("cls", "max", "mean", "pooler")


class TextModel(nn.Module):
    r"""One vector a text, from the last hidden states :math:`h_1, \dots, h_T` of its T tokens.

    - `cls`: :math:`h_1`, the state of the first token.
    - `mean`: :math:`\frac{1}{T} \sum_t h_t`; `max`: the largest value of each feature over t.
    - `pooler`: what the network's own pooling layer makes of :math:`h_1`, as BERT's
      :math:`\tanh(W h_1 + b)`.

    Padding takes no part. With `normalise`, the vector is scaled to length 1.

    Args:
        backbone: An encoder of the transformers library.
        pad: The token that pads.
        pooling: One of `POOLINGS`.
        normalise: Whether vectors have length 1.

    Raises:
        ConfigError: If the pooling is `pooler` and the network has no such layer.

    Attributes:
        width: Features of a vector.
    """

    def __init__(self, backbone: nn.Module, *, pad: int, pooling: str, normalise: bool) -> None:
        super().__init__()
        if pooling == "pooler" and getattr(backbone, "pooler", None) is None:
            raise ConfigError(
                f"pooling is pooler, but {type(backbone).__name__} has no pooling layer of its "
                "own; expected one of cls, max, mean."
            )
        self.backbone = backbone
        self.pad, self.pooling, self.normalise = pad, pooling, normalise
        self.width = int(self._config.hidden_size)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the vectors of padded texts.

        Args:
            tokens: int64, items x length, padded on the right; a text has a token at least.

        Returns:
            float32, items x features.
        """
        mask = tokens != self.pad
        output = self.backbone(input_ids=tokens, attention_mask=mask.long())
        vectors = self._pool(output, mask[:, :, None])
        return F.normalize(vectors, dim=1) if self.normalise else vectors

    def states(self, tokens: Tensor) -> Tensor:
        """Return the last hidden state of every token, without pooling and as long as it is.

        Args:
            tokens: See `forward`.

        Returns:
            float32, items x length x features; of padding they mean nothing.
        """
        output = self.backbone(input_ids=tokens, attention_mask=(tokens != self.pad).long())
        states: Tensor = output.last_hidden_state
        return states.float()

    def _pool(self, output: Any, mask: Tensor) -> Tensor:
        if self.pooling == "pooler":
            pooled: Tensor = output.pooler_output
            return pooled.float()
        states: Tensor = output.last_hidden_state.float()  # of half precision under autocast
        if self.pooling == "cls":
            return states[:, 0]
        if self.pooling == "max":
            return states.masked_fill(~mask, -torch.inf).amax(dim=1)
        return (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)

    @property
    def blocks(self) -> list[nn.Module]:
        """The layers of the network, from the one next to the tokens up to the last.

        Raises:
            ConfigError: If the network is not one stack of layers.
        """
        return [block for _, _, block in self._stack()]

    @property
    def parts(self) -> dict[str, nn.Module]:
        """What the network has besides its layers, by name: `embeddings`, and others if any.

        Only what takes part in the vectors: a `pooler` where the pooling is `pooler`.
        """
        stack, name, _ = next(self._stack())
        parts: dict[str, nn.Module] = {"embeddings": self._embeddings()}
        shown = {id(weight) for weight in parts["embeddings"].parameters()}
        holders = [self.backbone] if stack is self.backbone else [self.backbone, stack]
        for holder in holders:
            for child, module in holder.named_children():
                weights = {id(weight) for weight in module.parameters()}
                above = any(module is other for other in holders)
                idle = child == "pooler" and self.pooling != "pooler"
                if child != name and not above and not idle and weights - shown:
                    parts[child] = module
        return parts

    def enable_gradient_checkpointing(self) -> None:
        """Keep less for the backward pass and compute it anew; for less memory in training.

        Raises:
            ConfigError: If the network does not support it.
        """
        network: Any = self.backbone
        # "activation_" in the library's newer versions, where the older name is deprecated
        enable = getattr(network, "activation_checkpointing_enable", None)
        enable = enable or network.gradient_checkpointing_enable
        try:
            enable({"use_reentrant": False})
        except ValueError as error:
            raise ConfigError(
                f"{type(network).__name__} does not support gradient checkpointing; train without "
                "it, in smaller batches if memory does not suffice."
            ) from error

    @property
    def _config(self) -> Any:
        return self.backbone.config

    def _embeddings(self) -> nn.Module:
        found = getattr(self.backbone, "embeddings", None)
        if isinstance(found, nn.Module):
            return found
        network: Any = self.backbone
        embeddings: nn.Module = network.get_input_embeddings()
        return embeddings

    def _stack(self) -> Iterator[tuple[nn.Module, str, nn.Module]]:
        """Yield (what holds the stack, the stack's name there, layer), from the bottom up."""
        found = list(_outermost_lists(self.backbone))
        if len(found) != 1:
            raise ConfigError(
                f"{type(self.backbone).__name__} is not one stack of layers, so single layers of "
                "it cannot be named. Take another model, such as one of BERT's kind."
            )
        holder, name, layers = found[0]
        for layer in layers:
            yield holder, name, layer


def _outermost_lists(module: nn.Module) -> Iterator[tuple[nn.Module, str, nn.ModuleList]]:
    for name, child in module.named_children():
        if isinstance(child, nn.ModuleList):
            yield module, name, child
        else:
            yield from _outermost_lists(child)
