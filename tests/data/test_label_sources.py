"""Several sources of labels: the paper's equations, ties, and items of which some say nothing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from bayesfuse.data.catalog import Catalog
from bayesfuse.data.label_sources import LABEL_SOURCES, JoinedLabels, join_sources
from bayesfuse.data.roles import Labels
from bayesfuse.errors import CatalogError

NAMES = ("Drama", "War", "Crime")


def joined(values: np.ndarray, known: np.ndarray | None = None, weigh: str = "agreement"):
    known = np.ones(values.shape[:2], dtype=np.bool_) if known is None else known
    values = values * known[:, :, None]
    sources = [Labels(NAMES, v.astype(np.float32), k) for v, k in zip(values, known, strict=True)]
    return join_sources([f"s{k}" for k in range(len(values))], sources, weigh)


def by_hand(item: np.ndarray) -> np.ndarray:
    """Equations 1, 2 and 4 for one item, `sources x labels`, a line each."""
    k = len(item)
    f1 = [[f1_score(a, b, zero_division=1.0) for b in item] for a in item]
    similarity = [sum(f1[j][i] for i in range(k) if i != j) / (k - 1) for j in range(k)]
    validity = [math.exp(s) / sum(map(math.exp, similarity)) for s in similarity]
    return sum(p * row for p, row in zip(validity, item, strict=True))


def test_shares_are_the_papers_soft_labels() -> None:
    values = (np.random.default_rng(1).random((4, 12, 3)) < 0.5).astype(np.float64)
    found: JoinedLabels = joined(values)
    expected = np.array([by_hand(values[:, i]) for i in range(12)])
    np.testing.assert_allclose(found.shares, expected, rtol=1e-6)
    equal = joined(values, weigh="equal")
    np.testing.assert_allclose(equal.shares, values.mean(axis=0), rtol=1e-6)
    assert np.abs(found.shares - equal.shares).max() > 0.02  # agreement counts
    assert LABEL_SOURCES == ("agreement", "equal")


def test_a_source_that_says_nothing_of_an_item_does_not_count_there() -> None:
    values = (np.random.default_rng(2).random((3, 8, 3)) < 0.5).astype(np.float64)
    known = np.ones((3, 8), dtype=np.bool_)
    known[2, :4], known[:2, 6], known[:, 7] = False, False, False
    found = joined(values, known)
    np.testing.assert_allclose(found.shares[:4], joined(values[:2, :4]).shares)
    np.testing.assert_allclose(found.shares[6], values[2, 6])
    assert found.labels.labelled.tolist() == [True] * 7 + [False]
    assert not found.shares[7].any()
    assert found.agreement.items == (6, 6, 3)
    alone = joined(values, np.array([[True] * 8, [False] * 8, [False] * 8]))
    assert all(map(math.isnan, alone.agreement.agreement))


def test_a_tie_goes_by_the_first_source_and_others_by_most() -> None:
    two = joined(np.array([[[1, 0, 1]], [[0, 0, 1]]], dtype=float))
    assert two.shares.tolist() == [[0.5, 0, 1]]
    assert two.labels.values.tolist() == [[1, 0, 1]]
    first_is_silent = joined(
        np.array([[[0, 0, 0]], [[0, 1, 0]], [[1, 1, 0]]], dtype=float),
        np.array([[False], [True], [True]]),
    )
    assert first_is_silent.labels.values.tolist() == [[0, 1, 0]]


TABLE = """id,plot,a,b,c,split
1,x,Drama,Drama,War,train
2,y,Drama|War,War,,train
3,z,,,,train
4,u,War,War,War,val
"""


def test_a_catalogue_with_several_columns_of_labels(tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_text(TABLE)
    how = {"id": "id", "text": "plot", "split": "split", "labels_separator": "|"}
    catalog = Catalog.read(tmp_path / "films.csv", labels=["a", "b", "c"], **how)
    assert catalog.label_names == ("Drama", "War")
    assert catalog.labelled.tolist() == [True, True, False, True]
    assert catalog.labels.tolist() == [[1, 0], [1, 1], [0, 0], [0, 1]]
    assert catalog.label_shares is not None
    np.testing.assert_allclose(catalog.targets(np.array([1])), [[0.5, 1]])
    told = str(catalog.describe())
    assert "source of labels" in told
    assert catalog.describe().to_dict()["label_agreement"]["items"] == (3, 3, 2)
    (tmp_path / "catalog.toml").write_text(
        'table = "films.csv"\nid = "id"\nlabels = ["a", "b", "c"]\nlabel_sources = "equal"\n'
        'labels_separator = "|"\nsplit = "split"\n[modalities.text]\ncolumn = "plot"\n'
    )
    equal = Catalog.read(tmp_path)
    assert equal.label_shares is not None
    np.testing.assert_allclose(equal.label_shares[0], [2 / 3, 1 / 3])
    assert catalog.label_shares[0, 0] > 0.7  # the two that agree count for more
    one = Catalog.read(tmp_path / "films.csv", labels="a", **how)
    assert one.label_shares is None
    assert one.targets(np.array([1])).tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ["a", "nope"]}, "nope"),
        ({"labels": ["a", "a"]}, "labels: named twice: a"),
        ({"labels": []}, "labels names no column"),
        ({"labels": ["a"], "label_sources": "equal"}, "two or more columns of labels; got 1"),
        ({"labels": ["a", "b"], "label_sources": "vote"}, "'agreement' or 'equal'; got 'vote'"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, options: dict[str, object], message: str) -> None:
    (tmp_path / "films.csv").write_text(TABLE)
    with pytest.raises(CatalogError, match=message):
        Catalog.read(tmp_path / "films.csv", id="id", text="plot", labels_separator="|", **options)
