"""What a network is trained by beside its labels' likelihood."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import Field

from bayesfuse.config.base import Config, Positive, scale_of

RefinerWeights = Annotated[
    Positive | dict[str, Positive] | None, scale_of("weight of a refiner", {"none": None})
]


class AuxiliaryConfig(Config):
    """Auxiliary losses: what they count for, beside labels in nats an item."""

    fusion_loss: float = Field(
        1.0,
        ge=0,
        description="What the fusion rule's own loss counts for, if it has one: of each "
        "modality's classifier (centralnet), of the reconstruction (autoencoder). 0: none.",
    )
    refiner: RefinerWeights = Field(
        None,
        description="Find every modality again in the fused vector (ReFNet): the weight of the "
        "cosine loss, a number or PATTERN=WEIGHT,... by modality; the paper's is 0.1.",
    )
    multi_similarity: float = Field(
        0.0,
        ge=0,
        description="Weight of the Multi-Similarity loss on fused vectors: those of items that "
        "share a label together, others apart.",
    )
    similarity_alpha: float = Field(
        50.0, gt=0, description="How sharply pairs of items that share a label count there."
    )
    similarity_beta: float = Field(
        2.0, gt=0, description="How sharply pairs that share none count there."
    )
    similarity_threshold: float = Field(
        0.5, ge=-1, le=1, description="The cosine that parts the two there."
    )
    similarity_margin: float = Field(
        0.1, ge=0, description="How much easier than the hardest a pair may be to count there."
    )
    contrastive: float = Field(
        0.0,
        ge=0,
        description="Weight of the contrastive alignment (InfoNCE): modalities of an item near "
        "each other, those of two items apart.",
    )
    contrastive_temperature: float = Field(
        0.1, gt=0, description="Its temperature: lower looks at the nearest items alone."
    )
    pretrain_fusion: int = Field(
        0,
        ge=0,
        description="Epochs for which the fusion first learns by those of these losses alone that "
        "read no labels, on all items of train, those without labels too.",
    )

    @property
    def auxiliary_losses(self) -> tuple[str, ...]:
        """The losses that were asked for, as their flags are called."""
        given = {
            "refiner": self.refiner,
            "multi-similarity": self.multi_similarity,
            "contrastive": self.contrastive,
        }
        return tuple(name for name, weight in given.items() if weight)

    def idle(self, given: Collection[str]) -> list[str]:
        """Return a sentence on settings that were given and change nothing beside the others.

        Args:
            given: Names of the settings that were given.

        Example:
            >>> AuxiliaryConfig(similarity_beta=3).idle({"similarity_beta"})
            ['--similarity-beta: no effect without --multi-similarity.']
        """
        found = []
        for prefix, loss in (("similarity_", "multi_similarity"), ("contrastive_", "contrastive")):
            names = [n for n in AuxiliaryConfig.model_fields if n.startswith(prefix) and n in given]
            if names and not getattr(self, loss):
                flags = ", ".join(f"--{name.replace('_', '-')}" for name in names)
                found.append(f"{flags}: no effect without --{loss.replace('_', '-')}.")
        return found
