"""What was made beside what was published: numbers, and whether they can be held together."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn.metrics import f1_score

from bayesfuse.estimator.reproducing.papers import PAPERS
from bayesfuse.estimator.reproducing.reproduction import (
    MadeRow,
    Reproduction,
    made_row,
    paper_scores,
)
from bayesfuse.estimator.tables.fitting import RowResult, scores_of
from bayesfuse.estimator.tables.table import LeftOut

RNG = np.random.default_rng(0)
P = RNG.random((60, 3)).astype(np.float32)
Y = (RNG.random(P.shape) < P).astype(np.float32)
ABOUT = {"catalog": "films", "scored": "test", "items": 60, "labels": 3, "seeds": 2}
TABLES = PAPERS["pm-mo"]


def result(p: np.ndarray) -> RowResult:
    half = np.full(3, 0.5)
    return RowResult(p, half, scores_of(p, Y, half, 5), 2.0, 0.1, 7, 1, 1)


@pytest.fixture
def made() -> MadeRow:
    return made_row(TABLES.rows[0], [result(P), result(np.sqrt(P))], Y)


def reproduction(made: MadeRow, *, same: bool, scored: str = "test") -> Reproduction:
    left = [LeftOut(TABLES.rows[1].name, "too wide")]
    return Reproduction(TABLES, [made], left, {**ABOUT, "scored": scored}, same)


def test_scores_are_those_of_scikit_learn() -> None:
    found = paper_scores(P, Y)
    for kind in ("micro", "macro", "weighted"):
        assert found[f"{kind}_f1"] == pytest.approx(f1_score(Y, P >= 0.5, average=kind))
    some = Y.sum(axis=1) > 0  # scikit-learn counts an item without labels as 0
    expected = f1_score(Y[some], P[some] >= 0.5, average="samples", zero_division=0)
    assert found["samples_f1"] == pytest.approx(expected)


def test_means_and_spreads_are_over_seeds(made: MadeRow) -> None:
    each = [paper_scores(p, Y)["macro_f1"] for p in (P, np.sqrt(P))]
    assert made.means["macro_f1"] == pytest.approx(np.mean(each))
    assert made.spreads["macro_f1"] == pytest.approx(np.std(each, ddof=1))
    alone = made_row(TABLES.rows[0], [result(P)], Y)
    assert math.isnan(alone.spreads["macro_f1"])


def test_only_the_same_split_of_the_same_data_is_comparable(made: MadeRow) -> None:
    assert reproduction(made, same=True).comparable
    assert "NOT" not in str(reproduction(made, same=True))
    for other in (reproduction(made, same=False), reproduction(made, same=True, scored="val")):
        assert not other.comparable
        for text in (str(other), other.to_markdown()):
            assert "NOT COMPARABLE: the published numbers are of MM-IMDb, test" in text


def test_rows_stand_beside_what_was_published(made: MadeRow) -> None:
    found = reproduction(made, same=False)
    (row,) = [line for line in str(found).splitlines() if line.startswith("PM+MO (λKL+L2) ")]
    assert f"{made.means['micro_f1']:.3f} ± {made.spreads['micro_f1']:.3f}  0.620" in row
    (row,) = [line for line in str(found).splitlines() if line.startswith("M+MO")]
    assert row.split()[-4:] == ["0.611", "0.529", "0.602", "0.611"]
    assert "PM+MO (λKL+L2+1024): too wide" in str(found)
    frame = found.to_frame().set_index(["row", "score"])
    assert frame.loc[("PM+MO (λKL+L2)", "macro_f1"), "published"] == 0.549
    assert math.isnan(frame.loc[("M+MO (minus VI)", "macro_f1"), "here"])
    told = json.loads(json.dumps(found.to_dict()))
    assert (told["comparable"], told["data"]) == (False, "MM-IMDb")
    assert told["left_out"] == [{"row": "PM+MO (λKL+L2+1024)", "reason": "too wide"}]
    assert len(told["scores"]) == len(TABLES.rows) * len(TABLES.scores)
