from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.stats import rankdata

from bayesfuse.errors import UserError
from bayesfuse.evaluation import ranking
from bayesfuse.evaluation.draw_file import DrawFile
from bayesfuse.evaluation.ranking import Ranking, near_ties, rank_draws, ranks, write_scores


def scores_of(draws: np.ndarray) -> DrawFile:
    file = DrawFile(*draws.shape)
    file.write(draws, 0)
    return file


def some(draws: int = 40, items: int = 30) -> np.ndarray:
    rng = np.random.default_rng(3)
    logits = 2 * rng.normal(size=items) + rng.normal(size=(draws, items))
    return (1 / (1 + np.exp(-logits))).astype(np.float32)


def few_values():
    """Draws of few values, so that there are ties."""
    shapes = array_shapes(min_dims=2, max_dims=2, max_side=9)
    return arrays(np.float32, shapes, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0]))


@given(few_values())
def test_ranks_are_scipys_and_top_k_adds_up_to_k(draws: np.ndarray) -> None:
    expected = rankdata(-draws.astype(float), axis=1)
    for row, ranked in zip(draws, expected, strict=True):
        np.testing.assert_allclose(ranks(row), ranked)
    for top in (1, 2, draws.shape[1]):
        with scores_of(draws) as scores:
            found = rank_draws(scores, top=top)
        np.testing.assert_allclose(found.rank_mean, expected.mean(axis=0))
        np.testing.assert_allclose(found.top.sum(), found.num_top)
        assert ((found.top >= 0) & (found.top <= 1 + 1e-12)).all()
        # within rounding to whole ranks, an interval holds the median
        median = np.median(expected, axis=0)
        assert ((found.rank_lower <= median) & (median <= found.rank_upper)).all()


def test_against_plain_numpy() -> None:
    draws = some()
    with scores_of(draws) as scores:
        found = rank_draws(scores, level=0.8, top=4)
    expected = rankdata(-draws, axis=1)
    np.testing.assert_allclose(found.mean, draws.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.sd, draws.std(axis=0), rtol=1e-5)
    np.testing.assert_allclose(
        [found.lower, found.upper], np.quantile(draws, (0.1, 0.9), axis=0), rtol=1e-6
    )
    low, high = np.quantile(expected, (0.1, 0.9), axis=0)
    assert np.array_equal(found.rank_lower, np.floor(low))
    assert np.array_equal(found.rank_upper, np.ceil(high))
    np.testing.assert_allclose(found.top, (expected <= 4).mean(axis=0))
    assert (found.num_top, found.level, found.num_draws) == (4, 0.8, 40)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = some()
    with scores_of(draws) as scores:
        whole = rank_draws(scores)
        groups = near_ties(scores, whole.order())
    monkeypatch.setattr(ranking, "AT_ONCE", 4 * len(draws))
    with DrawFile(*draws.shape) as scores:
        write_scores(scores, (draws[:, i : i + 7] for i in range(0, 30, 7)))
        parts = rank_draws(scores)
        np.testing.assert_array_equal(near_ties(scores, parts.order()), groups)
    for name in ("mean", "sd", "lower", "upper", "rank_mean", "rank_lower", "rank_upper", "top"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))


def test_each_order_is_by_what_it_says() -> None:
    draws = some()
    with scores_of(draws) as scores:
        found = rank_draws(scores, top=5)
    falling = {"mean": found.mean, "lower": found.lower, "top": found.top, "rank": -found.rank_mean}
    for by, values in falling.items():
        assert (np.diff(values[found.order(by)]) <= 0).all()
    sample = draws[7]
    assert np.array_equal(found.order("thompson", sample), np.argsort(-sample))
    assert len({tuple(found.order(by)) for by in falling}) > 1
    with pytest.raises(UserError, match=r'Unknown ranking "means".*Did you mean "mean"'):
        found.order("means")
    with pytest.raises(UserError, match="expected `sample`"):
        found.order("thompson")


