from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise, product
from typing import Any

import numpy as np
import pyro
import pytest
import torch
from torch import Tensor, nn

from bayesfuse.data.batches import Batch, Batches
from bayesfuse.errors import TrainingError
from bayesfuse.inference.annealing import AnnealingSchedule
from bayesfuse.inference.elbo import ELBOS, MultiLabelModel, Objective
from bayesfuse.inference.history import SVIResult, SVISettings, Validation
from bayesfuse.inference.svi import SVI

Fused = Any
MakeFused = Callable[..., Any]
MakeBatches = Callable[..., Batches]

SHORT = AnnealingSchedule("linear", 0.2, 1.0, epochs=3)


def settings(**options: Any) -> SVISettings:
    """Return settings of 3 epochs of 4 steps, of which none is annealed, unless told otherwise."""
    given = {"epochs": 3, "batch_size": 10, "learning_rate": 0.01, "annealing": SHORT}
    return SVISettings(**given | options)


def fit(made: Fused, train: Batches, validate: Any = None, **options: Any) -> SVIResult:
    hooks = {name: options.pop(name) for name in ("on_step", "on_epoch") if name in options}
    svi = SVI(made.network, made.lifted, made.guide, settings(**options))
    return svi.fit(train, validate, **hooks)


def state(made: Fused) -> dict[str, Tensor]:
    """Return a copy of all that training changes."""
    modules = {"network": made.network, "guide": made.guide, "priors": made.lifted.priors}
    return {
        f"{key}.{name}": value.detach().clone()
        for key, module in modules.items()
        for name, value in module.state_dict().items()
    }


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Return whether all is equal, bit for bit."""
    assert list(first) == list(second)
    return all(equal(first[name], second[name]) for name in first)


def equal(first: Tensor, second: Tensor) -> bool:
    """Return whether two tensors are equal, bit for bit; a logit that is not fixed is NaN."""
    return bool(((first == second) | (first.isnan() & second.isnan())).all())


def scores(values: list[float]) -> Callable[[], Validation]:
    """Return a validation that gives these NLLs in turn."""
    left = iter(values)
    return lambda: Validation(next(left), 0.5)


# ---- seeds, and models that do not touch each other ----


@pytest.mark.parametrize("elbo", ELBOS)
def test_the_same_seed_is_the_same_numbers(
    elbo: str, make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    options = {"elbo": elbo, "modality_dropout": 0.3}
    found = []
    for seed in (0, 0, 1):
        made = make_fused(dropout=0.3, classifier="maxout", classifier_hidden=4)
        torch.rand(1 + len(found))  # what others draw in between makes no difference
        result = fit(made, make_batches(), seed=seed, **options)
        rows = [row._replace(seconds=0.0, val_nll=0.0, val_macro_ap=0.0) for row in result.history]
        found.append((state(made), rows))
    (first, history), (again, same_history), (other, other_history) = found
    assert same(first, again)
    assert history == same_history
    assert not same(first, other)
    assert history != other_history


def test_the_global_generators_are_left_as_they_were(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made, train = make_fused(dropout=0.3), make_batches()
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002
    fit(made, train, modality_dropout=0.2)
    assert torch.equal(torch.get_rng_state(), torch_before)
    for a, b in zip(np.random.get_state(), numpy_before, strict=True):  # noqa: NPY002
        np.testing.assert_array_equal(a, b)


def test_nothing_of_pyros_is_left_changed(make_fused: MakeFused, make_batches: MakeBatches) -> None:
    before = pyro.settings.get()
    for prior in ("laplace", "horseshoe"):
        fit(make_fused(prior=prior, scale="learned"), make_batches())
    assert not list(pyro.get_param_store().keys())
    assert pyro.settings.get() == before
    assert before["module_local_params"] is False


@pytest.mark.parametrize("interleaved", [False, True])
def test_two_models_in_one_process_do_not_touch_each_other(
    interleaved: bool, make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    def first(**hooks: Any) -> dict[str, Tensor]:
        made = make_fused(seed=1)
        fit(made, make_batches(seed=1), seed=1, **hooks)
        return state(made)

    def second() -> dict[str, Tensor]:
        with torch.random.fork_rng():  # the fixture seeds the global generator
            made = make_fused(seed=2, guide="normal")
        fit(made, make_batches(seed=2), seed=2, epochs=2)
        return state(made)

    first_alone, second_alone = first(), second()
    beside: list[dict[str, Tensor]] = []
    if interleaved:
        together = first(on_step=lambda _: beside.append(second()))
        assert len(beside) == 12
    else:
        beside.append(second())
        together = first()
    assert same(together, first_alone)
    assert all(same(other, second_alone) for other in beside)


# ---- learning ----


@pytest.mark.parametrize(
    ("elbo", "guide"),
    [*product(ELBOS, ["laplace", "laplace-tied", "normal", "lowrank"]), ("none", "laplace")],
)
def test_training_lowers_the_nll(
    elbo: str, guide: str, make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made = make_fused(guide=guide)
    if elbo == "none":
        made = deterministic(made)
    result = fit(made, make_batches(), epochs=12, elbo=elbo, classifier_learning_rate=0.02)
    nlls = [row.nll for row in result.history]
    assert nlls[-1] < 0.93 * nlls[0]
    assert result.stopped == "finished"
    assert result.best_epoch == 11
    if elbo == "none":
        assert {(row.kl, row.beta) for row in result.history} == {(0.0, 0.0)}


def deterministic(made: Fused) -> Fused:
    """Return the twin without random weights."""
    for parameter in made.network.parameters():
        parameter.requires_grad_(True)
    return made._replace(lifted=None, guide=None)


def test_the_point_of_the_network_is_where_the_guide_is(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made = make_fused()
    fit(made, make_batches())
    for name, loc in made.guide.locations().items():
        assert torch.equal(made.network.get_parameter(name).detach(), loc.detach())
        assert not made.network.get_parameter(name).requires_grad


def test_the_history_keeps_each_term_on_its_own(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made, train = make_fused(), make_batches()
    result = fit(made, train, lambda: Validation(0.3, 0.6))
    assert [row.epoch for row in result.history] == [0, 1, 2]
    for row in result.history:
        assert row.elbo == pytest.approx(-row.nll - row.kl)
        assert (row.val_nll, row.val_macro_ap) == (0.3, 0.6)
        assert row.seconds > 0
    model = MultiLabelModel(made.lifted, len(train))
    with torch.no_grad():
        kl = float(Objective(model, made.guide).kl())
    assert result.history[-1].kl == pytest.approx(kl)


def test_steps_tell_how_far_it_is(make_fused: MakeFused, make_batches: MakeBatches) -> None:
    steps: list[Any] = []
    epochs: list[Any] = []
    result = fit(make_fused(), make_batches(), on_step=steps.append, on_epoch=epochs.append)
    assert [step.done for step in steps] == list(range(1, 13))
    assert {step.total for step in steps} == {12}
    assert [step.epoch for step in steps] == [0] * 4 + [1] * 4 + [2] * 4
    assert tuple(epochs) == result.history
    for epoch in range(3):
        nlls = [step.nll for step in steps if step.epoch == epoch]
        assert result.history[epoch].nll == pytest.approx(float(np.mean(nlls)))
    assert steps[-1].kl == pytest.approx(result.history[-1].kl, rel=0.05)


@pytest.mark.parametrize("particles", [1, 5])
def test_the_running_kl_is_that_of_the_particles(
    particles: int, make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    steps: list[Any] = []
    made, train = make_fused(init_scale=0.5), make_batches()
    with torch.no_grad():
        kl = float(Objective(MultiLabelModel(made.lifted, 40), made.guide).kl())
    fit(made, train, num_particles=particles, on_step=steps.append)
    assert steps[0].kl == pytest.approx(kl, rel=1e-4)


def test_batch_norm_keeps_its_statistics(make_fused: MakeFused, make_batches: MakeBatches) -> None:
    made = make_fused(classifier="maxout", classifier_hidden=4)
    before = made.network.classifier.norm[0].running_mean.clone()
    fit(made, make_batches())
    assert not torch.equal(made.network.classifier.norm[0].running_mean, before)
    assert int(made.network.classifier.norm[0].num_batches_tracked) == 12


def test_max_norm_holds_for_the_classifier_alone(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    def norms(**options: Any) -> tuple[float, float]:
        made = make_fused(classifier="maxout", classifier_hidden=4, fusion="concat")
        fit(made, make_batches(), classifier_learning_rate=0.05, epochs=4, **options)
        rows = made.network.classifier.output.weight.detach().norm(dim=1)
        loc = made.guide.locations()["fusion.text.weight"].detach()
        return float(rows.max()), float(loc.norm())

    assert norms()[0] > 0.3
    free, held = norms()[1], norms(max_norm=0.25)
    assert held[0] <= 0.25 + 1e-6
    assert held[1] > 0.5 * free


def test_hidden_modalities_change_the_training(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    def after(probability: float) -> dict[str, Tensor]:
        made = make_fused()
        fit(made, make_batches(), modality_dropout=probability)
        return state(made)

    assert not same(after(0.0), after(0.5))


# ---- annealing, and which model is kept ----


@pytest.mark.parametrize("name", ["linear", "cosine", "sigmoid", "cyclical"])
@pytest.mark.parametrize("end", [1.0, 0.3])
def test_beta_ends_at_the_temperature(
    name: str, end: float, make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    steps: list[Any] = []
    schedule = AnnealingSchedule(name, 0.1, end, epochs=2, cycles=2)
    made, train = make_fused(), make_batches()
    result = fit(made, train, annealing=schedule, epochs=4, on_step=steps.append)
    assert [step.beta for step in steps] == [schedule(step / 4) for step in range(16)]
    assert steps[0].beta == 0.1
    assert [row.beta for row in result.history[2:]] == [end, end]
    assert result.history[0].beta == steps[3].beta
    assert result.annealed


@pytest.mark.parametrize("elbo", ["trace", "rao-blackwell", "meanfield"])
def test_other_elbos_have_one_beta(
    elbo: str, make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    steps: list[Any] = []
    made = make_fused()
    result = fit(made, make_batches(), elbo=elbo, on_step=steps.append, epochs=1)
    assert {step.beta for step in steps} == {1.0}
    assert result.annealed


def test_annealing_changes_what_is_learned(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    found = {}
    for elbo in ("annealed", "meanfield"):
        made = make_fused()
        fit(made, make_batches(), elbo=elbo)
        found[elbo] = state(made)
    assert not same(found["annealed"], found["meanfield"])
    made = make_fused()
    fit(made, make_batches(), elbo="annealed", annealing=AnnealingSchedule(epochs=0))
    assert same(state(made), found["meanfield"])


def test_no_model_from_before_the_end_of_the_annealing_is_chosen(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    values = [0.1, 0.11, 0.12, 0.5, 0.4, 0.6, 0.7, 0.8, 0.9]
    result = fit(make_fused(), make_batches(), scores(values), epochs=9, patience=3)
    # epochs 0 to 2 have β below 1 (linear over 3): the best of the others is 4, then 3 worse ones
    assert (result.best_epoch, result.stopped, len(result.history)) == (4, "early", 8)
    assert result.history[result.best_epoch].beta == 1.0
    assert result.annealed
    control = fit(
        make_fused(), make_batches(), scores(values), epochs=9, patience=3, elbo="meanfield"
    )
    assert (control.best_epoch, control.stopped, len(control.history)) == (0, "early", 4)


@pytest.mark.parametrize("batch_size", [40, 10])
@pytest.mark.parametrize("length", [0.5, 1.0, 1.5, 2.0])
def test_every_chosen_model_has_taken_its_last_step_at_the_end(
    length: float, batch_size: int, make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    schedule = AnnealingSchedule("linear", 0.0, 1.0, epochs=length)
    rising = scores([0.1 * epoch for epoch in range(1, 7)])
    made, train = make_fused(), make_batches()
    result = fit(made, train, rising, epochs=6, annealing=schedule, batch_size=batch_size)
    assert result.annealed
    first = next(row.epoch for row in result.history if row.beta == 1.0)
    assert result.best_epoch == first


def test_an_annealing_that_does_not_end_keeps_the_last_model_and_says_so(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    values = scores([0.1, 0.2, 0.3])
    made = make_fused()
    kept: list[dict[str, Tensor]] = []
    result = fit(
        made, make_batches(), values, patience=1, on_epoch=lambda _: kept.append(state(made))
    )
    assert (result.best_epoch, result.stopped, result.annealed) == (2, "finished", False)
    assert torch.equal(
        state(made)["guide.site_guides.0.loc_unconstrained"],
        kept[-1]["guide.site_guides.0.loc_unconstrained"],
    )


@pytest.mark.parametrize("patience", [1, 2, 4])
def test_patience_is_epochs_without_a_better_one(
    patience: int, make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    values = [0.5, 0.4, 0.4, 0.41, 0.39, 0.6, 0.6, 0.6, 0.6, 0.6]
    result = fit(
        make_fused(), make_batches(), scores(values), epochs=10, patience=patience, elbo="meanfield"
    )
    # 0.4 again is not better
    expected = {1: (1, 3), 2: (1, 4), 4: (4, 9)}[patience]
    assert (result.best_epoch, len(result.history)) == expected
    assert result.stopped == "early"


def test_the_best_model_is_restored_exactly(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made = make_fused(prior="horseshoe", scale="learned", classifier="maxout", classifier_hidden=4)
    kept: list[dict[str, Tensor]] = []
    result = fit(
        made,
        make_batches(),
        scores([0.9, 0.8, 0.7, 0.6, 0.3, 0.5, 0.6]),
        epochs=7,
        on_epoch=lambda _: kept.append(state(made)),
    )
    assert result.best_epoch == 4
    lifted = {f"network.{site.name}" for site in made.lifted.sites}
    now = state(made)
    assert len(kept) == 7
    for name, value in now.items():
        if name not in lifted:  # these hold the guide's locations, as soon as training is over
            assert equal(value, kept[4][name]), name
    changed = {name for name in now if not equal(kept[4][name], kept[6][name])}
    assert {name.split(".")[0] for name in changed} == {"network", "guide", "priors"}
    assert "network.classifier.norm.0.running_mean" in changed


# ---- Ctrl-C ----


def test_the_score_that_is_monitored_chooses(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    def validate() -> Callable[[], Validation]:
        left = iter([(0.5, 0.2, 0.30), (0.4, 0.3, 0.20), (0.6, 0.1, 0.31), (0.7, 0.1, 0.10)])
        return lambda: Validation(*next(left))

    options = {"elbo": "meanfield", "epochs": 4}
    for monitor, epoch in (("nll", 1), ("macro-ap", 1), ("macro-f1", 2)):
        made = make_fused()
        result = fit(made, make_batches(), validate(), monitor=monitor, **options)
        assert result.best_epoch == epoch
        assert [row.val_macro_f1 for row in result.history] == [0.30, 0.20, 0.31, 0.10]
    result = fit(
        make_fused(), make_batches(), validate(), monitor="macro-f1", min_delta=0.05, **options
    )
    assert result.best_epoch == 0


def test_a_plateau_slows_training_after_warm_up_and_annealing(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    def moves(**options: Any) -> list[float]:
        """Return how far a step of each epoch moves a weight of the classifier."""
        made, train = make_fused(), make_batches()
        weight = next(made.network.get_submodule("classifier").parameters())
        seen: list[Tensor] = [weight.detach().clone()]

        def look(_: object) -> None:
            seen.append(weight.detach().clone())

        how = {"patience": 99, "warmup_epochs": 0.0, "weight_decay": 0.0, "plateau_patience": 0}
        fit(made, train, lambda: Validation(0.5, 0.5), on_epoch=look, **how | options)
        return [float((b - a).abs().mean()) for a, b in pairwise(seen)]

    options = {"elbo": "meanfield", "epochs": 6, "plateau_factor": 0.01}
    constant = moves(learning_rate_decay="constant", **options)
    slowed = moves(learning_rate_decay="plateau", **options)
    # the first epoch is the best, the second no better: from the third on the rate is a hundredth
    assert slowed[:2] == constant[:2]
    assert max(slowed[2:]) < 0.1 * min(constant[2:])
    late = moves(learning_rate_decay="plateau", **options | {"warmup_epochs": 3.0})
    assert min(late[2:5]) > 10 * late[5]  # epochs 4 and 5 are the first two that are told
    options["elbo"] = "annealed"  # over 3 epochs
    late = moves(learning_rate_decay="plateau", **options)
    assert min(late[:4]) > 10 * late[5]


def test_ctrl_c_in_validation_keeps_the_best_so_far(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made = make_fused()
    kept: list[dict[str, Tensor]] = []
    values = iter([0.9, 0.9, 0.9, 0.3, 0.5])

    def validate() -> Validation:
        for value in values:
            return Validation(value, 0.5)
        raise KeyboardInterrupt

    result = fit(
        made, make_batches(), validate, epochs=20, on_epoch=lambda _: kept.append(state(made))
    )
    assert (result.stopped, result.best_epoch, len(result.history)) == ("interrupted", 3, 5)
    assert result.annealed
    name = "network.classifier.output.weight"
    assert torch.equal(state(made)[name], kept[3][name])
    assert not torch.equal(state(made)[name], kept[4][name])


def test_ctrl_c_in_a_step_before_anything_was_chosen_keeps_what_there_is(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made = make_fused()
    before = state(made)

    def interrupt(step: Any) -> None:
        if step.done == 6:
            raise KeyboardInterrupt

    result = fit(made, make_batches(), lambda: Validation(0.5, 0.5), epochs=20, on_step=interrupt)
    assert (result.stopped, result.best_epoch, len(result.history)) == ("interrupted", 0, 1)
    assert not result.annealed
    assert not same(state(made), before)
    loc = made.guide.locations()["fusion.text.weight"].detach()
    assert torch.equal(made.network.get_parameter("fusion.text.weight").detach(), loc)


class Interrupted(Batches):
    def read(self, rows: Any) -> Batch:
        raise KeyboardInterrupt


def test_ctrl_c_before_the_first_step_ends_the_program(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made, train = make_fused(), make_batches()
    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        fit(made, Interrupted(train.features, train.labels))
    assert torch.equal(torch.get_rng_state(), before)


# ---- losses that are not finite ----


def spoil(made: Fused, what: str) -> None:
    """Make one tensor not finite."""
    with torch.no_grad():
        if what == "y":
            made.network.classifier.output.weight[0, 0] = math.nan
        else:
            guide = next(g for g in made.guide.site_guides if g.site_name == what)
            guide._parameters["loc_unconstrained"].view(-1)[0] = math.nan


@contextmanager
def pyros_warning(elbo: str) -> Iterator[None]:
    """Expect what Pyro itself says, in its own words, before our error."""
    if elbo == "rao-blackwell":
        yield
    else:
        with pytest.warns(UserWarning, match="Encountered NaN"):
            yield


@pytest.mark.parametrize("elbo", ELBOS)
@pytest.mark.parametrize("step", [1, 6])
@pytest.mark.parametrize("site", ["y", "fusion.image.weight"])
def test_a_nan_loss_names_the_step_the_site_and_what_to_try(
    elbo: str, step: int, site: str, make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made = make_fused()
    if step == 1:
        spoil(made, site)

    def hook(progress: Any) -> None:
        if progress.done == step - 1:
            spoil(made, site)

    where = rf"at step {step} \(epoch {1 + (step - 1) // 4}\).*the site {site}\b"
    with pyros_warning(elbo), pytest.raises(TrainingError, match=where) as caught:
        fit(made, make_batches(), elbo=elbo, on_step=hook)
    for advice in ("lower learning rate", "warm-up", "init scale", "features"):
        assert advice in str(caught.value)


def test_a_scale_without_bounds_is_found_in_the_kl(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made = make_fused(guide="normal", prior="normal")
    with torch.no_grad():
        made.lifted.priors[0].scale.fill_(1e-30)  # its square is 0 in float32
    with (
        pyros_warning("annealed"),
        pytest.raises(TrainingError, match=r"in the KL of the site fusion.text.weight"),
    ):
        fit(made, make_batches())


@pytest.mark.parametrize("elbo", ["annealed", "none"])
def test_extreme_features_are_named_as_a_possible_cause(
    elbo: str, make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    made, train = make_fused(), make_batches()
    values = np.full((40, 3), 1e30, np.float32)
    extreme = train.features.select(["image"]).with_modality("text", values)
    batches = Batches(extreme.select(["text", "image"]), train.labels)
    made.network.standardise.set_statistics("text", torch.zeros(3), torch.full((3,), 1e-10))
    if elbo == "none":
        made = deterministic(made)
        with pytest.raises(TrainingError, match=r"site y.*check the features for extreme values"):
            fit(made, batches, elbo=elbo)
    else:
        with (
            pytest.warns(UserWarning, match="Encountered NaN"),
            pytest.raises(TrainingError, match=r"site y.*check the features for extreme values"),
        ):
            fit(made, batches, elbo=elbo)


def test_a_mistake_that_is_none_of_numbers_stays_itself(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    train = make_batches()
    assert train.labels is not None
    halves = Batches(train.features, 1.5 * train.labels)
    with pytest.raises(ValueError, match="support") as caught:
        fit(make_fused(), halves)
    assert not isinstance(caught.value, TrainingError)


# ---- penalties ----


@pytest.mark.parametrize("name", ["l1", "l2"])
def test_penalties_shrink_the_locations(
    name: str, make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    def size(**options: float) -> float:
        made = make_fused(scale=100.0)  # a prior that hardly shrinks anything by itself
        fit(made, make_batches(), epochs=8, **options)
        return float(sum(loc.detach().abs().sum() for loc in made.guide.locations().values()))

    assert size(**{name: 50.0}) < 0.8 * size()


def test_the_penalty_is_not_in_the_reported_terms(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    first: dict[float, Any] = {}
    for l2 in (0.0, 10.0):
        steps: list[Any] = []
        fit(make_fused(), make_batches(), l2=l2, on_step=steps.append)
        first[l2] = steps[0]
    assert first[0.0] == first[10.0]


# ---- the two optimisers in one pass ----


def test_the_classifier_learns_alike_whatever_beta_is_in_the_first_step(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    after = {}
    for temperature in (0.1, 1.0):
        made = make_fused()
        schedule = AnnealingSchedule(end=temperature, epochs=0)
        fit(made, make_batches(), annealing=schedule, epochs=1, batch_size=40)
        after[temperature] = state(made)
    low, high = after[0.1], after[1.0]
    classifier = [name for name in low if name.startswith("network.classifier")]
    assert len(classifier) == 2
    for name in classifier:
        assert torch.equal(low[name], high[name])
    assert not same(low, high)


def test_a_network_without_a_free_part_trains_too(make_batches: MakeBatches) -> None:
    from bayesfuse.inference.guides import make_guide
    from bayesfuse.inference.lifting import lift
    from bayesfuse.models import FusionNetwork

    network = FusionNetwork({"text": 3, "image": 2}, 4, hidden=3, classifier="linear")
    lifted = lift(network, parts=["*"])
    assert not lifted.free_parameters()
    guide = make_guide(lifted)
    result = SVI(network, lifted, guide, settings()).fit(make_batches())
    assert len(result.history) == 3
    assert isinstance(network, nn.Module)
