"""Class weights are read from names, pairs, mappings and files, and mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from bayesfuse.config import FitConfig, ModelConfig
from bayesfuse.config.command_line import flags_of
from bayesfuse.errors import ConfigError


def read(value: object) -> object:
    return ModelConfig.parse({"class_weights": value}).class_weights


def test_names_pairs_and_mappings() -> None:
    assert read("effective") == "effective"
    assert read("Drama=0.5, Sci-Fi=2") == {"Drama": 0.5, "Sci-Fi": 2.0}
    assert read({"Drama": 1}) == {"Drama": 1.0}
    assert ModelConfig(class_weights="inverse").weighting == "inverse"
    assert ModelConfig.parse({"class_weights": "War=2"}).weighting == "given by label"


def test_a_file_is_read_into_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "weights.csv"
    path.write_text('label,weight\nDrama,0.5\n"War, cold",2\n\n', encoding="utf-8-sig")
    config = FitConfig.parse({"class_weights": str(path)})
    assert config.class_weights == {"Drama": 0.5, "War, cold": 2.0}
    path.unlink()
    assert FitConfig.model_validate_json(config.model_dump_json()) == config
    assert flags_of(config) is None  # a label with a comma: no flag can say it
    simple = FitConfig.parse({"class_weights": {"Drama": 0.5, "War": 2}})
    assert flags_of(simple) == ["--class-weights", "Drama=0.5,War=2"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("balance", 'Did you mean "balanced"'),
        ("none.csv", "cannot read none.csv: No such file"),
        ("Drama=0,War=x", "'Drama' is '0', expected a number > 0; the weight of 'War' is 'x'"),
        ("Drama=1,Drama=2", "'Drama' comes twice"),
        ({}, "there is no label in it"),
        (3, "--class-weights"),
    ],
)
def test_what_is_no_weight_is_refused(value: object, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("genre,weight\nDrama,1\n", "begins with 'genre,weight'; expected the columns"),
        ("", "begins with 'nothing'"),
        ("label,weight\nDrama\n", "row 2 has not two cells"),
        ("label,weight\nDrama,many\n", "the weight of 'Drama' is 'many'"),
        ("label,weight\n", "there is no label in it"),
    ],
)
def test_what_is_no_file_of_weights_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "weights.csv"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read(str(path))
    assert said in str(caught.value)
