"""Which encoders turn raw cells into features, and how they run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from bayesfuse.config.base import Config, Names, one_of

POOLINGS = ("cls", "max", "mean", "pooler")
LONG_TEXTS = ("cut", "windows")
ENCODER_PRECISIONS = ("auto", "bfloat16", "float16", "float32")

Setting = bool | int | float | str | tuple[bool | int | float | str, ...]


def _settings(value: Any) -> Any:
    """Read `"KEY=VALUE,KEY=VALUE"`; a value is a number, true, false, a text, or `3x320x224`."""
    if not isinstance(value, str):
        return value
    found: dict[str, Any] = {}
    for part in value.split(","):
        key, equals, text = part.partition("=")
        if not equals or not key.strip() or not text.strip():
            raise ValueError(f"{part!r} is no setting; expected KEY=VALUE,KEY=VALUE.")
        if key.strip() in found:
            raise ValueError(f"{key.strip()!r} is given twice.")
        found[key.strip()] = _value(text.strip())
    return found


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        parts = text.split("x")
        if len(parts) > 1 and all(_is_number(part) for part in parts):
            return tuple(json.loads(part) for part in parts)
        return text
    return tuple(value) if isinstance(value, list) else value


def _is_number(text: str) -> bool:
    try:
        return isinstance(json.loads(text), int | float)
    except ValueError:
        return False


def _grid(value: Any) -> Any:
    """Read `"3x2"`, rows and columns, or one number for both."""
    read = _value(value.strip().replace(",", "x")) if isinstance(value, str) else value
    parts = read if isinstance(read, tuple | list) else (read, read)
    whole = [part for part in parts if isinstance(part, int) and not isinstance(part, bool)]
    if value is not None and (len(parts) != 2 or len(whole) != 2 or min(whole) < 1):
        raise ValueError(f"{value!r} is no grid; expected rows x columns such as 3x2, or 3.")
    return value if value is None else tuple(whole)


Settings = Annotated[Mapping[str, Setting], BeforeValidator(_settings)]


class EncoderConfig(Config):
    """Which encoders, and their settings; what is left out is as the catalogue or the model say."""

    text_encoder: str | None = Field(
        None,
        description="Encode raw text: tfidf, or a transformers model by name or folder. Takes the "
        "place of features for it, if any; bert-base-uncased where there are none.",
    )
    pooling: Annotated[str, one_of("pooling", POOLINGS)] | None = Field(
        None, description="From tokens to one vector a text: mean, cls, max or pooler."
    )
    max_length: int | None = Field(
        None, ge=4, description="Tokens of a text that are read at once; the model's own if none."
    )
    long_texts: Annotated[str, one_of("way with long texts", LONG_TEXTS)] | None = Field(
        None, description="Longer texts: windows (their vectors' mean) or cut."
    )
    languages: Names | None = Field(
        None, description="Leave out texts in other languages than these, as en,de."
    )
    image_encoder: str | None = Field(
        None,
        description="Encode raw images: statistics, or a timm model by name. Takes the place of "
        "features for it, if any; efficientnet_b4 where there are none.",
    )
    image_weights: str | None = Field(
        None, description="File of the image model's weights, in place of a download."
    )
    image_args: Settings | None = Field(
        None, description="Arguments of the image model, as num_classes=10,pad_type=same."
    )
    preprocessing: Settings | None = Field(
        None,
        description="Of images, where it is not to be the model's own, as "
        "input_size=3x320x224,crop_pct=1,crop_mode=squash,mean=0.5,std=0.5.",
    )
    keep_sequence: Names | None = Field(
        None,
        description="Modalities of which each step is kept in place of one vector, as text,image: "
        "a text's tokens, a picture's places. For fusion rules that read steps.",
    )
    image_grid: Annotated[tuple[int, int], BeforeValidator(_grid)] | None = Field(
        None,
        description="Rows x columns of a picture's steps (3x2, or 3), into which its places are "
        "averaged; those of the network's last map if none.",
    )
    encoder_precision: Annotated[str, one_of("precision", ENCODER_PRECISIONS)] = Field(
        "auto", description="Of text and image models: float32, bfloat16, float16; auto by device."
    )


class RunningConfig(Config):
    """How encoders run; changes no feature."""

    encoded: str | None = Field(
        None,
        description="Folder where encoded features are kept; beside the catalogue if left out.",
    )
    encode_batch_size: int = Field(64, ge=1, description="Texts or images a model reads at once.")
    workers: int | None = Field(
        None, ge=0, description="Processes that decode images; a core each, 8 at most, if none."
    )
    strict: bool = Field(False, description="End with an error if a cell cannot be encoded.")
