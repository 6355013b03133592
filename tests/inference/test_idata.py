"""ArviZ's schema: groups, dimensions, both lines of ArviZ, and netCDF there and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bayesfuse.errors import MissingExtraError, UserError
from bayesfuse.inference import idata
from bayesfuse.inference.history import Epoch
from bayesfuse.inference.idata import (
    Inference,
    PredictiveDraws,
    Thinning,
    Weights,
    has_inference_data,
    import_arviz,
    load,
    save,
    to_groups,
    to_inference_data,
)

pytest.importorskip("xarray", reason="needs pip install 'bayesfuse[report]'")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # ArviZ 0.23, of its next version

LABELS = ("Drama", "Horror")
GROUPS = {
    "posterior": {"fusion.text.weight": ("chain", "draw", "_0", "_1")},
    "posterior_predictive": dict.fromkeys(("y", "probability"), ("chain", "draw", "item", "label")),
    "predictions": dict.fromkeys(("y", "probability"), ("chain", "draw", "item", "label")),
    "log_likelihood": {"y": ("chain", "draw", "item", "label")},
    "sample_stats": dict.fromkeys(
        ("nll", "kl", "beta", "elbo", "val_nll", "val_macro_ap", "seconds"), ("epoch",)
    ),
    "prior": {"fusion.text.weight": ("chain", "draw", "_0", "_1")},
    "prior_predictive": dict.fromkeys(("y", "probability"), ("chain", "draw", "item", "label")),
    "observed_data": {"y": ("item", "label")},
    "constant_data": {"has_text": ("item",), "rate": ("label",)},
}
"""The contract: what ArviZ of either line is handed."""


def predictive(ids: list[str]) -> PredictiveDraws:
    rng = np.random.default_rng(len(ids))
    p = rng.random((4, len(ids), 2)).astype(np.float32)
    return PredictiveDraws(np.array(ids), p, (rng.random(p.shape) < p).astype(np.int8))


@pytest.fixture
def found() -> Inference:
    rng = np.random.default_rng(0)
    sites = {"fusion.text.weight": rng.normal(size=(4, 3, 2)).astype(np.float32)}
    weights = Weights(sites, Thinning((0, 1, 2, 3), 1))
    told = predictive(["a", "b", "c"])
    return Inference(
        LABELS,
        posterior=weights,
        prior=weights,
        posterior_predictive=told,
        prior_predictive=told,
        predictions=predictive(["new"]),
        observed=np.array([[1, 0], [0, 0], [1, 1]], np.int8),
        log_likelihood=np.log(told.probability),
        history=(
            Epoch(0, 2.0, 0.1, 0.0, -2.1, 0.6, 0.3, 1.0),
            Epoch(1, 1.0, 0.2, 1, -1.2, 1, 1, 1),
        ),
        constants={"has_text": (("item",), np.ones(3, np.int8)), "rate": (("label",), np.ones(2))},
        attributes={"seed": 3, "temperature": 1.0, "torch": "2"},
    )


def test_the_groups_are_those_of_the_contract(found: Inference) -> None:
    groups = to_groups(found)
    told = {
        group: {
            str(name): tuple(str(d).removeprefix(f"{name}_dim") for d in variable.dims)
            for name, variable in dataset.data_vars.items()
        }
        for group, dataset in groups.items()
    }
    assert told == GROUPS
    assert list(groups) == list(GROUPS)
    for name in ("posterior_predictive", "observed_data", "log_likelihood"):
        assert groups[name].item.values.tolist() == ["a", "b", "c"]
        assert groups[name].label.values.tolist() == list(LABELS)
    assert groups["predictions"].item.values.tolist() == ["new"]
    assert all(dataset.attrs == found.attributes for dataset in groups.values())
    assert groups["posterior"].sizes["chain"] == 1
    assert groups["sample_stats"].elbo.values.tolist() == [-2.1, -1.2]


def _dataset(data: Any, group: str) -> Any:
    found = data[group]
    return found.to_dataset() if hasattr(found, "to_dataset") else found


@pytest.fixture(params=["installed", "1.x"])
def arviz(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The installed ArviZ; or one that says it is of the next line, which holds a `DataTree`."""
    module = import_arviz()
    if request.param == "1.x":
        monkeypatch.setattr(module, "__version__", "1.3.0")
    return module


