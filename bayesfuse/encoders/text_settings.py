"""What a text encoder does, once everything that was left open is resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bayesfuse.encoders.base import Json
from bayesfuse.encoders.text_folder import TextFolder
from bayesfuse.encoders.text_model import POOLINGS
from bayesfuse.errors import ConfigError, FeatureError

LONG_TEXTS = ("cut", "windows")


@dataclass(frozen=True)
class TextSettings:
    """The settings of a fitted text encoder.

    Attributes:
        pooling: From tokens to one vector, one of `POOLINGS`.
        max_length: Tokens of a window.
        long_texts: `windows` or `cut`.
        stride: Tokens by which windows overlap.
        languages: Languages that are wanted; all if there are none.
        precision: `float32`, `bfloat16` or `float16`.
        normalise: Whether vectors have length 1.
        lower_case: Whether texts are lowered before they reach the tokenizer.
        width: Features of a vector.
    """

    pooling: str
    max_length: int
    long_texts: str
    stride: int
    languages: tuple[str, ...]
    precision: str
    normalise: bool
    lower_case: bool
    width: int

    def to_json(self) -> dict[str, Json]:
        """Return them by name."""
        return {**asdict(self), "languages": list(self.languages)}

    @classmethod
    def from_json(cls, config: Mapping[str, Any]) -> TextSettings:
        """Return what `to_json` returned, out of a mapping that may hold more.

        Raises:
            FeatureError: If one is missing or is none of its values.
        """
        try:
            values = {name: config[name] for name in cls.__dataclass_fields__}
            settings = cls(**{**values, "languages": tuple(values["languages"])})
            numbers = [int(settings.max_length), int(settings.stride), int(settings.width)]
        except (KeyError, TypeError, ValueError) as error:
            raise FeatureError(
                f"The state of the transformers encoder is incomplete: {error}."
            ) from error
        known = settings.pooling in POOLINGS and settings.long_texts in LONG_TEXTS
        if not known or min(numbers) < 0:
            raise FeatureError(
                f"The state of the transformers encoder has values that none can be: {values}."
            )
        return settings


def resolve_pooling(wanted: str | None, folder: TextFolder) -> str:
    """Return the pooling that was asked for, else the folder's, else mean.

    Raises:
        ConfigError: If the folder's is one that we do not have.
    """
    if wanted is None and folder.unknown_pooling:
        raise ConfigError(
            f'{folder.path} asks for the pooling "{folder.unknown_pooling}", which is not '
            f"supported. Name another one: {', '.join(POOLINGS)}."
        )
    return wanted or folder.pooling or "mean"


def resolve_max_length(wanted: int | None, folder: TextFolder, limit: int, num_special: int) -> int:
    """Return how many tokens are read at once.

    Args:
        wanted: What was asked for.
        folder: What the folder says counts if nothing was asked for.
        limit: The most that the network and its tokenizer allow.
        num_special: Special tokens of every text.

    Raises:
        ConfigError: If more was asked for, or so little that no word is read.
    """
    if wanted is None:
        return min(folder.max_length or limit, limit)
    check_max_length(wanted, limit, num_special)
    return wanted


def check_max_length(wanted: int, limit: int, num_special: int) -> None:
    """Refuse a number of tokens that a network does not take.

    Raises:
        ConfigError: If it is out of range.
    """
    least = num_special + 1
    if not least <= wanted <= limit:
        raise ConfigError(
            f"max_length is {wanted}; the text model takes {least} to {limit} tokens at once, "
            f"{num_special} of them special ones."
        )
