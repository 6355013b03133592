"""What `bayesfuse models` can be told."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from bayesfuse.config.base import Config


def _widths(value: Any) -> Any:
    """Read `"text=384,image=1280"`: modalities and how many features they have."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.split(",")]
    names = [name.strip() for name, _, _ in pairs]
    numbers = [number.strip() for _, _, number in pairs]
    usable = all(names) and all(number.isdecimal() and int(number) > 0 for number in numbers)
    if not usable or len(set(names)) < len(names):
        raise ValueError(
            f"{value!r}: expected each modality once, with its number of features, such as "
            "text=384,image=1280."
        )
    return dict(zip(names, map(int, numbers), strict=True))


class ModelsConfig(Config):
    """Everything that `bayesfuse models` can be told: the sizes at which parameters are counted."""

    widths: Annotated[dict[str, int], BeforeValidator(_widths)] = Field(
        {"text": 384, "image": 1280}, description="Features of each modality: NAME=NUMBER,..."
    )
    labels: int = Field(21, ge=1, description="Number of labels.")
    hidden: int = Field(256, ge=1, description="Width of the fused representation.")
