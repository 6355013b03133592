from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyro
import pytest
import torch
from scipy import stats

from bayesfuse.data.batches import Batches
from bayesfuse.data.features import FeatureTable
from bayesfuse.inference.predictive import PosteriorPredictive

MakeFused = Callable[..., Any]
MakeBatches = Callable[..., Batches]


def predictive(made: Any, **options: Any) -> PosteriorPredictive:
    return PosteriorPredictive(made.network, made.lifted, made.guide, **{"num_items": 40} | options)


def proba(found: PosteriorPredictive, items: Batches, draws: int = 8, **options: Any) -> np.ndarray:
    return np.concatenate(list(found.chunks(items, draws, **options)), axis=1)


def test_shapes_dtype_and_range(make_fused: MakeFused, make_batches: MakeBatches) -> None:
    found = proba(predictive(make_fused()), make_batches(), 5)
    assert (found.shape, found.dtype) == ((5, 40, 4), np.float32)
    assert ((found > 0) & (found < 1)).all()


@pytest.mark.parametrize("prior", ["laplace", "horseshoe"])
@pytest.mark.parametrize("guide", ["laplace", "laplace-tied", "normal", "lowrank"])
def test_draws_are_the_same_however_items_are_cut(
    prior: str, guide: str, make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made, items = make_fused(prior=prior, guide=guide), make_batches(70)
    whole = list(predictive(made).chunks(items, 3))
    assert len(whole) == 1
    for budget, chunks in ((1, 5), (1_000, 5), (5_000, 3)):
        parts = list(predictive(made).chunks(items, 3, memory_budget=budget))
        assert len(parts) == chunks
        np.testing.assert_allclose(np.concatenate(parts, axis=1), whole[0], rtol=0, atol=1e-6)


def test_a_budget_bounds_the_chunk(make_fused: MakeFused, make_batches: MakeBatches) -> None:
    made, items = make_fused(), make_batches(120)
    sizes = [
        [part.nbytes for part in predictive(made).chunks(items, 32, memory_budget=budget)]
        for budget in (16_000, 32_000, 10**9)
    ]
    assert max(sizes[0]) <= 16_000
    assert max(sizes[1]) <= 32_000
    assert len(sizes[0]) > len(sizes[1]) > len(sizes[2]) == 1


def test_weights_kept_for_all_chunks_are_those_drawn_anew(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made, items = make_fused(), make_batches()
    found = predictive(made)
    found._prepare()
    size = 4 * sum(site.shape.numel() for site in made.lifted.sites)
    assert found._cache(range(6), 6 * size) is not None
    assert found._cache(range(6), 6 * size - 1) is None
    again = proba(found, items, 6, memory_budget=6 * size)
    redrawn = proba(found, items, 6, memory_budget=6 * size - 1)
    np.testing.assert_allclose(again, redrawn, rtol=0, atol=1e-6)


def test_weights_that_fit_in_the_budget_are_drawn_once(
    make_fused: MakeFused, make_batches: MakeBatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, items = predictive(make_fused()), make_batches()
    drawn: list[int] = []
    draw = found._weights
    monkeypatch.setattr(found, "_weights", lambda number: (drawn.append(number), draw(number))[1])
    assert len(list(found.chunks(items, 3, memory_budget=2_000))) > 1
    assert drawn == [0, 1, 2]


def test_a_draw_is_one_network_for_all_items(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made, items = make_fused(), make_batches()
    found = predictive(made)
    draws = proba(found, items, 4, memory_budget=2_000)
    batch = items.read(slice(None))
    made.network.eval()
    for draw in range(4):
        weights = found.weights(draw)
        with torch.no_grad():
            logits = made.lifted.run(weights, batch.inputs, batch.observed)
        expected = torch.sigmoid(logits).numpy()
        np.testing.assert_allclose(draws[draw], expected, rtol=0, atol=1e-6)
    # the same item twice has the same draws; that is what an average of fresh draws would lose
    twice = Batches(items.features.take([3] * 10))
    np.testing.assert_allclose(
        proba(found, twice, 4, memory_budget=1), np.repeat(draws[:, 3:4], 10, axis=1), atol=1e-6
    )


def test_seeds_and_numbers_tell_draws_apart(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made, items = make_fused(), make_batches()
    first = proba(predictive(made, seed=1), items, 6)
    np.testing.assert_array_equal(proba(predictive(made, seed=1), items, 6), first)
    # fewer draws are the first of more
    np.testing.assert_allclose(proba(predictive(made, seed=1), items, 3), first[:3], atol=1e-6)
    other = proba(predictive(made, seed=2), items, 6)
    every = np.concatenate([first, other]).reshape(12, -1)
    distances = np.abs(every[:, None] - every[None]).max(axis=2)
    assert (distances[~np.eye(12, dtype=bool)] > 1e-3).all()


def test_draws_come_from_the_guide(make_fused: MakeFused, failure_rate: float) -> None:
    made = make_fused(init_scale=0.2)
    found = predictive(made)
    draws = torch.stack([found.weights(draw)["fusion.text.weight"] for draw in range(300)])
    loc = made.guide.locations()["fusion.text.weight"].detach()
    z = ((draws - loc) / 0.2).flatten().numpy()
    assert stats.kstest(z, stats.laplace.cdf).pvalue > failure_rate
    assert stats.kstest(z / 1.25, stats.laplace.cdf).pvalue < failure_rate
    assert set(found.weights(0)) == {site.name for site in made.lifted.sites}


def test_nothing_is_left_changed_by_drawing(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made, items = make_fused(classifier="maxout", classifier_hidden=4), make_batches()
    before = (torch.get_rng_state(), pyro.settings.get())
    tensors = {name: value.clone() for name, value in made.network.state_dict().items()}
    proba(predictive(made), items)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert pyro.settings.get() == before[1]
    assert not list(pyro.get_param_store().keys())
    for name, value in made.network.state_dict().items():
        torch.testing.assert_close(value, tensors[name], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("training", [True, False])
def test_dropout_is_off_and_the_mode_is_put_back(
    training: bool, make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made, items = make_fused(classifier="maxout", classifier_hidden=4, dropout=0.5), make_batches()
    made.network.train(training)
    modes = []
    found = []
    for part in predictive(made).chunks(items, 4, memory_budget=2_000):
        modes.append(made.network.training)  # between chunks, too: whoever reads may train
        found.append(part)
    assert len(modes) > 1
    assert set(modes) == {training}
    assert all(module.training is training for module in made.network.modules())
    again = proba(predictive(made), items, 4)
    np.testing.assert_allclose(np.concatenate(found, axis=1), again, atol=1e-6)


def test_an_error_puts_the_mode_back(make_fused: MakeFused, make_batches: MakeBatches) -> None:
    made, items = make_fused(), make_batches()
    made.network.train()
    narrow = Batches(items.features.select(["image", "text"]).select(["text"]))
    with pytest.raises(ValueError, match="modalities"):
        proba(predictive(made), narrow)
    assert made.network.training


def test_a_deterministic_network_has_one_draw(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made, items = make_fused(), make_batches()
    found = PosteriorPredictive(made.network, None, None, num_items=40)
    assert found.weights(3) == {}
    draws = proba(found, items, 64)
    assert draws.shape == (1, 40, 4)
    batch = items.read(slice(None))
    with torch.no_grad():
        expected = torch.sigmoid(made.network.eval()(batch.inputs, batch.observed))
    np.testing.assert_allclose(draws[0], expected.numpy(), atol=1e-6)


def test_the_mean_is_that_of_the_draws(make_fused: MakeFused, make_batches: MakeBatches) -> None:
    made, items = make_fused(init_scale=0.5), make_batches()
    found = predictive(made)
    mean = found.mean(items, 16)
    np.testing.assert_allclose(mean, proba(found, items, 16).mean(axis=0), rtol=1e-6)
    # and not the probability at the guide's locations: the trap of the deterministic twin
    batch = items.read(slice(None))
    with torch.no_grad():
        plug_in = torch.sigmoid(made.network.eval()(batch.inputs, batch.observed)).numpy()
    assert np.abs(plug_in - mean).max() > 0.01


def test_what_is_not_observed_changes_nothing(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made, items = make_fused(), make_batches()
    values, observed = items.features.batch(slice(None))
    junk = np.where(observed[:, 1:], values["image"], 1e6).astype(np.float32)
    assert not observed.all()
    other = FeatureTable.from_arrays(
        {"text": values["text"], "image": junk}, {"image": observed[:, 1]}
    )
    found = predictive(made)
    np.testing.assert_array_equal(proba(found, Batches(other)), proba(found, items))


def test_bfloat16_is_near(make_fused: MakeFused, make_batches: MakeBatches) -> None:
    made, items = make_fused(), make_batches()
    exact = proba(predictive(made), items)
    rough = proba(predictive(made, precision=torch.bfloat16), items)
    assert rough.dtype == np.float32
    assert 0 < np.abs(exact - rough).max() < 0.02


# ---- labels that training could say nothing about ----


@pytest.mark.parametrize("num_items", [3, 40, 100_000])
def test_a_fixed_label_has_its_base_rate(
    num_items: int, make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made, items = make_fused(), make_batches()
    free = proba(predictive(made), items, 64)
    counts = torch.tensor([0, 1, num_items, num_items - 1])
    made.network.set_label_counts(counts, num_items)
    draws = proba(predictive(made, num_items=num_items), items, 64)
    assert ((draws > 0) & (draws < 1)).all()
    for label, k in ((0, 0), (2, num_items)):
        rates = draws[:, :, label]
        assert (rates == rates[:, :1]).all()  # one rate a draw, joint over items
        law = stats.beta(k + 0.5, num_items - k + 0.5)
        mean = (k + 0.5) / (num_items + 1)
        assert rates.mean() == pytest.approx(mean, rel=0.05)
        np.testing.assert_allclose(
            np.sort(rates[:, 0]), law.ppf((np.arange(64) + 0.5) / 64), rtol=1e-4, atol=1e-7
        )
        assert rates[:, 0].tolist() != sorted(rates[:, 0])
    if num_items == 40:
        assert np.abs(draws[:, :, [1, 3]] - free[:, :, [1, 3]]).max() > 0  # their bias has moved
        assert np.ptp(draws[0, :, 1]) > 1e-3  # and they still look at the items


def test_the_order_of_base_rates_is_the_seeds(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made, items = make_fused(), make_batches(5)
    made.network.set_label_counts(torch.tensor([0, 0, 20, 20]), 40)
    first, again, other = (
        proba(predictive(made, seed=seed), items, 32)[:, 0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first[:, 0] != other[:, 0]).any()
    assert (first[:, 0] != first[:, 1]).any()  # two labels are not in step
    np.testing.assert_array_equal(np.sort(first[:, 0]), np.sort(other[:, 0]))


def test_one_draw_of_a_fixed_label_is_its_mean(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made, items = make_fused(), make_batches(5)
    made.network.set_label_counts(torch.tensor([0, 40, 20, 20]), 40)
    found = proba(predictive(made), items, 1)[0, 0]
    np.testing.assert_allclose(found[:2], [0.5 / 41, 40.5 / 41], rtol=1e-6)


def test_draws_from_the_prior_are_in_place_of_the_guides(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made = make_fused(scale=0.5, init_scale=0.001)
    from_guide, from_prior = predictive(made), predictive(made, prior=True)
    flat = {
        name: np.concatenate(
            [value.numpy().ravel() for d in range(200) for value in one.weights(d).values()]
        )
        for name, one in (("guide", from_guide), ("prior", from_prior))
    }
    # Laplace(0, 0.5): the mean of absolute values is 0.5
    assert abs(np.abs(flat["prior"]).mean() - 0.5) < 5 * 0.5 / flat["prior"].size ** 0.5
    assert abs(np.abs(flat["guide"]).mean() - 0.5) > 0.05
    items = make_batches()
    assert proba(from_prior, items).std(axis=0).mean() > proba(from_guide, items).std(axis=0).mean()
    again = predictive(made, prior=True)
    np.testing.assert_array_equal(proba(from_prior, items), proba(again, items))
