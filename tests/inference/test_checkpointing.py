"""Is a training that goes on from a checkpoint the one that never stopped, bit for bit?"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from bayesfuse.data.batches import Batches
from bayesfuse.errors import RunFolderError
from bayesfuse.inference.annealing import AnnealingSchedule
from bayesfuse.inference.checkpointing import load_tensors, training_state
from bayesfuse.inference.history import SVIResult, SVISettings, Validation
from bayesfuse.inference.svi import SVI, TrainingRun

MakeFused = Callable[..., Any]
MakeBatches = Callable[..., Batches]

EPOCHS, STOP = 6, 3
SHORT = AnnealingSchedule("linear", 0.2, 1.0, epochs=2)
SCORES = [0.9, 0.8, 0.5, 0.6, 0.4, 0.7]


class Killed(BaseException):
    pass


class Drawing(Batches):
    """Items whose reading draws, as neighbours and augmentation do."""

    def __init__(self, given: Batches) -> None:
        super().__init__(given.features, given.labels)
        self.generators = {"noise": np.random.default_rng(3)}

    def read(self, rows: Any) -> Any:
        batch = super().read(rows)
        noise = self.generators["noise"].normal(size=batch.inputs["text"].shape)
        moved = batch.inputs["text"] + 0.1 * torch.from_numpy(noise).float()
        return batch._replace(inputs={**batch.inputs, "text": moved})


class Training:
    """A training of seeded parts that can be stopped after some epochs and begun anew."""

    def __init__(self, make_fused: MakeFused, make_batches: MakeBatches, **options: Any) -> None:
        drawn = options.pop("elbo", "annealed")
        given = {"epochs": EPOCHS, "batch_size": 10, "learning_rate": 0.01, "annealing": SHORT}
        self.settings = SVISettings(**given | options, elbo=drawn)
        self._make = lambda: make_fused(dropout=0.2, scale="learned")
        self._items = make_batches(20)
        self.kept: dict[int, dict[str, Any]] = {}

    def run(self, start: Any = None, stop: int | None = None) -> tuple[SVIResult, list[Any]]:
        torch.manual_seed(start is not None)  # what was before must not matter
        made = self._make()
        lifted, guide = (None, None) if self.settings.elbo == "none" else made[1:]
        svi = SVI(made.network, lifted, guide, self.settings)
        seen = 0 if start is None else len(start["history"])

        def validate() -> Validation:
            nonlocal seen
            seen += 1
            return Validation(SCORES[seen - 1], 0.5)

        def keep(done: int, run: TrainingRun) -> None:
            self.kept[done] = copy.deepcopy(training_state(run))
            if done == stop:
                raise Killed

        result = svi.fit(Drawing(self._items), validate, keep=keep, start=start)
        modules = [made.network, made.guide, made.lifted.priors]
        return result, [module.state_dict() for module in modules]


def equal(first: Any, second: Any) -> bool:
    """Return whether two trainings came to the same; how long epochs took does not count."""
    results = [[row._replace(seconds=0.0) for row in found[0].history] for found in (first, second)]
    if str(results[0]) != str(results[1]) or first[0].best_epoch != second[0].best_epoch:
        return False
    return all(
        torch.equal(torch.nan_to_num(one[name]), torch.nan_to_num(other[name]))
        for one, other in zip(first[1], second[1], strict=True)
        for name in one
    )


KINDS: dict[str, dict[str, Any]] = {
    "posterior": {},
    "twin": {"elbo": "none"},
    "local noise": {"noise": "local"},
    "hidden modalities": {"modality_dropout": 0.3, "num_particles": 2},
    "plateau": {"learning_rate_decay": "plateau", "plateau_patience": 0},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_that_goes_on_is_the_one_that_never_stopped(
    kind: str, make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    training = Training(make_fused, make_batches, **KINDS[kind])
    whole = training.run()
    assert whole[0].best_epoch == 4
    with pytest.raises(Killed):
        training.run(stop=STOP)
    assert equal(training.run(start=training.kept[STOP]), whole)


@pytest.mark.parametrize("left_out", ["torch", "order", "masks", "items"])
def test_without_one_generator_it_would_be_another(
    left_out: str, make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    training = Training(make_fused, make_batches, modality_dropout=0.3)
    whole = training.run()
    state = copy.deepcopy(training.kept[STOP])
    assert equal(training.run(start=state), whole)
    state["generators"][left_out] = training.kept[0]["generators"][left_out]
    assert not equal(training.run(start=state), whole)


def test_without_an_optimisers_moments_it_would_be_another(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    training = Training(make_fused, make_batches)
    whole = training.run()
    state = copy.deepcopy(training.kept[STOP])
    state["optimisers"]["optimisers"][0]["state"] = {}
    assert not equal(training.run(start=state), whole)


def test_the_end_of_patience_comes_at_the_same_epoch(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    training = Training(make_fused, make_batches, patience=1)
    whole = training.run()
    assert (whole[0].stopped, len(whole[0].history)) == ("early", 4)
    assert equal(training.run(start=training.kept[STOP]), whole)


def test_after_the_last_epoch_nothing_is_left_to_do(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    training = Training(make_fused, make_batches)
    whole = training.run()
    again = training.run(start=training.kept[EPOCHS])
    assert equal(again, whole)
    assert again[0].stopped == "finished"


def test_items_that_draw_from_other_generators_are_refused(
    make_fused: MakeFused, make_batches: MakeBatches
) -> None:
    training = Training(make_fused, make_batches)
    training.run()
    state = training.kept[STOP]
    state["generators"]["items"] = {}
    with pytest.raises(RunFolderError, match="other generators"):
        training.run(start=state)


def test_tensors_of_another_model_are_refused_before_any_is_copied() -> None:
    now = [{"a": torch.zeros(2), "b": torch.zeros(3)}]
    for kept, told in (
        ([{"a": torch.ones(2)}], "b is in one"),
        ([{"a": torch.ones(2), "b": torch.ones(4)}], r"b has the shape \(4,\), not \(3,\)"),
        ([], "0 modules were kept; there are 1"),
    ):
        with pytest.raises(RunFolderError, match=told):
            load_tensors(now, kept)
    assert float(now[0]["a"].sum()) == 0
