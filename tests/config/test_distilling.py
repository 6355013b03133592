from __future__ import annotations

from typing import Any

import pytest

from bayesfuse.config.distilling import DistillConfig
from bayesfuse.errors import ConfigError


def test_every_field_says_what_it_is() -> None:
    for name, field in DistillConfig.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"method": "msg"}, 'Did you mean "msd"?'),
        ({"view_weights": "learnt"}, 'Did you mean "learned"?'),
        ({"hard_weight": 1.5}, "at most 1"),
        ({"softness": 0}, "more than 0"),
        ({"hiden": 3}, 'Did you mean "hidden"?'),
    ],
)
def test_mistakes_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DistillConfig.parse(given)
    assert said in str(caught.value)


def test_what_changes_nothing_is_told() -> None:
    config = DistillConfig(method="kd", modality_weight=0.3, feature_weight=2)
    said = config.without_effect({"modality_weight", "feature_weight", "hidden"})
    assert [line.split(":")[0] for line in said] == ["--modality-weight", "--feature-weight"]
    assert config.without_effect({"hidden"}) == []
    learned = DistillConfig(view_weights="learned", modality_weight=0.3)
    assert len(learned.without_effect({"modality_weight"})) == 1
    assert DistillConfig(method="sp").without_effect({"feature_weight"}) == []
