"""What `bayesfuse distill` can be told."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import Field

from bayesfuse.config.base import Config, Device, one_of

DISTILL_METHODS = ("kd", "msd", "fitnet", "rkd", "sp")
"""What a student hears of its teacher beside its probabilities."""

VIEW_WEIGHTS = ("population", "importance", "correctness", "learned")
"""How the modalities of an item weigh in modality-specific distillation."""


class DistillConfig(Config):
    """Everything that `bayesfuse distill` can be told: the student, and how it learns."""

    method: Annotated[str, one_of("method", DISTILL_METHODS)] = Field(
        "msd",
        description="kd: the teacher's probabilities; msd: those of each modality alone, too; "
        "fitnet, rkd, sp: also its fused vectors.",
    )
    view_weights: Annotated[str, one_of("weighting", VIEW_WEIGHTS)] = Field(
        "population",
        description="How single modalities weigh in msd: population (--modality-weight for all "
        "items), importance, correctness, or learned on val.",
    )
    modality_weight: float = Field(
        0.5, ge=0, le=1, description="What each modality alone weighs in msd, by population."
    )
    hard_weight: float = Field(
        0.2, ge=0, le=1, description="Weight of the labels beside what the teacher says, 0 to 1."
    )
    softness: float = Field(
        1.0, gt=0, description="Temperature of both sides' logits: higher is softer."
    )
    feature_weight: float = Field(
        1.0, ge=0, description="Weight of the loss of fused vectors (fitnet, rkd, sp)."
    )
    hidden: int = Field(128, ge=1, description="Width of the student's fused vector.")
    classifier_hidden: int = Field(128, ge=1, description="Units of the student's maxout layer.")
    pieces: int = Field(2, ge=1, description="Pieces of a maxout unit.")
    dropout: float = Field(0.2, ge=0, lt=1, description="Dropout of the classifier's inputs.")
    epochs: int = Field(40, ge=1, description="Passes over the items.")
    batch_size: int = Field(128, ge=2, description="Items a step.")
    learning_rate: float = Field(0.001, gt=0, description="Learning rate of Adam.")
    draws: int = Field(64, ge=1, description="Posterior draws of the teacher.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed of draws, weights and batches.")
    device: Device = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")

    def without_effect(self, given: Collection[str]) -> list[str]:
        """Return warnings about settings that were given and change nothing.

        Args:
            given: The fields that were given.
        """
        idle = {
            "modality_weight": (
                self.method != "msd" or self.view_weights != "population",
                "--method msd --view-weights population",
            ),
            "feature_weight": (
                self.method not in ("fitnet", "rkd", "sp"),
                "--method fitnet, rkd or sp",
            ),
        }
        return [
            f"--{name.replace('_', '-')}: no effect without {needs}."
            for name, (no_effect, needs) in idle.items()
            if name in given and no_effect
        ]