def test_ties_go_to_the_higher_mean_and_then_to_the_first() -> None:
    same = np.full(4, 0.5)
    whole = np.ones(4, np.int64)
    made = Ranking(np.array([0.1, 0.3, 0.3, 0.2]), same, same, same, same, whole, whole, same,
                   2, 0.9, 8)  # fmt: skip
    for by in ("mean", "lower", "rank", "top"):
        assert made.order(by).tolist() == [1, 2, 3, 0]


def test_the_expected_rank_looks_at_joint_draws() -> None:
    """A shift that all items share changes every interval of a score and no rank."""
    logits = np.linspace(2, -2, 6)
    shift = np.random.default_rng(0).normal(size=(200, 1)) * 3
    shared = 1 / (1 + np.exp(-(logits + shift)))
    with scores_of(shared) as scores:
        found = rank_draws(scores)
        assert near_ties(scores, found.order()).tolist() == [1, 2, 3, 4, 5, 6]
    assert found.rank_lower.tolist() == found.rank_upper.tolist() == [1, 2, 3, 4, 5, 6]
    assert (found.upper - found.lower > 0.5).any()
    # the control: the same margins, drawn apart, cannot be told apart
    rng = np.random.default_rng(1)
    apart = np.stack([rng.permutation(column) for column in shared.T], axis=1)
    with scores_of(apart) as scores:
        found = rank_draws(scores)
        groups = near_ties(scores, found.order())
    assert (found.rank_upper - found.rank_lower >= 3).all()
    assert groups.max() < 6


def test_near_ties_by_the_definition() -> None:
    draws = some(items=200)
    with scores_of(draws) as scores:
        order = rank_draws(scores).order()
        for level in (0.6, 0.9, 1.0):
            groups = near_ties(scores, order, level=level)
            leader, expected, group = order[0], [], 1
            for item in order:
                a, b = draws[:, leader], draws[:, item]
                above = (a > b).mean() + 0.5 * (a == b).mean()
                if max(above, 1 - above) >= level - 1e-12:
                    leader, group = item, group + 1
                expected.append(group)
            assert groups.tolist() == expected
            assert 1 < groups.max() < 200


def test_items_that_are_the_same_are_one_group_and_one_draw_tells_all_apart() -> None:
    with scores_of(np.full((8, 5), 0.3)) as scores:
        assert near_ties(scores, np.arange(5)).tolist() == [1] * 5
    with scores_of(np.array([[0.4, 0.3, 0.2]])) as scores:
        assert near_ties(scores, np.arange(3)).tolist() == [1, 2, 3]


def test_intervals_of_rank_hold_the_true_rank_as_often_as_they_say() -> None:
    """Truths drawn from the posterior itself: 90 % intervals hold 90 % of ranks, 50 % less."""
    rng = np.random.default_rng(5)
    held, narrow = [], []
    for _ in range(40):
        draws = rng.normal(size=25) + rng.normal(size=(400, 25))
        truth = ranks(draws[0])
        with scores_of(draws[1:]) as scores:
            for level, into in ((0.9, held), (0.5, narrow)):
                found = rank_draws(scores, level=level)
                into.append(((found.rank_lower <= truth) & (truth <= found.rank_upper)).mean())
    assert 0.88 < np.mean(held) < 0.96  # a whole rank each way more, for rounding
    assert np.mean(narrow) < 0.75


def test_mistakes() -> None:
    with DrawFile(2, 3) as scores:
        for settings, said in (
            ({"level": 1.0}, "level is 1.0"),
            ({"top": 0}, "The top 0 was asked for"),
        ):
            with pytest.raises(UserError, match=said):
                rank_draws(scores, **settings)
        with pytest.raises(UserError, match=r"above 0\.5"):
            near_ties(scores, np.arange(3), level=0.5)
        with pytest.raises(UserError, match="scores of 2 items; expected 3"):
            write_scores(scores, [np.zeros((2, 2))])
    with DrawFile(2, 0) as scores, pytest.raises(UserError, match="2 draws of 0 items"):
        rank_draws(scores)
