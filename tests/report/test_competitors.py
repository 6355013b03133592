from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bayesfuse.errors import ConfigError
from bayesfuse.estimator.comparison import Comparison, Row, digest_of
from bayesfuse.evaluation.intervals import bootstrap_scores, bootstrap_scores_per_label
from bayesfuse.report.competitors import (
    SCORES,
    Competitors,
    competitor_sketches,
    read_competitors,
)
from bayesfuse.report.svg import PAGE, canvas

RNG = np.random.default_rng(0)
P = RNG.random((200, 2))
Y = (RNG.random(P.shape) < P).astype(np.float32)
NAMES = ["Drama", "War"]
DIGEST = digest_of([f"f{n}" for n in range(200)], NAMES, Y)
SETTINGS = {"elbo": "annealed", "temperature": 1.0, "class_weights": "none", "graph": "none"}


def compared(**about: Any) -> dict[str, Any]:
    rows = []
    for name, p in (("bayesian", P), ("twin", P**3), ("copy", P)):
        scores = bootstrap_scores(p, Y, replicates=50)
        by_label = bootstrap_scores_per_label(p, Y, replicates=50)
        rows.append(Row(name, scores, by_label, dict.fromkeys(scores, math.nan), 2.5, 0.1, 321))
    whole = {"catalog": "films.csv", "scored": "val", "items": 200, "seeds": 2, "digest": DIGEST}
    return Comparison(rows, NAMES, {**whole, **SETTINGS, **about}).to_dict()


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Competitors]:
    def read(document: Any, **other: Any) -> Competitors:
        path = tmp_path / "compare.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        asked = {"split": "val", "label_names": NAMES, "digest": DIGEST, "settings": SETTINGS}
        return read_competitors(path, **{**asked, **other})

    return read


def test_what_compare_wrote_is_read(read: Callable[..., Competitors]) -> None:
    found = read(compared())
    assert [row.name for row in found.rows] == ["bayesian", "twin", "copy"]
    assert (found.level, found.seeds, found.notes) == (0.95, 2, [])
    bayesian, twin, copy = found.rows
    mine, theirs = (bootstrap_scores(p, Y, replicates=50) for p in (P, P**3))
    assert bayesian.scores["nll"] == mine["nll"].interval(0.95, 0.0)
    assert twin.differences["nll"] == (theirs["nll"] - mine["nll"]).interval(0.95)
    assert twin.differences["nll"].low > 0
    assert not copy.differences["nll"].excludes_zero
    assert (twin.fit_seconds, twin.predict_seconds, twin.num_parameters) == (2.5, 0.1, 321)
    assert set(twin.scores) == set(SCORES)


def test_other_settings_are_told(read: Callable[..., Competitors]) -> None:
    (note,) = read(compared(elbo="meanfield")).notes
    assert "elbo meanfield; that of this run is annealed" in note


@pytest.mark.parametrize(
    ("document", "other", "said"),
    [
        ("method,label\n", {}, "is not JSON; a CSV does not tell of which items"),
        ({"nll": 1}, {}, "it lacks digest, level, scores, seeds"),
        ([1], {}, "is not what `bayesfuse compare` writes"),
        (None, {"digest": "0"}, r"other items \(films.csv, val, 200 items\) than the val split"),
        (None, {"label_names": ["Drama", "Sport"]}, "it lacks Sport; the run does not know War"),
    ],
)
def test_what_is_of_something_else_is_refused(
    read: Callable[..., Competitors], document: Any, other: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        read(compared() if document is None else document, **other)
    assert "bayesfuse compare CATALOG --on val -o compare.json" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Cannot read --compare .*none.json: No such file"):
        read_competitors(
            tmp_path / "none.json", split="val", label_names=NAMES, digest=DIGEST, settings={}
        )


def test_figures_are_of_the_differences(read: Callable[..., Competitors]) -> None:
    found = read(compared())
    sketches = competitor_sketches(found)
    assert [sketch.name for sketch in sketches] == [
        *("competitors-macro_ap", "competitors-nll", "competitors-ece"),
    ]
    assert "NLL minus that of bayesian: twin +" in sketches[1].alt
    with canvas(4, 3) as figure:
        sketches[1].draw(figure, PAGE)
        lines = figure.axes[0].lines
        marked = [float(line.get_xdata()[0]) for line in lines if line.get_marker() == "D"]
    assert marked == [found.rows[1].differences["nll"].estimate]
    alone = Competitors(found.rows[:1], 0.95, 1)
    assert competitor_sketches(alone) == []
