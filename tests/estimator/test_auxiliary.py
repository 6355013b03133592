from __future__ import annotations

from dataclasses import asdict

from bayesfuse.config import ModelConfig
from bayesfuse.estimator.auxiliary import auxiliary_settings
from bayesfuse.models.auxiliary.settings import AuxiliarySettings

CHANGED = {
    "fusion_loss": 0.5,
    "refiner": {"text": 0.2},
    "multi_similarity": 0.3,
    "similarity_alpha": 7.0,
    "similarity_beta": 8.0,
    "similarity_threshold": 0.25,
    "similarity_margin": 0.05,
    "contrastive": 0.4,
    "contrastive_temperature": 0.9,
}


def test_every_setting_is_taken_over() -> None:
    found = asdict(auxiliary_settings(ModelConfig.parse(CHANGED)))
    assert list(found.values()) == list(CHANGED.values())
    for name, value in asdict(AuxiliarySettings()).items():
        assert found[name] != value, f"{name}: choose another value for this test"


def test_the_defaults_are_the_same() -> None:
    assert auxiliary_settings(ModelConfig()) == AuxiliarySettings()
