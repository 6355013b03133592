from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bayesfuse.config import FUSIONS, FitConfig
from bayesfuse.errors import ConfigError


def test_names_are_read_from_text() -> None:
    made = FitConfig.parse({"modalities": "text, image", "parts": "fusion"})
    assert made.modalities == ("text", "image")
    assert made.parts == ("fusion",)


def test_all_mistakes_are_collected() -> None:
    wrong = {
        "fusoin": "gmu",
        "fusion": "gum",
        "elbo": "anealed",
        "hidden": 0,
        "dropout": 1.0,
        "learning_rate": "fast",
        "prior_scale": "fanin",
        "init_scale": -0.1,
        "colour": "blue",
    }
    with pytest.raises(ConfigError) as caught:
        FitConfig.parse(wrong, "file settings.toml")
    head, *lines = str(caught.value).splitlines()
    assert head == "In the file settings.toml:"
    assert len(lines) == len(wrong)
    for words_of_one in (
        'unknown setting "fusoin". Did you mean "fusion"?',
        f'Unknown fusion rule "gum"; expected one of {", ".join(FUSIONS)}. Did you mean "gmu"?',
        'Unknown ELBO "anealed"; expected one of annealed, meanfield, none, rao-blackwell, trace.',
        "--hidden: expected at least 1; got 0.",
        "--dropout: expected less than 1; got 1.0.",
        "--learning-rate: expected a number; got 'fast'.",
        "'fanin' is no prior scale; expected a number > 0, fan-in, learned, or PATTERN=SCALE",
        'Did you mean "fan-in"?',
        "-0.1 is no initial scale; expected a number > 0, prior, or PATTERN=SCALE",
        'unknown setting "colour".',
    ):
        assert words_of_one in str(caught.value)
    assert caught.value.exit_code == 2


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Cannot read the settings .*none\.toml"):
        FitConfig.read_file(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="Cannot read the settings"):
        FitConfig.read_file(tmp_path)
    for name, content in (("a.toml", b"hidden = = 3"), ("b.json", b"{'hidden': 3}")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match=rf"{name} is not valid"):
            FitConfig.read_file(tmp_path / name)
    (tmp_path / "c.toml").write_bytes(b'id = "\xff\xfe"')
    with pytest.raises(ConfigError, match=r"c\.toml"):
        FitConfig.read_file(tmp_path / "c.toml")
    (tmp_path / "d.json").write_text("[1, 2]")
    with pytest.raises(ConfigError, match="holds a list; expected settings by name"):
        FitConfig.read_file(tmp_path / "d.json")


def test_loading_it_loads_nothing_heavy() -> None:
    script = "import sys, bayesfuse.config; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    heavy = {"torch", "pyro", "numpy", "pandas", "sklearn", "scipy"}
    assert not heavy & set(found.stdout.split())
