from __future__ import annotations

import json

import pytest

from bayesfuse.config import FinetuneConfig
from bayesfuse.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("text=2,image=1", {"text": ("2",), "image": ("1",)}),
        ("text=2+embeddings + pooler", {"text": ("2", "embeddings", "pooler")}),
        ("plot=all", {"plot": ("all",)}),
        ({"text": 2}, {"text": ("2",)}),
        ({"text": "0+pooler"}, {"text": ("0", "pooler")}),
    ],
)
def test_blocks_are_read_from_text(text: object, value: object) -> None:
    made = FinetuneConfig.parse({"finetune": text})
    assert made.finetune == value
    assert FinetuneConfig.parse(json.loads(made.model_dump_json())) == made


@pytest.mark.parametrize("text", ["text", "text=", "=2", "text=-1", "text=2+3", "text=2+", 5])
def test_what_names_no_blocks_is_refused(text: object) -> None:
    with pytest.raises(ConfigError, match="--finetune: "):
        FinetuneConfig.parse({"finetune": text})


def test_rates_have_their_ranges() -> None:
    for name, value in (("layer_decay", 1.1), ("layer_decay", 0), ("backbone_learning_rate", 0)):
        with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')}: expected"):
            FinetuneConfig.parse({name: value})
