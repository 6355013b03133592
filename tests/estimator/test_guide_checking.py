"""The guide judged on a run: a good one, one made too narrow by hand, and runs that say why not."""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from bayesfuse.config import CatalogConfig, FitConfig
from bayesfuse.data.demo import write_demo
from bayesfuse.errors import ConfigError
from bayesfuse.estimator import catalogs
from bayesfuse.estimator.guide_checking import check_guide, first_member
from bayesfuse.estimator.workflow import Run, fit_run, open_run

pytest.importorskip("arviz", reason="needs pip install 'bayesfuse[report]'")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # ArviZ 0.23, of its next version


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path: Path = tmp_path_factory.mktemp("guide") / "run"
    config = FitConfig.parse(
        {
            "hidden": 4,
            "classifier_hidden": 4,
            "epochs": 5,
            "annealing_epochs": 2,
            "modalities": "image",
            "parts": "fusion.image.*",
            "prior": "normal",
            "prior_scale": 0.1,
            "guide": "normal",
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogs, "write_demo", functools.partial(write_demo, num_items=400))
        fit_run(None, path, config)
        return open_run(path, None, CatalogConfig(), split="val")


def test_items_left_out_are_harder_than_items_in_the_fit(run: Run) -> None:
    found, _, notes = check_guide(run, draws=60, seed=0)
    assert found is not None
    assert found.num_items == run.classifier.model_.num_items
    assert found.elpd < found.in_sample
    assert notes == []
    part, _, told = check_guide(run, draws=60, seed=0, max_left_out=50)
    assert part is not None
    assert part.num_items == 50
    assert "50 of" in told[0]


def test_a_guide_is_right_or_too_narrow(run: Run) -> None:
    """Without a say in the logits the weights' posterior is their prior: here the guide has it."""
    run = dataclasses.replace(run, classifier=copy.deepcopy(run.classifier))
    model = run.classifier.model_
    assert model.guide is not None
    tensors = model.guide.tensors()

    def set_scale(scale: float) -> None:
        for name, value in tensors.items():
            value.fill_(math.log(math.expm1(scale)) if "scale" in name else 0.0)

    with torch.no_grad():
        for parameter in model.network.classifier.parameters():
            parameter.zero_()
        set_scale(0.1)
        right = check_guide(run, draws=200, seed=0)[1]
        set_scale(0.02)
        narrow = check_guide(run, draws=200, seed=0)[1]
        set_scale(0.1)
        run = dataclasses.replace(run, config=run.config.model_copy(update={"temperature": 0.5}))
        cold = check_guide(run, draws=200, seed=0)[1]
    assert right is not None
    assert narrow is not None
    assert right.effective == pytest.approx(200, rel=0.01)
    assert right.shape < 0.7 < narrow.shape
    assert narrow.effective < 100
    assert "too narrow" in narrow.verdict
    assert right.num_weights == sum(v.numel() for v in model.guide.locations().values())
    assert cold is not None
    assert cold.effective == pytest.approx(200, rel=0.01)  # a constant, whatever it counts for


def test_what_cannot_be_judged_says_why(run: Run) -> None:
    split = np.where(np.arange(len(run.catalog)) == run.catalog.rows("train")[0], "val", "train")
    split = np.where(run.catalog.split == "train", split, run.catalog.split)
    other = dataclasses.replace(run, catalog=dataclasses.replace(run.catalog, split=split))
    left_out, guide, notes = check_guide(other, draws=60, seed=0)
    assert (left_out, guide) == (None, None)
    assert "was fitted on" in notes[0]
    weighted = dataclasses.replace(run, config=FitConfig.parse({"class_weights": "inverse"}))
    left_out, guide, notes = check_guide(weighted, draws=60, seed=0)
    assert (left_out, guide) == (None, None)
    assert "--class-weights inverse" in notes[0]
    beside = dataclasses.replace(run, config=FitConfig.parse({"refiner": 0.1}))
    left_out, guide, notes = check_guide(beside, draws=60, seed=0)
    assert (left_out, guide) == (None, None)
    assert "fitted by refiner, too" in notes[0]
    with pytest.raises(ConfigError, match="at least 50"):
        check_guide(run, draws=20, seed=0)


def test_of_a_mixture_the_first_member_is_judged(run: Run) -> None:
    model = run.classifier.model_
    mixed = copy.copy(run.classifier)
    mixed.model_ = dataclasses.replace(model, others=(copy.deepcopy(model),))
    left, guide, notes = check_guide(dataclasses.replace(run, classifier=mixed), draws=60, seed=0)
    assert (left, guide) == check_guide(run, draws=60, seed=0)[:2]
    assert "first of 2 members was judged" in notes[0]
    assert mixed.model_.others
    assert first_member(run.classifier) is run.classifier
