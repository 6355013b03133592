"""What is gathered of items is held against numbers that are worked out by hand."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from bayesfuse.data.catalog import Catalog
from bayesfuse.data.demo import write_demo
from bayesfuse.estimator.workflow import Run
from bayesfuse.evaluation.uncertainty import summarise
from bayesfuse.report import collect_items
from bayesfuse.report.collect_items import (
    NUM_RANKED,
    NUM_SURPRISES,
    Gathered,
    epistemic_shares,
    gather_items,
)
from bayesfuse.report.item_rows import SHOWN

DRAWS = 40


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return Catalog.read(write_demo(tmp_path_factory.mktemp("demo") / "demo", num_items=80))


@pytest.fixture(scope="module")
def run(catalog: Catalog) -> Run:
    rows = np.arange(len(catalog))[::-2].copy()  # neither all of them nor in their order
    classifier = SimpleNamespace(label_names_=catalog.label_names)
    return Run(cast(Any, classifier), cast(Any, None), catalog, rows)


@pytest.fixture(scope="module")
def draws(run: Run) -> NDArray[np.float32]:
    rng = np.random.default_rng(1)
    shape = (len(run.rows), len(run.catalog.label_names))
    logits = rng.normal(-1, 2, shape) + rng.normal(0, 0.6, (DRAWS, *shape))
    return (1 / (1 + np.exp(-logits))).astype(np.float32)


def gather(
    run: Run, draws: NDArray[np.float32], limit: int | None = None, num_left: int = 4
) -> Gathered:
    found = summarise(draws)
    labels = run.catalog.labels[run.rows]
    return gather_items(run, draws, found, labels, found.mean > 0.5, num_left, limit)


@pytest.fixture(scope="module")
def gathered(run: Run, draws: NDArray[np.float32]) -> Gathered:
    return gather(run, draws)


def test_every_item_is_there_the_most_uncertain_first(
    gathered: Gathered, run: Run, draws: NDArray[np.float32]
) -> None:
    assert sorted(item.id for item in gathered.items) == sorted(run.catalog.ids[run.rows])
    nats = [item.uncertainty for item in gathered.items]
    assert nats == sorted(nats, reverse=True)
    assert [item.left_to_person for item in gathered.items] == [True] * 4 + [False] * 36
    titles = dict(zip(run.catalog.ids, run.catalog.titles or [], strict=True))
    shares = dict(zip(run.catalog.ids[run.rows], epistemic_shares(summarise(draws)), strict=True))
    for item in gathered.items:
        assert item.title == titles[item.id]
        assert item.epistemic_share == pytest.approx(shares[item.id])
        means = [tag.mean for tag in item.tags]
        assert means == sorted(means, reverse=True)
        assert all(tag.q95 >= SHOWN or tag.decision or tag.truth for tag in item.tags)
        assert all(tag.decision == (tag.mean > 0.5) for tag in item.tags)
    tags = [tag for item in gathered.items for tag in item.tags]
    assert sum(bool(tag.truth) for tag in tags) == run.catalog.labels[run.rows].sum()
    assert any(tag.q95 < SHOWN for tag in tags)
    assert len(tags) < draws[0].size


def test_a_limit_leaves_the_most_uncertain(
    gathered: Gathered, run: Run, draws: NDArray[np.float32]
) -> None:
    few = gather(run, draws, limit=7)
    assert [item.id for item in few.items] == [item.id for item in gathered.items[:7]]
    assert [row.id for row in few.surprises] == [row.id for row in gathered.surprises]


def test_surprises_are_the_least_probable_truths(
    gathered: Gathered, run: Run, draws: NDArray[np.float32]
) -> None:
    mean, labels = draws.astype(np.float64).mean(axis=0), run.catalog.labels[run.rows]
    truth = np.where(labels == 1, mean, 1 - mean)
    expected = sorted(
        (
            (-math.log(truth[i, c]), str(run.catalog.ids[row]), c)
            for i, row in enumerate(run.rows)
            for c in range(labels.shape[1])
        ),
        reverse=True,
    )[:NUM_SURPRISES]
    names = run.catalog.label_names
    assert [row.surprise for row in gathered.surprises] == pytest.approx([e[0] for e in expected])
    assert [(row.id, row.tag.label) for row in gathered.surprises] == [
        (item, names[c]) for _, item, c in expected
    ]
    assert {row.tag.truth for row in gathered.surprises} == {True, False}
    for row in gathered.surprises:
        assert (row.tag.label in row.labels) == row.tag.truth
        i = run.catalog.ids[run.rows].tolist().index(row.id)
        assert [name in row.labels for name in names] == (labels[i] == 1).tolist()


def test_a_probability_of_0_surprises_but_not_without_end(
    run: Run, draws: NDArray[np.float32]
) -> None:
    labels = run.catalog.labels[run.rows]
    wrong = draws.copy()
    i, c = np.argwhere(labels == 1)[0]
    wrong[:, i, c] = 0
    first = gather(run, wrong).surprises[0]
    assert first.tag.mean == 0
    assert 15 < first.surprise < math.inf


def test_rankings_come_by_how_common_a_label_is_and_with_ranks_of_joint_draws(
    gathered: Gathered, run: Run, draws: NDArray[np.float32]
) -> None:
    names, ids = list(run.catalog.label_names), run.catalog.ids[run.rows].tolist()
    labels = run.catalog.labels[run.rows]
    counts = [int(labels[:, names.index(r.label)].sum()) for r in gathered.rankings]
    assert counts == sorted(counts, reverse=True)
    assert sorted(r.label for r in gathered.rankings) == sorted(names)
    for ranking in gathered.rankings:
        scores = draws[:, :, names.index(ranking.label)].astype(np.float64)
        order = np.argsort(-scores.mean(axis=0), kind="stable")
        ranks = 1 + (scores[:, None, :] > scores[:, :, None]).sum(axis=2)  # no two are equal
        low, high = np.quantile(ranks, [0.05, 0.95], axis=0)
        rows = [row for group in ranking.groups for row in group.rows]
        assert [row.id for row in rows] == [ids[i] for i in order[:NUM_RANKED]]
        assert [row.place for row in rows] == list(range(1, NUM_RANKED + 1))
        for row, i in zip(rows, order, strict=False):
            assert (row.rank_lower, row.rank_upper) == (math.floor(low[i]), math.ceil(high[i]))
            assert row.tag.mean == pytest.approx(scores[:, i].mean())
            assert row.tag.truth == bool(labels[i, names.index(ranking.label)])


def test_groups_are_of_items_that_cannot_be_told_apart_from_their_first(
    gathered: Gathered, run: Run, draws: NDArray[np.float32]
) -> None:
    names = list(run.catalog.label_names)
    beyond = 0
    for ranking in gathered.rankings:
        scores = draws[:, :, names.index(ranking.label)]
        ordered = scores[:, np.argsort(-scores.mean(axis=0, dtype=np.float64), kind="stable")]
        place = 1
        for group in ranking.groups:
            assert group.first == place
            leader = ordered[:, group.first - 1]
            for other in range(group.first, group.last):
                assert 0.1 < (leader > ordered[:, other]).mean() < 0.9
            if group.last < ordered.shape[1]:
                assert not 0.1 < (leader > ordered[:, group.last]).mean() < 0.9
            assert len(group.rows) == min(group.last, NUM_RANKED) - group.first + 1
            place = group.last + 1
            beyond += group.last > NUM_RANKED
    assert beyond  # a group is told with all its places, shown or not


def test_what_all_items_have_in_common_moves_no_rank(run: Run) -> None:
    rng = np.random.default_rng(3)
    shape = (len(run.rows), len(run.catalog.label_names))
    base = np.linspace(2, -2, shape[0])[:, None] * np.ones(shape)
    common = base + rng.normal(0, 1, (DRAWS, 1, 1))
    alone = base + rng.normal(0, 1, (DRAWS, *shape))
    widths = []
    for logits in (common, alone):
        draws = (1 / (1 + np.exp(-logits))).astype(np.float32)
        rows = [row for group in gather(run, draws).rankings[0].groups for row in group.rows]
        assert all(row.tag.q95 - row.tag.q05 > 0.1 for row in rows)
        widths.append([row.rank_upper - row.rank_lower for row in rows])
    assert widths[0] == [0] * NUM_RANKED
    assert min(widths[1]) > 3


def test_only_the_commonest_labels_are_ranked_by(
    run: Run, draws: NDArray[np.float32], gathered: Gathered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect_items, "MAX_RANKINGS", 2)
    found = gather(run, draws).rankings
    assert found == gathered.rankings[:2]


def test_each_item_has_its_own_poster(gathered: Gathered, run: Run) -> None:
    observed = dict(zip(run.catalog.ids, run.catalog.raw["image"].observed, strict=True))
    assert not all(observed[item.id] for item in gathered.items)
    of = {item.id: item.picture for item in gathered.items}
    for item in gathered.items:
        assert (item.picture is not None) == observed[item.id]
    pictures = [uri for uri in of.values() if uri is not None]
    assert len(set(pictures)) == len(pictures)
    assert all(row.picture == of[row.id] for row in gathered.surprises)
    ranked = [row for r in gathered.rankings for group in r.groups for row in group.rows]
    assert all(row.picture == of[row.id] for row in ranked)
    assert gathered.num_unreadable == 0


def test_pictures_keep_to_the_budget_of_a_page(
    run: Run, draws: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect_items, "PICTURE_BYTES", 40 * 300)
    pictures = [item.picture for item in gather(run, draws).items if item.picture is not None]
    assert pictures
    assert max(len(uri) for uri in pictures) <= len("data:image/webp;base64,") + 4 * 100


def test_a_catalogue_without_pictures_has_none(run: Run, draws: NDArray[np.float32]) -> None:
    raw = {"text": run.catalog.raw["text"]}
    bare = dataclasses.replace(run, catalog=dataclasses.replace(run.catalog, raw=raw, titles=None))
    found = gather(bare, draws)
    assert {item.picture for item in found.items} == {None}
    assert {item.title for item in found.items} == {None}
