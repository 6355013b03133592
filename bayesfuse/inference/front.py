"""What stands before the network when backbones are trained with it: raw in, features out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn


class Front(nn.Module, ABC):
    """Turns the raw inputs of a batch into features, deterministically but for its dropout.

    The random weights of the network behind it stay as they are; the front's own parameters take
    steps of the classifier's optimiser, at learning rates of their own.
    """

    @abstractmethod
    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return features, each `items x features`, for every modality of `inputs`.

        Args:
            inputs: Modality to raw inputs (tokens, pixels) or features.
        """

    @abstractmethod
    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return what is trained, as torch's optimisers take it: a group is `params` and `lr`."""
