from __future__ import annotations

import pytest

from bayesfuse.config import ModelConfig, ModelsConfig
from bayesfuse.errors import ConfigError


def test_widths_are_read_from_a_flag_and_from_python() -> None:
    made = ModelsConfig.parse({"widths": "text=3, year=1", "labels": "2"})
    assert (made.widths, made.labels) == ({"text": 3, "year": 1}, 2)
    assert ModelsConfig(widths={"text": 3}).widths == {"text": 3}


def test_the_width_is_that_of_a_fit() -> None:
    assert ModelsConfig().hidden == ModelConfig().hidden


@pytest.mark.parametrize("widths", ["text", "text=", "=3", "text=0", "text=x", "a=1,a=2", ""])
def test_what_is_no_width_is_refused_with_an_example(widths: str) -> None:
    with pytest.raises(ConfigError, match=r"--widths: .*such as text=384,image=1280"):
        ModelsConfig.parse({"widths": widths}, "flags")
