"""Texts in other languages than those that are wanted: only where that is sure."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from bayesfuse.encoders.languages import LanguageFilter
from bayesfuse.errors import ConfigError, MissingExtraError

SCRIPTS = tomllib.loads((Path(__file__).parent / "scripts.toml").read_text(encoding="utf-8"))
TEXTS = {name: case["text"] for cases in SCRIPTS.values() for name, case in cases.items()}


@pytest.fixture(scope="module")
def english():
    return LanguageFilter(["en"])


@pytest.mark.parametrize(
    "name",
    ["French", "German", "Polish", "Turkish", "Russian", "Greek", "Arabic", "Hebrew", "Hindi",
     "Bengali", "Georgian", "Thai", "Korean", "Chinese", "Japanese", "Vietnamese"],
)  # fmt: skip
def test_other_languages_are_found(english, name):
    assert english.is_other(TEXTS[name])


@pytest.mark.parametrize(
    "name", ["English", "code", "URL", "an initial", "numbers", "sounds", "abbreviations"]
)
def test_english_and_what_is_no_language_are_not(english, name):
    assert not english.is_other(TEXTS[name])


@pytest.mark.parametrize(
    "text", ["Amélie", "Les Misérables", "Das Boot", "8½", "", "Quantum of Solace", "Roma"]
)
def test_a_title_is_too_short_to_be_sure(english, text):
    assert not english.is_other(text)


def test_several_languages_are_wanted_together():
    both = LanguageFilter(("en", "fr"))
    assert not both.is_other(TEXTS["English"])
    assert not both.is_other(TEXTS["French"])
    assert both.is_other(TEXTS["German"])


@pytest.mark.slow
@pytest.mark.movies
def test_english_plots_are_english(english, movies_path):
    """Of 8,619 plots one is in another language, and that one is Spanish."""
    import pyarrow.parquet as pq

    plots = pq.read_table(movies_path / "movies.parquet", columns=["plot"])["plot"].to_pylist()
    found = [plot for plot in plots if english.is_other(plot)]
    assert [plot[:11] for plot in found] == ["La vida ha "]


def test_unknown_codes_are_named_with_the_nearest():
    with pytest.raises(ConfigError, match='languages has "eng" Did you mean "en"'):
        LanguageFilter(["eng", "fr"])
    with pytest.raises(ConfigError, match="languages has none"):
        LanguageFilter([])
    with pytest.raises(ConfigError, match="zxx"):
        LanguageFilter(["zxx"])  # what the detector calls no language


def test_filters_do_not_touch_each_other_nor_the_package():
    import py3langid

    LanguageFilter(["en"])
    assert py3langid.classify(TEXTS["German"])[0] == "de"


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "py3langid", None)
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'bayesfuse\[text\]'"):
        LanguageFilter(["en"])