def test_it_is_written_and_read_back_equal(found: Inference, tmp_path: Path, arviz: Any) -> None:
    data = to_inference_data(to_groups(found))
    kind = "InferenceData" if has_inference_data(arviz) else "DataTree"
    assert type(data).__name__ == kind
    path = save(data, tmp_path / "new" / "idata.nc")
    again = load(path)
    assert type(again).__name__ == kind
    assert again.attrs == data.attrs == found.attributes
    for group in GROUPS:
        ours, theirs = _dataset(data, group), _dataset(again, group)
        assert theirs.equals(ours), group
        assert theirs.attrs == ours.attrs
    other = _dataset(again, "posterior").copy(deep=True)
    other["fusion.text.weight"][0, 0, 0, 0] += 1e-3
    assert not other.equals(_dataset(data, "posterior"))
    with pytest.raises(UserError, match="exists already"):
        save(data, path)


def test_what_one_line_wrote_the_other_reads(
    found: Inference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_arviz()
    if not has_inference_data(module):
        pytest.skip("needs an ArviZ before 1.0")
    old = save(to_inference_data(to_groups(found)), tmp_path / "old.nc")
    with monkeypatch.context() as patch:
        patch.setattr(module, "__version__", "1.3.0")
        tree = load(old)
        new = save(tree, tmp_path / "new.nc")
    again = load(new)
    assert type(again).__name__ == "InferenceData"
    assert all(_dataset(again, g).equals(_dataset(tree, g)) for g in GROUPS)


def test_what_is_not_there_makes_no_group() -> None:
    assert to_groups(Inference(LABELS)) == {}
    assert list(to_groups(Inference(LABELS, predictions=predictive(["x"])))) == ["predictions"]


def test_the_log_likelihood_may_be_by_item(found: Inference) -> None:
    by_item = Inference(
        LABELS, posterior_predictive=found.posterior_predictive, log_likelihood=np.zeros((4, 3))
    )
    told = to_groups(by_item)["log_likelihood"]
    assert told.y.dims == ("chain", "draw", "item")
    assert "label" not in told.coords


@pytest.mark.parametrize("num_weights", [1, 50, 1000, 100_000])
@pytest.mark.parametrize("draws", [1, 16, 64])
@pytest.mark.parametrize("max_values", [1, 1000, 10_000_000])
def test_thinning_keeps_to_its_budget(num_weights: int, draws: int, max_values: int) -> None:
    plan = Thinning.plan(num_weights, draws, max_values)
    kept = len(plan.take(np.zeros(num_weights))) * len(plan.draws)
    assert kept <= max(max_values, 0) + len(plan.draws)
    assert len(plan.draws) >= min(draws, idata.MIN_DRAWS)
    if num_weights * draws <= max_values:
        assert (len(plan.draws), plan.stride) == (draws, 1)


def test_thinned_weights_say_which_they_are() -> None:
    plan = Thinning((0, 2), 3)
    values = np.stack([plan.take(np.arange(8.0).reshape(2, 4)) for _ in range(2)])
    group = to_groups(Inference(LABELS, posterior=Weights({"gat.0.weight": values}, plan)))
    posterior = group["posterior"]
    assert posterior.draw.values.tolist() == [0, 2]
    assert posterior["gat.0.weight_element"].values.tolist() == [0, 3, 6]
    assert posterior["gat.0.weight"].values[0, 0].tolist() == [0, 3, 6]


def test_files_that_are_not_there_or_not_netcdf(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no file"):
        load(tmp_path / "idata.nc")
    (tmp_path / "text.nc").write_text("not netCDF")
    with pytest.raises(UserError, match="Cannot read"):
        load(tmp_path / "text.nc")


def test_what_is_not_installed_is_named() -> None:
    with pytest.raises(MissingExtraError, match=r"no_such_package.*bayesfuse\[report\]"):
        idata._import("no_such_package")
