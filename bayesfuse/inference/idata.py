"""From plain arrays to ArviZ and back: the only file that knows ArviZ's schema.

Groups are `xarray` datasets whose names and dimensions are ArviZ's: `chain` (one: draws of a guide
are independent, so that there is nothing to compare between chains, and no R-hat), `draw`, `item`,
`label`. Up to ArviZ 0.x they are held by its `InferenceData`, from 1.0 on by an
`xarray.DataTree`; the file on disk, netCDF with one group each, is the same.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.errors import MissingExtraError, UserError, write_error

if TYPE_CHECKING:
    import xarray as xr

    from bayesfuse.inference.history import Epoch

Array = NDArray[Any]

MAX_VALUES = 10_000_000
"""How many weights of all draws `posterior` and `prior` hold each: 40 MB in float32."""

MIN_DRAWS = 16
"""Draws of the weights that are kept before elements of the weights are left out."""

ENGINE = "h5netcdf"


@dataclass(frozen=True)
class Thinning:
    """Which weights are kept where all of all draws would be too many.

    Draws are thinned first, down to `MIN_DRAWS`; then, of every site with more elements than one,
    every `stride`-th element of the flattened array is kept. What is kept are true draws: every
    summary of them is one of the posterior. Nothing is averaged.

    Attributes:
        draws: Numbers of the draws that are kept.
        stride: 1 if every element is kept, and then sites keep their shapes.
    """

    draws: tuple[int, ...]
    stride: int

    @classmethod
    def plan(cls, num_weights: int, draws: int, max_values: int = MAX_VALUES) -> Thinning:
        """Return what to keep so that at most about `max_values` numbers are.

        Args:
            num_weights: Random weights of all sites.
            draws: Posterior draws.
            max_values: Numbers to keep, >= 1.

        Example:
            >>> Thinning.plan(num_weights=100, draws=40, max_values=2000)
            Thinning(draws=(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, \
36, 38), stride=1)
            >>> thinning = Thinning.plan(num_weights=100, draws=40, max_values=400)
            >>> len(thinning.draws), thinning.stride
            (20, 5)
        """
        total = num_weights * draws
        every = min(math.ceil(total / max_values), max(1, draws // MIN_DRAWS))
        kept = tuple(range(0, draws, max(1, every)))
        return cls(kept, max(1, math.ceil(num_weights * len(kept) / max_values)))

    def take(self, value: Array) -> Array:
        """Return the elements of one draw of one site that are kept."""
        return value if self.stride == 1 else value.reshape(-1)[:: self.stride]


@dataclass(frozen=True, eq=False)
class Weights:
    """Draws of the random weights.

    Attributes:
        sites: Site to values, `draws x ...`: the site's own shape, or thinned to one dimension.
        thinning: Which draws and elements these are.
    """

    sites: Mapping[str, Array]
    thinning: Thinning


@dataclass(frozen=True, eq=False)
class PredictiveDraws:
    """Draws of the probabilities of some items, and of labels under them.

    Attributes:
        ids: `items`.
        probability: `draws x items x labels`, in [0, 1].
        y: `draws x items x labels`, 0 or 1: one replicate of the labels a draw.
    """

    ids: Array
    probability: Array
    y: Array


@dataclass(frozen=True, eq=False)
class Inference:
    """What a run and data come to, in arrays; None where a group is to be left out.

    Attributes:
        labels: Names of the labels.
        posterior: Draws of the random weights from the guide.
        prior: Draws of the random weights from the prior.
        posterior_predictive: Of items with known labels.
        prior_predictive: Of the same items.
        predictions: Of items without.
        observed: Known labels, `items x labels`, 0 or 1.
        log_likelihood: Nats, `draws x items x labels`, or `draws x items` (summed over labels).
        history: The epochs of training.
        constants: Name to dimensions and values, such as which modality an item has.
        attributes: Versions, seed, temperature: what stands on every group.
    """

    labels: tuple[str, ...]
    posterior: Weights | None = None
    prior: Weights | None = None
    posterior_predictive: PredictiveDraws | None = None
    prior_predictive: PredictiveDraws | None = None
    predictions: PredictiveDraws | None = None
    observed: Array | None = None
    log_likelihood: Array | None = None
    history: tuple[Epoch, ...] = ()
    constants: Mapping[str, tuple[tuple[str, ...], Array]] = field(default_factory=dict)
    attributes: Mapping[str, str | int | float] = field(default_factory=dict)


def to_groups(found: Inference) -> dict[str, xr.Dataset]:
    """Return ArviZ's groups, name to dataset, in ArviZ's order.

    Raises:
        MissingExtraError: If ArviZ (with xarray) is not installed.
    """
    xarray = _import("xarray")
    groups: dict[str, Any] = {}
    for name, weights in (("posterior", found.posterior), ("prior", found.prior)):
        if weights is not None:
            groups[name] = _weights(weights)
    for name in ("posterior_predictive", "predictions", "prior_predictive"):
        draws: PredictiveDraws | None = getattr(found, name)
        if draws is not None:
            dims: tuple[str, ...] = ("chain", "draw", "item", "label")
            values = {"y": (dims, draws.y[None]), "probability": (dims, draws.probability[None])}
            groups[name] = (values, _coords(draws.probability, draws.ids, found.labels))
    told = found.posterior_predictive
    if told is not None:
        if found.log_likelihood is not None:
            dims = ("chain", "draw", "item", "label")[: found.log_likelihood.ndim + 1]
            coords = _coords(told.probability, told.ids, found.labels)
            kept = {name: value for name, value in coords.items() if name in dims}
            groups["log_likelihood"] = ({"y": (dims, found.log_likelihood[None])}, kept)
        if found.observed is not None:
            coords = {"item": told.ids, "label": np.array(found.labels)}
            groups["observed_data"] = ({"y": (("item", "label"), found.observed)}, coords)
    if found.history:
        columns = zip(*found.history, strict=True)
        table = dict(zip(found.history[0]._fields, map(np.array, columns), strict=True))
        if np.isnan(table["val_macro_f1"]).all():  # it is measured only where it chooses the epoch
            del table["val_macro_f1"]
        epochs = {"epoch": table.pop("epoch")}
        groups["sample_stats"] = ({n: (("epoch",), v) for n, v in table.items()}, epochs)
    if found.constants:
        coords = {} if told is None else {"item": told.ids}
        dims_used = {dim for dims, _ in found.constants.values() for dim in dims}
        coords |= {"label": np.array(found.labels)} if "label" in dims_used else {}
        groups["constant_data"] = (dict(found.constants), coords)
    order = (
        *("posterior", "posterior_predictive", "predictions", "log_likelihood", "sample_stats"),
        *("prior", "prior_predictive", "observed_data", "constant_data"),
    )
    return {
        name: xarray.Dataset(groups[name][0], groups[name][1], dict(found.attributes))
        for name in order
        if name in groups
    }


def to_inference_data(groups: Mapping[str, xr.Dataset]) -> Any:
    """Return the groups as what the installed ArviZ holds them in.

    Returns:
        An `arviz.InferenceData`, or from ArviZ 1.0 on an `xarray.DataTree`.

    Raises:
        MissingExtraError: If ArviZ is not installed.
    """
    arviz = import_arviz()
    attributes = dict(next(iter(groups.values())).attrs) if groups else {}
    if has_inference_data(arviz):
        return arviz.InferenceData(attrs=attributes, **groups)
    tree = _import("xarray").DataTree.from_dict(dict(groups))
    tree.attrs.update(attributes)
    return tree


def save(data: Any, path: Path) -> Path:
    """Write an `InferenceData` or a `DataTree` as netCDF, which either line of ArviZ reads.

    Raises:
        UserError: If the file is there, or cannot be written.
        StorageError: If the disk is full.
    """
    if path.exists():
        raise UserError(f"{path} exists already and is left as it is. Choose another name.")
    _import(ENGINE)
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
        data.to_netcdf(str(path), engine=ENGINE)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise write_error(path, error, "Make room or choose another name.") from error
    return path


def load(path: Path) -> Any:
    """Return what `save` wrote, whole in memory.

    Raises:
        UserError: If there is no such file, or it is not netCDF.
        MissingExtraError: If ArviZ is not installed.
    """
    if not path.is_file():
        raise UserError(f"There is no file {path}; `bayesfuse check RUN -o {path}` makes one.")
    import_arviz()
    _import(ENGINE)
    xarray = _import("xarray")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # which backends of xarray are not there
            with xarray.open_datatree(path, engine=ENGINE) as tree:
                groups = {name: node.to_dataset().load() for name, node in tree.children.items()}
    except (OSError, ValueError) as error:
        raise UserError(f"Cannot read {path} as netCDF: {error}") from None
    return to_inference_data(groups)


def import_arviz() -> Any:
    """Return the module `arviz`, without its warning that the next version will differ.

    Raises:
        MissingExtraError: If it is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return _import("arviz")


