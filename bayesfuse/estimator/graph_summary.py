"""What the graph of a catalogue looks like: all that `bayesfuse graph` has to tell, in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.config import MODALITY_SETTINGS, CatalogConfig, GraphCommandConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.errors import CatalogError
from bayesfuse.estimator.catalogs import read_catalog
from bayesfuse.graph.edges_file import from_edges
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.finding import find_item
from bayesfuse.graph.homophily import Homophily, homophily
from bayesfuse.graph.neighbourhood import Neighbourhood, ego
from bayesfuse.graph.statistics import GraphStatistics, describe_graph


@dataclass(frozen=True, eq=False)
class GraphSummary:
    """What `summarise_graph` returns; print it, or take `to_dict`.

    Attributes:
        source: The catalogue.
        ids: The id of each node, `nodes`.
        titles: The title of each node, `nodes`, if the catalogue has them.
        graph: The graph.
        statistics: Its nodes, edges and degrees; without the warnings, which are below.
        homophily: Whether neighbours share labels; None where no item of train has known labels.
        around: The neighbourhood that was asked for.
        warnings: What the user should know.
    """

    source: str
    ids: NDArray[np.str_]
    titles: list[str] | None
    graph: EntityGraph
    statistics: GraphStatistics
    homophily: Homophily | None
    around: Neighbourhood | None
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers, texts, lists and dicts, for JSON; all that was cut, too."""
        statistics = self.statistics.to_dict()
        rows = statistics.pop("rows")
        return {
            "catalog": self.source,
            **statistics,
            "num_edges": self.graph.num_edges,
            "relations": rows,
            "weights": self._weights(),
            "cut": [asdict(group) for group in self.graph.cut],
            "homophily": None if self.homophily is None else self.homophily.to_dict(),
            "around": None if self.around is None else self._around(self.around),
            "warnings": list(self.warnings),
        }

    def __str__(self) -> str:
        """Return aligned plain text."""
        parts = [f"{self.source}: {self.statistics}"]
        weights = self._weights()
        if weights is not None:
            parts.append("weights from {min:g} to {max:g}, mean {mean:g}".format(**weights))
        if self.homophily is not None:
            parts.append(str(self.homophily))
        return "\n\n".join(parts)

    def _weights(self) -> dict[str, float] | None:
        """Return what weights the edges have, self-loops left out."""
        if self.graph.weights is None:
            return None
        weights = self.graph.weights[~self.graph.adjacency.is_loop()].astype(np.float64)
        if not len(weights):
            return None
        return {
            "min": float(weights.min()),
            "mean": float(weights.mean()),
            "max": float(weights.max()),
        }

    def _around(self, around: Neighbourhood) -> dict[str, Any]:
        ids = [str(self.ids[node]) for node in around.nodes]
        titles = [None if self.titles is None else self.titles[node] for node in around.nodes]
        return {
            "id": ids[0],
            "title": titles[0],
            "nodes": [
                {"id": id_, "title": title, "hop": hop}
                for id_, title, hop in zip(ids, titles, around.hops, strict=True)
            ],
            "edges": [
                {
                    "first": ids[edge.first],
                    "second": ids[edge.second],
                    "shared": [
                        {"relation": relation, "name": name or None}
                        for relation, name in edge.shared
                    ],
                }
                for edge in around.edges
            ],
            "num_left_out": around.num_left_out,
        }


def summarise_graph(source: str | None, config: GraphCommandConfig) -> GraphSummary:
    """Read a catalogue, join its items, and count.

    Raw cells and features are not read. Homophily is of the items of train with known labels alone,
    and of the labels that one of them has: nothing of val and test is in what is said.

    Args:
        source: The catalogue; the embedded demo catalogue if None or `"demo"`.
        config: How to read it, how to join its items, and what is wanted.

    Returns:
        The numbers, and the neighbourhood if one is wanted.

    Raises:
        CatalogError: With every mistake that was found; or if there are no people to join by.
        ConfigError: If no item, or several, are called as `around` says.
    """
    settings = config.model_dump(include=set(CatalogConfig.model_fields) - set(MODALITY_SETTINGS))
    reading = CatalogConfig.parse(settings)
    catalog = read_catalog(source, reading, require_labels=False, with_modalities=False)
    around = None
    if config.around is not None:  # a mistake in it is told before anything is counted
        around = find_item(catalog.ids, catalog.titles, config.around)
    graph = _graph(catalog, config)
    known = _homophily(catalog, graph, config)
    warnings = [*catalog.warnings, *graph.warnings]
    if known is None:
        warnings.append(
            f"{catalog.source}: no item of train has known labels, so nothing is said of whether "
            "neighbours share them."
        )
    return GraphSummary(
        catalog.source,
        catalog.ids,
        catalog.titles,
        graph,
        replace(describe_graph(graph), warnings=()),
        known,
        None
        if around is None
        else ego(graph, around, hops=config.hops, max_nodes=config.max_nodes),
        tuple(warnings),
    )


def _graph(catalog: Catalog, config: GraphCommandConfig) -> EntityGraph:
    if config.edges is not None:
        return from_edges(
            config.edges,
            catalog.ids,
            source=config.edge_source,
            target=config.edge_target,
            relation=config.edge_relation,
            weight=config.edge_weight,
            delimiter=config.edge_delimiter,
            self_loops=config.self_loops,
        )
    if not catalog.people:
        raise CatalogError(
            catalog.source,
            [
                "it has no people that items could share; name their columns: --people "
                "director,writer for a file, or people under [graph] in catalog.toml. Or give a "
                "file of pairs of ids: --edges FILE."
            ],
        )
    return EntityGraph.from_people(
        catalog.people, max_group=config.max_group, self_loops=config.self_loops
    )


def _homophily(
    catalog: Catalog, graph: EntityGraph, config: GraphCommandConfig
) -> Homophily | None:
    rows = catalog.labelled_rows("train")
    if not len(rows):
        return None
    train = np.zeros(len(catalog), dtype=np.bool_)
    train[rows] = True
    labels = catalog.labels[rows]
    occurs = np.flatnonzero(labels.any(axis=0))  # a label of val or test alone is not named
    return homophily(
        graph,
        labels[:, occurs],
        train,
        [catalog.label_names[column] for column in occurs],
        num_permutations=config.permutations,
        seed=config.seed,
    )
