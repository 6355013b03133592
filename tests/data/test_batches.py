from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from bayesfuse.data.batches import Batches, drop_modalities, num_batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import FeatureError


def make(num_items: int = 11, labelled: bool = True) -> Batches:
    rows = np.arange(num_items)
    features = FeatureTable.from_arrays(
        {"text": np.stack([rows, -rows], axis=1), "year": rows[:, None].astype(np.float16)},
        {"text": rows % 3 != 0},
    )
    labels = np.stack([rows % 2, np.ones_like(rows), rows > 4], axis=1).astype(np.float32)
    return Batches(features, labels if labelled else None)


def test_a_batch_has_its_rows_in_every_part() -> None:
    batch = make().read(np.array([4, 3, 10]))
    assert batch.inputs["text"].tolist() == [[4, -4], [0, 0], [10, -10]]
    assert batch.inputs["year"].tolist() == [[4], [3], [10]]
    assert batch.observed.tolist() == [[True, True], [False, True], [True, True]]
    assert batch.labels is not None
    assert batch.labels.tolist() == [[0, 1, 0], [1, 1, 0], [0, 1, 1]]
    for tensor in (*batch.inputs.values(), batch.labels):
        assert tensor.dtype is torch.float32
    assert batch.observed.dtype is torch.bool
    assert len(make()) == 11


def test_items_without_labels_have_none() -> None:
    batch = make(labelled=False).read(slice(0, 2))
    assert batch.labels is None
    assert batch.inputs["text"].shape == (2, 2)


def test_labels_of_other_items_are_refused() -> None:
    with pytest.raises(FeatureError, match=r"11 items have features but 10 have labels"):
        Batches(make().features, np.zeros((10, 3), np.float32))


@pytest.mark.parametrize("shares", [1, 2, 3])
def test_shares_of_a_batch_make_up_the_batch(shares: int) -> None:
    items = make(45)
    found = [
        list(items.shuffled(16, np.random.default_rng(0), (share, shares)))
        for share in range(shares)
    ]
    for number, batch in enumerate(items.shuffled(16, np.random.default_rng(0))):
        parts = [part[number] for part in found]
        assert torch.equal(torch.cat([p.inputs["year"] for p in parts]), batch.inputs["year"])
        assert max(map(len, (p.observed for p in parts))) <= 6 * 3 // shares


@given(num_items=st.integers(2, 300), batch_size=st.integers(2, 64), seed=st.integers(0, 9))
def test_an_epoch_has_every_item_once_in_equal_batches(
    num_items: int, batch_size: int, seed: int
) -> None:
    items = make(num_items)
    found = list(items.shuffled(batch_size, np.random.default_rng(seed)))
    sizes = [len(batch.observed) for batch in found]
    assert len(sizes) == num_batches(num_items, batch_size)
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 2
    assert max(sizes) <= max(batch_size, 3)  # 3 items in batches of 2 are one batch
    years = torch.cat([batch.inputs["year"][:, 0] for batch in found]).tolist()
    assert sorted(years) == list(range(num_items))


def test_the_order_is_the_generators() -> None:
    def order(seed: int) -> list[list[float]]:
        generator = np.random.default_rng(seed)
        return [b.inputs["year"][:, 0].tolist() for b in make(64).shuffled(8, generator)]

    assert order(0) == order(0)
    assert order(0) != order(1)
    generator = np.random.default_rng(0)
    epochs = [next(make(64).shuffled(8, generator)).inputs["year"] for _ in range(2)]
    assert not torch.equal(*epochs)


def test_in_order_is_in_order() -> None:
    found = list(make(7).in_order(3))
    assert [len(batch.observed) for batch in found] == [3, 3, 1]
    years = torch.cat([batch.inputs["year"][:, 0] for batch in found]).tolist()
    assert years == list(range(7))


@pytest.mark.parametrize(
    ("num_items", "batch_size", "expected"),
    [(1, 4, 1), (2, 2, 1), (3, 2, 1), (4, 2, 2), (8, 4, 2), (9, 4, 3), (10, 128, 1), (257, 128, 3)],
)
def test_numbers_of_batches(num_items: int, batch_size: int, expected: int) -> None:
    assert num_batches(num_items, batch_size) == expected


# ---- modality dropout ----


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(
    mask=hnp.arrays(np.bool_, st.tuples(st.integers(1, 20), st.integers(1, 4))),
    probability=st.floats(0, 0.99),
    seed=st.integers(0, 99),
)
def test_hiding_never_unhides_and_never_hides_all(
    mask: np.ndarray, probability: float, seed: int
) -> None:
    observed = torch.from_numpy(mask.copy())
    found = drop_modalities(observed, probability, generator(seed))
    assert found.dtype is torch.bool
    assert not bool((found & ~observed).any())
    assert torch.equal(found.any(dim=1), observed.any(dim=1))
    assert np.array_equal(observed.numpy(), mask)  # not in place


def test_the_rate_is_the_one_asked_for(failure_rate: float) -> None:
    num_items, probability = 4000, 0.3
    observed = torch.ones(num_items, 2, dtype=torch.bool)
    found = drop_modalities(observed, probability, generator())
    hidden = int((~found).any(dim=1).sum())
    # one of two is hidden unless both are kept, for an item that would lose both keeps one
    rate = 1 - (1 - probability) ** 2
    assert stats.binomtest(hidden, num_items, rate).pvalue > failure_rate
    assert stats.binomtest(hidden, num_items, probability).pvalue < failure_rate
    # neither is preferred
    first = int((~found[:, 0]).sum())
    assert stats.binomtest(first, hidden, 0.5).pvalue > failure_rate


def test_with_many_modalities_each_is_hidden_at_the_rate(failure_rate: float) -> None:
    observed = torch.ones(800, 12, dtype=torch.bool)
    hidden = (~drop_modalities(observed, 0.3, generator())).sum(dim=0)
    for count in hidden.tolist():
        assert stats.binomtest(count, 800, 0.3).pvalue > failure_rate / 12


def test_an_item_with_one_modality_keeps_it() -> None:
    observed = torch.tensor([[True, False], [False, True], [False, False]]).repeat(50, 1)
    for seed in range(5):
        assert torch.equal(drop_modalities(observed, 0.95, generator(seed)), observed)


def test_probability_zero_hides_nothing_and_the_seed_decides_the_rest() -> None:
    observed = torch.ones(50, 3, dtype=torch.bool)
    assert torch.equal(drop_modalities(observed, 0.0, generator()), observed)
    first = drop_modalities(observed, 0.5, generator(1))
    assert torch.equal(first, drop_modalities(observed, 0.5, generator(1)))
    assert not torch.equal(first, drop_modalities(observed, 0.5, generator(2)))
