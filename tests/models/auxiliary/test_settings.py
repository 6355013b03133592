from __future__ import annotations

import pytest

from bayesfuse.errors import ConfigError
from bayesfuse.models import FUSIONS
from bayesfuse.models.auxiliary.settings import AuxiliarySettings, build_auxiliary

WIDTHS = {"text": 3, "image": 2}


def test_nothing_is_asked_for_by_itself() -> None:
    assert AuxiliarySettings().asked == ()
    for name, rule in FUSIONS.items():
        losses = build_auxiliary(AuxiliarySettings(own=0), rule(WIDTHS, 4), 5)
        assert not len(losses), name


@pytest.mark.parametrize(
    ("refiner", "weights"),
    [
        (0.1, {"text": 0.1, "image": 0.1}),
        ({"im*": 2.0, "*": 0.5}, {"text": 0.5, "image": 2.0}),
        ({"text": 0.5}, {"text": 0.5}),
    ],
)
def test_the_refiner_weighs_a_modality_by_the_first_pattern(refiner, weights) -> None:
    losses = build_auxiliary(AuxiliarySettings(refiner=refiner), FUSIONS["gmu"](WIDTHS, 4), 5)
    assert list(losses) == ["refiner"]
    assert losses["refiner"].weights == weights


def test_numbers_get_where_they_belong() -> None:
    settings = AuxiliarySettings(
        multi_similarity=0.2,
        alpha=3.0,
        beta=4.0,
        threshold=0.6,
        margin=0.3,
        contrastive=0.7,
        contrastive_temperature=0.9,
    )
    losses = build_auxiliary(settings, FUSIONS["gmu"](WIDTHS, 4), 5)
    similarity, contrastive = losses["multi_similarity"], losses["contrastive"]
    assert (similarity.weight, similarity.alpha, similarity.beta) == (0.2, 3.0, 4.0)
    assert (similarity.threshold, similarity.margin) == (0.6, 0.3)
    assert (contrastive.weight, contrastive.temperature) == (0.7, 0.9)
    assert settings.asked == ("multi-similarity", "contrastive")


@pytest.mark.parametrize(
    ("settings", "fusion", "tokens", "said"),
    [
        ({"refiner": 0.1}, None, None, "--refiner: the network has no fusion"),
        ({"contrastive": 0.1}, "gmu", "text", "--contrastive: the network reads text word by word"),
        ({"refiner": {"audio": 0.1}}, "gmu", None, "audio matches none of text, image"),
    ],
)
def test_what_cannot_be_is_refused(settings, fusion, tokens, said) -> None:
    rule = None if fusion is None else FUSIONS[fusion](WIDTHS, 4)
    with pytest.raises(ConfigError, match=said):
        build_auxiliary(AuxiliarySettings(**settings), rule, 5, tokens)


def test_one_modality_has_nothing_to_be_aligned_with() -> None:
    with pytest.raises(ConfigError, match="nothing to align text with"):
        build_auxiliary(AuxiliarySettings(contrastive=1.0), FUSIONS["gmu"]({"text": 3}, 4), 5)
