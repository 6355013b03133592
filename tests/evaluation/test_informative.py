from __future__ import annotations

import itertools

import numpy as np
import pytest

from bayesfuse.errors import UserError
from bayesfuse.evaluation import informative
from bayesfuse.evaluation.informative import most_informative
from bayesfuse.evaluation.uncertainty import DrawSummary


def some(draws: int = 12, items: int = 40, labels: int = 1, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(labels, draws, 3))
    return np.stack([1 / (1 + np.exp(-w @ rng.normal(size=(3, items)))) for w in weights], axis=2)


def alone(draws: np.ndarray) -> np.ndarray:
    return DrawSummary().update(draws).epistemic.sum(axis=1)


def information(draws: np.ndarray, items: list[int]) -> float:
    """Mutual information of all labels of the items and the draw, by every answer."""
    chosen = draws[:, items].reshape(len(draws), -1)
    total = 0.0
    for answer in itertools.product((0, 1), repeat=chosen.shape[1]):
        given = np.where(answer, chosen, 1 - chosen).prod(axis=1)
        total += (given * np.log(given / given.mean())).mean()
    return total


@pytest.mark.parametrize("labels", [1, 2])
def test_it_is_the_greedy_choice_by_brute_force(labels: int) -> None:
    draws = some(labels=labels)
    found = most_informative(lambda rows: draws[:, rows], alone(draws), 4)
    chosen: list[int] = []
    for item, gain in zip(found.items, found.gains, strict=True):
        rest = [i for i in range(40) if i not in chosen]
        values = [information(draws, [*chosen, i]) for i in rest]
        assert item == rest[int(np.argmax(values))]
        before = information(draws, chosen) if chosen else 0.0
        assert gain == pytest.approx(max(values) - before, abs=1e-9)
        chosen.append(int(item))
    assert found.information == pytest.approx(information(draws, chosen))


def test_a_copy_is_not_chosen_beside_the_first_as_it_is_by_itself() -> None:
    draws = some(draws=64, items=30)
    copies = np.concatenate([draws] * 3, axis=1)  # every item three times
    score = alone(copies)
    found = most_informative(lambda rows: copies[:, rows], score, 3)
    assert len(set(found.items % 30)) == 3
    by_itself = np.argsort(-score, kind="stable")[:3]  # the control: BALD without the batch
    assert len(set(by_itself % 30)) == 1
    assert found.information > 1.1 * information(copies, by_itself.tolist())


def test_drawn_answers_come_near_to_all_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = some(draws=32)
    every = most_informative(lambda rows: draws[:, rows], alone(draws), 9)
    monkeypatch.setattr(informative, "MAX_ANSWERS", 64)
    some_answers = most_informative(lambda rows: draws[:, rows], alone(draws), 9)
    assert np.array_equal(every.items[:6], some_answers.items[:6])
    assert np.array_equal(every.gains[:6], some_answers.gains[:6])
    exact = information(draws, some_answers.items.tolist())
    assert some_answers.information == pytest.approx(exact, rel=0.1)
    assert exact > 0.97 * every.information
    other = most_informative(lambda rows: draws[:, rows], alone(draws), 9, seed=5)
    assert not np.array_equal(other.gains, some_answers.gains)


def test_few_are_read_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = some(draws=16, items=400)
    read: list[int] = []

    def draws_of(rows: np.ndarray) -> np.ndarray:
        read.extend(rows.tolist())
        return draws[:, rows]

    whole = most_informative(draws_of, alone(draws), 3)
    monkeypatch.setattr(informative, "BLOCK", 16)
    monkeypatch.setattr(informative, "AT_ONCE", 3)
    read.clear()
    parts = most_informative(draws_of, alone(draws), 3)
    assert np.array_equal(whole.items, parts.items)
    np.testing.assert_allclose(whole.gains, parts.gains)
    assert len(read) < 400
    assert len(read) == len(set(read))


def test_candidates_and_more_than_there_are() -> None:
    draws = some()
    candidates = np.array([3, 30, 12])
    found = most_informative(lambda rows: draws[:, rows], alone(draws), 9, candidates=candidates)
    assert sorted(found.items) == [3, 12, 30]
    assert (np.diff(found.gains) <= 1e-12).all()


def test_certain_draws_have_nothing_to_teach_and_break_nothing() -> None:
    draws = np.concatenate([np.zeros((6, 3, 1)), np.ones((6, 3, 1))], axis=1)
    found = most_informative(lambda rows: draws[:, rows], alone(draws), 4)
    assert len(set(found.items)) == 4
    np.testing.assert_allclose(found.gains, 0, atol=1e-12)


def test_mistakes() -> None:
    draws = some(labels=7)
    with pytest.raises(UserError, match="7 labels were asked about; expected at most 6"):
        most_informative(lambda rows: draws[:, rows], alone(draws), 1)
    with pytest.raises(UserError, match="0 items were asked for"):
        most_informative(lambda rows: draws[:, rows], alone(draws), 0)
