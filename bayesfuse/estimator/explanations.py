"""Whom an item hears most, and how sure that is: attention over posterior draws, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bayesfuse.data.batches import Batches
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.stepwise import by_step
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.devices import choose_device, choose_precision
from bayesfuse.estimator.table_file import write_tables
from bayesfuse.graph.linked_features import LinkedFeatures
from bayesfuse.models.explaining import neighbour_attention
from bayesfuse.models.relation_attention import RelationAttention

if TYPE_CHECKING:
    from bayesfuse.estimator.classifier import FusionClassifier
    from bayesfuse.estimator.workflow import Run

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("about", pa.string()),
        ("rank", pa.int32()),
        ("name", pa.string()),
        ("title", pa.string()),
        ("shared", pa.string()),
        ("attention_mean", pa.float32()),
        ("attention_sd", pa.float32()),
    ]
)
"""The columns, a row a neighbour or relation of an item, those with most attention first.

`about` is `neighbour` (`name` is its id, `shared` what joins the two) or `relation` (`name` is the
relation's). Attention is in [0, 1], and 1 in all over those that an item hears."""

NEIGHBOURS = 5
"""How many neighbours of an item are told, if not said otherwise."""

ITEMS_AT_ONCE = 512


def iter_explanations(
    classifier: FusionClassifier,
    catalog: Catalog,
    rows: NDArray[np.int64],
    *,
    draws: int | None = None,
    seed: int | None = None,
    most: int = NEIGHBOURS,
) -> Iterator[pa.Table]:
    """Yield whom items hear most, some items after the others, in the schema `SCHEMA`.

    Args:
        classifier: A fitted classifier with a graph of people.
        catalog: The catalogue, linked (see `FusionClassifier.link`).
        rows: Which items.
        draws: Posterior draws; the classifier's if None.
        seed: Seed of the draws, the same as of predictions; the classifier's if None.
        most: The most neighbours of an item, those of the largest mean attention.

    Raises:
        ConfigError: If the items hear nobody, or `most` is below 1.
    """
    features = check_explainable(classifier, catalog)
    if most < 1:
        raise ConfigError(f"The number of neighbours is {most}; expected at least 1.")
    explainer = _Explainer(classifier, catalog, features, draws, seed, most)
    for start in range(0, len(rows), ITEMS_AT_ONCE):
        yield explainer.table(rows[start : start + ITEMS_AT_ONCE])


def check_explainable(classifier: FusionClassifier, catalog: Catalog) -> LinkedFeatures:
    """Return the features of a catalogue's items, once it is known that they hear others.

    Raises:
        ConfigError: If they do not.
    """
    features = catalog.features
    if classifier.links_ is None or not isinstance(features, LinkedFeatures):
        raise ConfigError(
            "There are no neighbours to explain by: the run was fitted without a graph. Fit with "
            "--graph people."
        )
    return features


def write_explanations(
    run: Run, path: Path, metadata: dict[str, Any], *, draws: int, seed: int, most: int
) -> int:
    """Write whom the items of a run hear most to a Parquet or CSV file; return its rows.

    Args:
        run: A run and a catalogue.
        path: The file; it must not exist.
        metadata: Kept in a Parquet file's schema.
        draws: Posterior draws.
        seed: Their seed.
        most: The most neighbours of an item.

    Raises:
        ConfigError: See `iter_explanations`.
        UserError: See `bayesfuse.estimator.table_file.write_tables`.
        StorageError: If the disk is full.
    """
    found = iter_explanations(
        run.classifier, run.catalog, run.rows, draws=draws, seed=seed, most=most
    )
    return write_tables(found, path, SCHEMA, metadata)


class _Explainer:
    """What is the same for all items."""

    def __init__(
        self,
        classifier: FusionClassifier,
        catalog: Catalog,
        features: LinkedFeatures,
        draws: int | None,
        seed: int | None,
        most: int,
    ) -> None:
        config = classifier.config()
        assert classifier.links_ is not None
        self.links, self.catalog, self.features, self.most = (
            classifier.links_,
            catalog,
            by_step(features, classifier.model_.network.sequences),
            most,
        )
        self.network = classifier.model_.network
        self.device = choose_device(config.device)
        predictive = classifier.model_.predictive(
            config.seed if seed is None else seed, choose_precision(config, self.device)
        )
        count = 1 if config.elbo == "none" else config.draws if draws is None else draws
        self.weights = [
            {name: w for name, w in predictive.weights(draw).items() if name.startswith("gat.")}
            for draw in range(count)
        ]
        self.people = self.links.people_with(catalog)

    def table(self, rows: NDArray[np.int64]) -> pa.Table:
        some = self.features.take(rows)
        assert isinstance(some, LinkedFeatures)
        batch = Batches(some, None, self.device).read(slice(None))
        blocks, edges = some.blocks_and_edges(slice(None))
        blocks = blocks.to(self.device)
        read = (self.weights, batch.inputs, batch.observed, blocks)
        attention = neighbour_attention(self.network, *read).float().cpu().numpy()
        mean, sd = attention.mean(axis=0), attention.std(axis=0)
        bounds = blocks.graphs[-1].indptr.cpu().numpy()
        heard = some.graph.indices[edges]
        lines = [
            line
            for place, row in enumerate(rows.tolist())
            for line in self._neighbours(row, slice(*bounds[place : place + 2]), heard, mean, sd)
        ]
        if isinstance(self.network.gat, RelationAttention):
            shares = self.network.relation_attention(*read).float().cpu().numpy()
            lines += self._relations(rows, shares)
        columns = zip(*lines, strict=True) if lines else [()] * len(SCHEMA)
        arrays = [pa.array(list(c), f.type) for c, f in zip(columns, SCHEMA, strict=True)]
        return pa.Table.from_arrays(arrays, schema=SCHEMA)

    def _neighbours(
        self,
        row: int,
        edges: slice,
        heard: NDArray[np.int64],
        mean: NDArray[np.float32],
        sd: NDArray[np.float32],
    ) -> Iterator[tuple[object, ...]]:
        nodes, id_ = heard[edges], str(self.catalog.ids[row])
        order = np.lexsort((nodes, -mean[edges]))
        own = len(self.links.ids) + row
        others = [k for k in order.tolist() if nodes[k] != own]
        for rank, k in enumerate(others[: self.most]):
            node = int(nodes[k])
            shared = self.people.shared(own, node)
            yield (
                id_,
                "neighbour",
                rank + 1,
                *self._named(node),
                "; ".join(f"{relation}: {name}" for relation, name in shared),
                float(mean[edges][k]),
                float(sd[edges][k]),
            )

    def _named(self, node: int) -> tuple[str, str | None]:
        """Return the id and the title of a node of the fit or, after these, of a new item."""
        later = node - len(self.links.ids)
        known = self.links if later < 0 else self.catalog
        place = node if later < 0 else later
        return str(known.ids[place]), None if known.titles is None else known.titles[place]

    def _relations(
        self, rows: NDArray[np.int64], shares: NDArray[np.float32]
    ) -> Iterator[tuple[object, ...]]:
        gat = self.network.gat
        assert isinstance(gat, RelationAttention)
        mean, sd = shares.mean(axis=0), shares.std(axis=0)
        for place, row in enumerate(rows.tolist()):
            order = np.argsort(-mean[place], kind="stable")
            for rank, k in enumerate(order[mean[place][order] > 0].tolist()):
                about = (str(self.catalog.ids[row]), "relation", rank + 1, gat.names[k])
                yield (*about, None, None, float(mean[place, k]), float(sd[place, k]))
