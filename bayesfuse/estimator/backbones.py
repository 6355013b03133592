"""The encoders' networks in front of the fusion network, some of their blocks to be trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, final

from torch import Tensor, nn

from bayesfuse.errors import ConfigError, unknown_option
from bayesfuse.inference.front import Front


@final
class Backbones(Front):
    r"""Networks of encoders, of which the last blocks (and parts by name) are trained.

    A block that lies k blocks below the topmost has the learning rate

    .. math:: \eta_k = \eta\, d^k

    with the layer decay d; parts below all blocks (embeddings, stem) have :math:`\eta d^L` of L
    blocks, other parts :math:`\eta`. What is frozen does not move: neither its parameters, nor its
    running statistics, and its dropout is off.

    Args:
        networks: Modality to network, which has `blocks` (bottom to top), `parts` (by name, such
            as `embeddings`) and `enable_gradient_checkpointing()`; changed in place.
        unfrozen: Modality to what is trained: a number of blocks, `all`, names of parts.
        learning_rate: η.
        layer_decay: d.
        gradient_checkpointing: Whether to keep less in memory and compute it again.

    Raises:
        ConfigError: If a modality has no network, or a network not so many blocks or no such part.

    Reference: Howard & Ruder 2018 (ULMFiT), sec. 3.2, discriminative fine-tuning.
    """

    BELOW = ("embeddings", "stem")

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        unfrozen: Mapping[str, Sequence[str]],
        *,
        learning_rate: float,
        layer_decay: float = 1.0,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(dict(networks))
        self._groups: list[dict[str, Any]] = []
        self._trained: list[nn.Module] = []
        for modality, network in networks.items():
            network.requires_grad_(False)
            backbone: Any = network
            for module, depth in _chosen(modality, backbone, unfrozen[modality], self.BELOW):
                parameters = [p for p in module.parameters() if not p.requires_grad]
                module.requires_grad_(True)
                self._trained.append(module)
                if parameters:
                    rate = learning_rate * layer_decay**depth
                    self._groups.append({"params": parameters, "lr": rate})
            if gradient_checkpointing:
                backbone.enable_gradient_checkpointing()

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the networks' features in place of their raw inputs; see `Front.forward`."""
        return {
            name: self.networks[name](value) if name in self.networks else value
            for name, value in inputs.items()
        }

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return a group a trained block or part; see `Front.parameter_groups`."""
        return [dict(group) for group in self._groups]

    def train(self, mode: bool = True) -> Backbones:
        """Put what is trained into training mode; what is frozen stays in evaluation mode."""
        super().train(False)
        for module in self._trained:
            module.train(mode)
        self.training = mode
        return self


def _chosen(
    modality: str, backbone: Any, wanted: Sequence[str], below: Sequence[str]
) -> list[tuple[nn.Module, int]]:
    """Return what is trained, and how many blocks lie above it."""
    blocks, parts = list(backbone.blocks), dict(backbone.parts)
    found: list[tuple[nn.Module, int]] = []
    for part in wanted:
        if part.isdigit():
            if int(part) > len(blocks):
                raise ConfigError(
                    f"--finetune {modality}={part}: its network has {len(blocks)} blocks; expected "
                    "at most as many, or all."
                )
            count = int(part)
            found += [(blocks[-1 - depth], depth) for depth in range(count)]
        elif part == "all":
            found += [(block, depth) for depth, block in enumerate(reversed(blocks))]
            found += [(parts[n], len(blocks) if n in below else 0) for n in parts]
        elif part in parts:
            found.append((parts[part], len(blocks) if part in below else 0))
        else:
            options = ["all", *parts]
            raise ConfigError(
                unknown_option(f"part of the network of {modality}", part, options)
                + f" Or a number of its {len(blocks)} blocks."
            )
    return found
