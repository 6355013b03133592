"""Who hears fewer others is less certain, and who hears nobody least of all: the demo catalogue."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from bayesfuse import FusionClassifier
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.demo import write_demo
from bayesfuse.encoders.catalogues import encode_catalog
from bayesfuse.graph.csr import nodes_to_loop, with_loops
from bayesfuse.graph.linked_features import LinkedFeatures
from tests.conftest import FAILURE_RATE

KEPT = (1.0, 0.5, 0.2, 0.0)
MORE = 1.5
"""Times the mutual information that items must have once all their edges are gone."""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Catalog:
    folder = write_demo(tmp_path_factory.mktemp("uncertain") / "demo")
    return encode_catalog(Catalog.read(folder))[0]


def fit(demo: Catalog, **changes: object) -> FusionClassifier:
    settings = {
        "graph": "people",
        "graph_features": ("text", "image"),
        "max_group": 8,  # so that some items have no neighbours
        "hidden": 64,
        "graph_width": 16,
        "epochs": 12,
        "annealing_epochs": 4,
        "device": "cpu",
    }
    return FusionClassifier(**{**settings, **changes}).fit(demo)


def linked(fitted: FusionClassifier, demo: Catalog) -> tuple[LinkedFeatures, NDArray[np.int64]]:
    """Return the test items, and how many neighbours they have."""
    table = fitted.link(demo).features.take(demo.rows("test"))
    assert isinstance(table, LinkedFeatures)
    return table, table.graph.degrees()[table.rows]


def information(fitted: FusionClassifier, table: LinkedFeatures) -> NDArray[np.float64]:
    """Return the mutual information of each item, the mean over labels, in nats."""
    return fitted.uncertainty(table).epistemic.mean(axis=1)


def thinned(fitted: FusionClassifier, table: LinkedFeatures, share: float) -> LinkedFeatures:
    """Return the items with a share of their edges: less is a part of more."""
    uniform = np.random.default_rng(0).random(len(table.graph.indices))
    kept = table.graph.keep((uniform < share) & ~table.graph.is_loop())
    loops = nodes_to_loop(kept, fitted.config().loops)
    return LinkedFeatures(table, table.nodes, with_loops(kept, loops)[0], table.rows)


def by_share(fitted: FusionClassifier, demo: Catalog) -> list[NDArray[np.float64]]:
    table, degrees = linked(fitted, demo)
    several = degrees >= 3
    return [information(fitted, thinned(fitted, table, share))[several] for share in KEPT]


@pytest.fixture(scope="module")
def fitted(demo: Catalog) -> FusionClassifier:
    return fit(demo)


def test_isolated_items_are_less_certain(fitted: FusionClassifier, demo: Catalog) -> None:
    table, degrees = linked(fitted, demo)
    found = information(fitted, table)
    isolated, others = found[degrees == 0], found[degrees > 0]
    assert len(isolated) > 30
    assert stats.mannwhitneyu(isolated, others, alternative="greater").pvalue < FAILURE_RATE
    assert isolated.mean() > MORE * others.mean()


def test_uncertainty_grows_as_edges_are_removed(fitted: FusionClassifier, demo: Catalog) -> None:
    found = by_share(fitted, demo)
    for more, fewer in itertools.pairwise(found):
        assert stats.ttest_rel(fewer, more, alternative="greater").pvalue < FAILURE_RATE
    assert found[-1].mean() > MORE * found[0].mean()


@pytest.mark.parametrize(
    "broken", [{"self_loops": "isolated", "neighbour_shrinkage": 0}, {"elbo": "none"}]
)
def test_where_it_does_not(demo: Catalog, broken: dict[str, object]) -> None:
    """Who hears itself in place of others seems as certain; who has no posterior is always so."""
    found = by_share(fit(demo, **broken), demo)
    assert found[-1].mean() < 1.1 * found[0].mean() + 1e-6
