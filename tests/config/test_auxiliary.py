from __future__ import annotations

import pytest

from bayesfuse.config import ModelConfig
from bayesfuse.config.auxiliary import AuxiliaryConfig
from bayesfuse.errors import ConfigError


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("0.1", 0.1),
        ("text=0.1,image=0.5", {"text": 0.1, "image": 0.5}),
        ("none", None),
        ({"*": 2}, {"*": 2.0}),
    ],
)
def test_weights_of_the_refiner(given: object, read: object) -> None:
    assert AuxiliaryConfig.parse({"refiner": given}).refiner == read


@pytest.mark.parametrize("given", ["0", "-1", "text=0", "much", "text="])
def test_what_is_no_weight(given: str) -> None:
    with pytest.raises(ConfigError, match=r"--refiner: .*weight of a refiner"):
        AuxiliaryConfig.parse({"refiner": given})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, ()),
        ({"refiner": 0.1, "contrastive": 1}, ("refiner", "contrastive")),
        ({"fusion": "centralnet"}, ("modality losses",)),
        ({"adversarial": 0.1, "refiner": 1}, ("refiner", "adversarial items")),
        ({"fusion": "centralnet", "fusion_loss": 0}, ()),
        ({"fusion": "centralnet", "model": "gat", "graph": "people"}, ()),
        (
            {"fusion": "centralnet", "multi_similarity": 1},
            ("modality losses", "multi-similarity"),
        ),
    ],
)
def test_what_is_beside_the_likelihood(given: dict[str, object], said: tuple[str, ...]) -> None:
    assert ModelConfig.parse(given).beside_likelihood == said


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"multi_similarity": 1},
        {"fusion": "centralnet"},
        {"fusion": "autoencoder", "fusion_loss": 0},
    ],
)
def test_a_pretraining_must_have_something_to_learn(given: dict[str, object]) -> None:
    ModelConfig.parse(given).check_pretraining()
    with pytest.raises(ConfigError, match="nothing to learn without labels"):
        ModelConfig.parse({**given, "pretrain_fusion": 1}).check_pretraining()
    for more in ({"refiner": 0.1}, {"contrastive": 1}, {"fusion": "autoencoder", "fusion_loss": 1}):
        ModelConfig.parse({**given, **more, "pretrain_fusion": 1}).check_pretraining()


def test_what_has_no_effect() -> None:
    config = AuxiliaryConfig.parse({"contrastive": 1})
    given = {"contrastive_temperature", "contrastive", "similarity_alpha", "similarity_margin"}
    assert config.idle(given) == [
        "--similarity-alpha, --similarity-margin: no effect without --multi-similarity."
    ]
    assert AuxiliaryConfig().idle(set()) == []
