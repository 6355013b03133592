"""Patterns of names: what matches nothing is told."""

from __future__ import annotations

import pytest

from bayesfuse.errors import ConfigError
from bayesfuse.estimator import FusionClassifier
from bayesfuse.inference.patterns import check_patterns

NAMES = ["text", "image"]


@pytest.mark.parametrize("given", [0.1, "fan-in", None, {"*": 1}, {"im*": 1, "text": 2}])
def test_what_matches_passes(given: object) -> None:
    check_patterns(given, NAMES, "norm")


def test_every_pattern_without_a_match_is_named() -> None:
    with pytest.raises(ConfigError, match=r'"imge", "audio", which matches none.*mean "image"'):
        check_patterns({"imge": 1, "audio": 2, "*": 3}, NAMES, "norm")


def test_the_patterns_of_a_default_need_not_match() -> None:
    check_patterns({"image": 1, "*": 3}, ["text"], "norm", known=["image", "*"])


@pytest.mark.parametrize(
    "setting",
    [
        {"feature_norm": "audio=3,*=6"},
        {"prior_scale": "fusion.audio.*=0.1,*=0.2"},
        {"init_scale": "nosuch=0.1,*=0.2"},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_a_fit_refuses_patterns_that_match_nothing(setting: dict[str, str]) -> None:
    items, labels = {"text": [[0.0], [1.0], [2.0], [3.0]]}, [[0, 1], [1, 0], [1, 1], [0, 0]]
    with pytest.raises(ConfigError, match="which matches none of"):
        FusionClassifier(hidden=2, epochs=1, device="cpu", **setting).fit(items, labels)
