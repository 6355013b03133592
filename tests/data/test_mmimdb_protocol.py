"""The genres, movies and plots that papers on MM-IMDb count."""

from __future__ import annotations

import pytest

from bayesfuse.data.mmimdb_protocol import (
    GENRES,
    RARE_GENRES,
    Protocol,
    check_plots,
    choose_plot,
    is_mmimdb,
)
from bayesfuse.errors import ConfigError


def test_there_are_27_genres_and_23_of_them_are_labels() -> None:
    assert len({*GENRES, *RARE_GENRES}) == 27
    assert len(GENRES) == 23
    assert Protocol("gmu").label_set == Protocol("mmbt").label_set == GENRES
    assert Protocol("all").label_set == (*GENRES, "News", "Adult", "Talk-Show", "Reality-TV")


def test_gmu_keeps_every_movie_and_drops_rare_genres() -> None:
    protocol = Protocol("gmu")
    assert protocol.keeps("train", ["News"])
    assert protocol.keeps("test", ["Adult"])
    assert protocol.labels(["News", "War", "Drama", "War"]) == ["War", "Drama"]


def test_mmbt_leaves_out_news_and_genres_that_train_has_not() -> None:
    protocol = Protocol("mmbt")
    assert not protocol.keeps("train", ["News", "Western"])
    assert protocol.keeps("train", ["Drama"])
    assert protocol.keeps("train", ["Adult", "Comedy"])
    assert protocol.labels(["Adult", "Comedy"]) == ["Comedy"]
    assert protocol.keeps("test", ["Adult", "Drama"])
    assert not protocol.keeps("test", ["News"])
    assert not protocol.keeps("val", ["Western"])  # the one in train was left out
    assert protocol.keeps("test", ["Comedy"])


def test_all_keeps_all() -> None:
    protocol = Protocol("all")
    assert protocol.keeps("test", ["News"])
    assert protocol.labels(["News", "Drama"]) == ["News", "Drama"]
    assert protocol.labels(["Game-Show"]) == []


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigError, match=r'Unknown protocol "mmbd".*"mmbt"\?'):
        Protocol("mmbd")
    with pytest.raises(ConfigError, match=r'Unknown choice of plots "long".*"longest"\?'):
        check_plots("long")


@pytest.mark.parametrize(
    ("how", "expected"), [("longest", "bbb"), ("first", "a"), ("all", "a\n\nbbb\n\nccc")]
)
def test_one_text_is_made_of_several_plots(how: str, expected: str) -> None:
    check_plots(how)
    assert choose_plot([" ", "a", "bbb ", "ccc"], how) == expected


@pytest.mark.parametrize("how", ["longest", "first", "all"])
@pytest.mark.parametrize("plots", [[], ["", " \n"]])
def test_no_plot_is_no_text(how: str, plots: list[str]) -> None:
    assert choose_plot(plots, how) is None


def test_mm_imdb_is_known_by_its_genres_and_its_size() -> None:
    sizes = {"train": 15_552, "val": 2_608, "test": 7_799}
    assert is_mmimdb(GENRES, sizes)
    assert is_mmimdb(sorted(GENRES), {**sizes, "train": 15_513, "test": 7_779})
    assert not is_mmimdb(GENRES[:-1], sizes)
    assert not is_mmimdb([*GENRES, "News"], sizes)
    assert not is_mmimdb(GENRES, {**sizes, "test": 5_000})
    assert not is_mmimdb(GENRES, {**sizes, "train": 15_553})
    assert not is_mmimdb(GENRES, {"train": 15_552, "test": 7_799})
