"""The rows of a table: their names, and the settings they are fitted with."""

from __future__ import annotations

from typing import Any

import pytest

from bayesfuse.config import PRESETS
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.named_models import named_models
from bayesfuse.estimator.tables.rows import BAYES, TableRow, model_rows

TWO = ("text", "image")


def by_name(names: list[str], given: dict[str, Any]) -> dict[str, TableRow]:
    return {row.name: row for row in model_rows(names, TWO, given)}


def test_all_are_there_without_and_with_a_posterior() -> None:
    rows = by_name(["all"], {})
    names = [model.name for model in named_models(dict.fromkeys(TWO))]
    assert list(rows) == [each for name in names for each in (name, f"{name}{BAYES}")]
    assert {rows[name].config.elbo for name in names} == {"none"}
    assert {rows[f"{name}{BAYES}"].config.elbo for name in names} == {"annealed"}


def test_what_is_given_counts_for_every_row_and_presets_have_the_rest() -> None:
    rows = by_name(["gmu", "pm-mo"], {"hidden": "12", "prior": "normal", "elbo": "meanfield"})
    assert {row.config.hidden for row in rows.values()} == {12}
    assert {row.config.elbo for row in rows.values()} == {"none", "meanfield"}
    assert rows["pm-mo"].config.dropout == PRESETS["pm-mo"]["dropout"]
    assert rows["gmu (Bayes)"].config.prior == "normal"
    assert list(by_name(["gmu"], {"elbo": "none"})) == ["gmu"]


def test_a_modality_alone_hears_nobody() -> None:
    given = {"graph": "people", "neighbour_labels": True, "graph_width": 4, "members": 3}
    rows = by_name(["text", "gmu", "gat"], given)
    assert rows["text"].config.modalities == ("text",)
    assert rows["text"].config.graph == "none"
    assert not rows["text"].config.neighbour_labels
    assert rows["gmu"].config.graph == rows["gat"].config.graph == "people"
    assert (rows["gmu"].config.members, rows["gmu (Bayes)"].config.members) == (1, 3)


def test_what_is_for_a_graph_counts_for_rows_with_one() -> None:
    rows = by_name(["gmu", "gat"], {"pretrain_graph": 3, "neighbour_labels": True})
    assert [rows[name].config.pretrain_graph for name in ("gmu", "gat", "gat (Bayes)")] == [0, 3, 3]
    assert not rows["gmu"].config.neighbour_labels
    assert rows["gat"].config.neighbour_labels


def test_a_posterior_is_of_a_likelihood() -> None:
    rows = by_name(["gmu"], {"loss": "focal", "label_smoothing": 0.1})
    plain, bayes = (rows[name].config for name in ("gmu", "gmu (Bayes)"))
    assert (plain.loss, plain.label_smoothing) == ("focal", 0.1)
    assert (bayes.loss, bayes.label_smoothing) == ("bce", 0.0)


@pytest.mark.parametrize(
    ("names", "given", "said"),
    [
        (["gum"], {}, 'Did you mean "gmu"'),
        (["gmu", "gmu"], {}, "names a model twice"),
        ([], {}, "names no model"),
        (["gmu"], {"fusion": "moe", "preset": "pm-mo"}, "--fusion, --preset: --models says"),
        (["gmu"], {"hidden": 0}, "--hidden"),
    ],
)
def test_mistakes_are_told(names: list[str], given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        model_rows(names, TWO, given)
