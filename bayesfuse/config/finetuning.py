"""Which blocks of the encoders are trained with the classifier, and how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from bayesfuse.config.base import Config
from bayesfuse.config.encoding import Settings


def _unfrozen(value: Any) -> Any:
    """Read `"text=2+embeddings,image=1"`: modality to blocks from the top, and parts by name."""
    if isinstance(value, str):
        pairs = [part.partition("=") for part in value.split(",")]
        wrong = [name or part for name, part, blocks in pairs if not (name.strip() and blocks)]
        if wrong:
            raise ValueError(f"{value!r}: expected MODALITY=BLOCKS,... such as text=2,image=1.")
        value = {name.strip(): blocks for name, _, blocks in pairs}
    if not isinstance(value, Mapping):
        return value
    return {str(name): _parts(name, blocks) for name, blocks in value.items()}


def _parts(name: Any, blocks: Any) -> tuple[str, ...]:
    parts = blocks.split("+") if isinstance(blocks, str) else blocks
    parts = [parts] if isinstance(parts, int) else parts
    found = tuple(str(part).strip() for part in parts)
    numbers = [part for part in found if part.lstrip("-").isdigit()]
    if not found or not all(found) or len(numbers) > 1 or any(int(n) < 0 for n in numbers):
        raise ValueError(
            f"{name}={blocks}: expected a number of blocks from the top, all, or names of parts, "
            "joined by +, such as 2+pooler."
        )
    return found


Unfrozen = Annotated[dict[str, tuple[str, ...]], BeforeValidator(_unfrozen)]


class FinetuneConfig(Config):
    """Fine-tuning end to end; nothing of it counts while `finetune` is not given."""

    finetune: Unfrozen | None = Field(
        None,
        description="Train the last blocks of encoders too: text=2,image=1, or all; parts by name "
        "as text=2+embeddings+pooler.",
    )
    backbone_learning_rate: float = Field(
        2e-5, gt=0, description="Of the topmost block that is fine-tuned (AdamW)."
    )
    layer_decay: float = Field(
        0.9, gt=0, le=1, description="Factor on that rate for each block further down."
    )
    gradient_checkpointing: bool = Field(
        False, description="Fine-tune in less memory, and about a third more time."
    )
    augment: Settings | None = Field(
        None,
        description="Change images at random in fine-tuning, as crop=0.6,flip=0.5,jitter=0.2,"
        "rotation=10,translate=0.1,scale=0.1; 0 for not at all.",
    )