def has_inference_data(arviz: Any) -> bool:
    """Return whether this ArviZ is of the line before 1.0, which has its own container.

    By the version: the name `arviz.InferenceData` is there in 1.x, too, for a `DataTree`.
    """
    return int(str(arviz.__version__).partition(".")[0]) < 1


def _import(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(
            f"Inference data needs {name}, which is not installed. "
            "Try: pip install 'bayesfuse[report]'"
        ) from error


def _coords(draws: Array, ids: Array, labels: tuple[str, ...]) -> dict[str, Array]:
    numbers = np.arange(len(draws))
    return {"chain": np.zeros(1, int), "draw": numbers, "item": ids, "label": np.array(labels)}


def _weights(weights: Weights) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return variables and coordinates of a group of weights."""
    stride = weights.thinning.stride
    coords = {"chain": np.zeros(1, int), "draw": np.array(weights.thinning.draws)}
    values: dict[str, Any] = {}
    for site, draws in weights.sites.items():
        if stride > 1:
            axes: tuple[str, ...] = (f"{site}_element",)
            coords[axes[0]] = stride * np.arange(draws.shape[1])
        else:
            axes = tuple(f"{site}_dim_{axis}" for axis in range(draws.ndim - 1))
        values[site] = (("chain", "draw", *axes), draws[None])
    return values, coords
