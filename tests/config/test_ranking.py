from __future__ import annotations

import pytest

from bayesfuse.config import PredictConfig, RankConfig
from bayesfuse.errors import ConfigError


def test_every_setting_of_predict_is_there_and_every_field_says_what_it_is() -> None:
    assert set(RankConfig.model_fields) >= set(PredictConfig.model_fields)
    for name, field in RankConfig.model_fields.items():
        assert (field.description or "").endswith("."), name


def test_mistakes_are_told_at_once() -> None:
    given = {"by": "lowr", "level": "0.5", "top": "0", "abstain": "1", "most_informative": "0"}
    with pytest.raises(ConfigError) as caught:
        RankConfig.parse(given, "flags")
    for said in (
        'Unknown ranking "lowr"',
        'Did you mean "lower"?',
        "--level: expected more than 0.5; got '0.5'",
        "--top: expected at least 1",
        "--abstain: expected less than 1",
        "--most-informative: expected at least 1",
    ):
        assert said in str(caught.value)
