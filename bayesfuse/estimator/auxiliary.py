"""From settings to the auxiliary losses of a network."""

from __future__ import annotations

from bayesfuse.config import ModelConfig
from bayesfuse.models.auxiliary.settings import AuxiliarySettings


def auxiliary_settings(config: ModelConfig) -> AuxiliarySettings:
    """Return what the auxiliary losses of a network count for.

    Args:
        config: The settings.
    """
    return AuxiliarySettings(
        own=config.fusion_loss,
        refiner=config.refiner,
        multi_similarity=config.multi_similarity,
        alpha=config.similarity_alpha,
        beta=config.similarity_beta,
        threshold=config.similarity_threshold,
        margin=config.similarity_margin,
        contrastive=config.contrastive,
        contrastive_temperature=config.contrastive_temperature,
    )
