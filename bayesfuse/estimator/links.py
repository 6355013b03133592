"""The items of a fit that others hear: their graph, the features that it carries, and their ids."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from bayesfuse.config import FitConfig, ModelConfig
from bayesfuse.data.appending import append_items
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import (
    BayesfuseError,
    CatalogError,
    ConfigError,
    FeatureError,
    RunFolderError,
    unknown_option,
)
from bayesfuse.estimator.files import FORMAT, read_tensors
from bayesfuse.estimator.model import graph_settings
from bayesfuse.estimator.train_labels import TrainLabels
from bayesfuse.graph.csr import kept_indptr
from bayesfuse.graph.entity_graph import EntityGraph
from bayesfuse.graph.entity_index import EntityIndex
from bayesfuse.graph.linked_features import LinkedFeatures

FILE = "graph.safetensors"


@dataclass(frozen=True, eq=False)
class Links:
    """Who is heard: the items of the catalogue of a fit, of all its splits.

    Labels are among what is kept only if the items are told those of their neighbours; they are
    of train alone, and nodes never pass them on.

    Attributes:
        ids: Their ids, `nodes`.
        titles: Their titles, `nodes`, if the catalogue has them.
        graph: Who shares whom among them.
        nodes: The features that they hear of each other.
        fan_out: The most neighbours of an item, a number or None (all) a layer.
        seed: Of the choice of neighbours where there are more.
        labels: Labels of train that their neighbours are told; None if they are not.
    """

    ids: NDArray[np.str_]
    titles: tuple[str, ...] | None
    graph: EntityGraph
    nodes: FeatureTable
    fan_out: tuple[int | None, ...]
    seed: int
    labels: TrainLabels | None = None

    @classmethod
    def of_catalog(cls, catalog: Catalog, config: ModelConfig) -> Links:
        """Link the items of a catalogue that share people.

        Args:
            catalog: The catalogue of the fit, encoded.
            config: The settings.

        Raises:
            CatalogError: If it has no people.
            ConfigError: If the nodes are to have a modality that is not there, or the fan-out is
                of another number of layers.
        """
        if not catalog.people:
            raise CatalogError(
                catalog.source,
                [
                    "it has no people, of which --graph people is made; name their columns: "
                    "--people director,writer for a file, or people under [graph] in catalog.toml."
                ],
            )
        settings = graph_settings(catalog.features.widths, config)
        assert settings is not None, "there is a graph"
        names = catalog.features.names
        unknown = [name for name in settings.features if name not in names]
        if unknown:
            told = [unknown_option("modality", name, (*names, "all")) for name in unknown]
            raise ConfigError(f"In --graph-features: {' '.join(told)}")
        graph = EntityGraph.from_people(
            catalog.people, max_group=config.max_group, self_loops=config.loops
        )
        return cls(
            catalog.ids,
            None if catalog.titles is None else tuple(catalog.titles),
            graph,
            catalog.features.select(settings.features),
            _fan_out(config),
            config.seed,
            TrainLabels.of_catalog(catalog) if config.neighbour_labels else None,
        )

    def training(self, features: FeatureTable) -> LinkedFeatures:
        """Return the features of these items, linked: an item is its own node.

        Args:
            features: Features of the nodes, all modalities, in the same order.
        """
        if self.labels is not None:
            rows = np.arange(len(features))
            features = self.labels.told(features, self.graph.adjacency, rows)
        return LinkedFeatures(
            features, self.nodes, self.graph, fan_out=self.fan_out, seed=self.seed
        )

    def link(self, catalog: Catalog, *, update_old: bool = False) -> Catalog:
        """Return a catalogue to predict, its items linked to the nodes whose people they share.

        An item is seen as the catalogue shows it, and hears the nodes as they were in the fit; it
        does not hear other items of the catalogue, nor a node of its own id, which is itself. So
        what is said of one item does not depend on which others are there, old or new.

        Args:
            catalog: The catalogue; one that is linked already comes back as it is.
            update_old: Let items hear the new ones of this catalogue (those whose id is not a
                node's), too: its items, and over a further layer the nodes. What is said of an item
                then does depend on which others are there.

        Returns:
            The catalogue, with `LinkedFeatures` and a warning more for each thing that the user
            should know.
        """
        if isinstance(catalog.features, LinkedFeatures):
            return catalog
        graph, notes = self._extended(catalog, update_old)
        graph = self._without_own_selves(graph, catalog.ids)
        rows = len(self.ids) + np.arange(len(catalog))
        table = catalog.features
        if self.labels is not None:
            table = self.labels.told(table, graph.adjacency, rows)
        features = LinkedFeatures(
            table,
            append_items(self.nodes, table) if update_old else self.nodes,
            graph,
            rows,
            fan_out=self.fan_out,
            seed=self.seed,
        )
        warnings = (*catalog.warnings, *notes)
        return dataclasses.replace(catalog, features=features, warnings=warnings)

    def people_with(self, catalog: Catalog) -> EntityIndex:
        """Return who is named by which node, and then by which item of a catalogue."""
        index = self._extended(catalog)[0].people
        assert index is not None, "the graph is of people"
        return index

    def _extended(
        self, catalog: Catalog, update_old: bool = False
    ) -> tuple[EntityGraph, list[str]]:
        """Return the graph with the items of a catalogue after the nodes, and warnings."""
        relations = self.graph.relation_names
        known = {name: lists for name, lists in catalog.people.items() if name in relations}
        notes = [
            f'{catalog.source} has people by "{name}", which the graph of the run does not know; '
            f"it knows {', '.join(relations)}. They link nobody."
            for name in catalog.people
            if name not in relations
        ]
        if known:
            graph = self.graph.extended(known, link_new=update_old, update_old=update_old)
            told = graph.warnings[len(self.graph.warnings) :]
            notes += [f"{catalog.source}: {warning}" for warning in told]
        else:
            nobody = [[] for _ in range(len(catalog))]  # type: list[list[str]]
            graph = self.graph.extended(dict.fromkeys(relations, nobody))
            notes.append(
                f"{catalog.source} has no people ({', '.join(relations)}): its items hear nobody "
                "but themselves."
            )
        return graph, notes

    def _without_own_selves(self, graph: EntityGraph, ids: NDArray[np.str_]) -> EntityGraph:
        """Return the graph without edges from new rows to the node of the same id.

        Nor has it edges to rows that are such nodes again: these are heard as nodes.
        """
        place = {name: node for node, name in enumerate(self.ids.tolist())}
        same = np.array([place.get(name, -1) for name in ids.tolist()], dtype=np.int64)
        start = int(graph.indptr[len(self.ids)])
        rows = graph.adjacency.rows()
        kept = np.ones(len(graph.indices), dtype=np.bool_)
        kept[start:] = graph.indices[start:] != same[rows[start:] - len(self.ids)]
        again = np.concatenate([np.zeros(len(self.ids), dtype=np.bool_), same >= 0])
        kept &= ~again[graph.indices] | (graph.indices == rows)
        return dataclasses.replace(
            graph,
            indptr=kept_indptr(graph.indptr, kept),
            indices=graph.indices[kept],
            relation_mask=graph.relation_mask[kept],
        ).with_self_loops(graph.self_loops)

    def write(self, folder: Path) -> None:
        """Write it into a run folder, as one file of tensors.

        Features are written in float16 where that changes no number, and in float32 elsewhere.
        """
        arrays, about = self.graph.state()
        tensors = {f"graph.{name}": array for name, array in arrays.items()}
        values, observed = self.nodes.batch(slice(None))
        tensors |= {f"nodes.{name}": _as_small(array) for name, array in values.items()}
        tensors["observed"] = observed
        if self.labels is not None:
            tensors |= {"labels": self.labels.labels, "train": self.labels.train}
        told = {
            "graph": about,
            "modalities": list(self.nodes.names),
            "ids": self.ids.tolist(),
            "titles": self.titles,
            "fan_out": list(self.fan_out),
            "seed": self.seed,
        }
        contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
        save_file(contiguous, folder / FILE, {FORMAT: json.dumps(told)})

    @classmethod
    def read(cls, folder: Path, widths: Mapping[str, int]) -> Links:
        """Read what `write` wrote.

        Args:
            folder: The run folder.
            widths: Modality to number of features, of the run's network.

        Raises:
            RunFolderError: If the file is not there, is damaged, or not of this run.
        """
        file = folder / FILE
        tensors, told = read_tensors(file)
        try:
            return cls._of_tensors({n: t.numpy() for n, t in tensors.items()}, told, widths)
        except (
            *(BayesfuseError, LookupError, TypeError, ValueError),
            *(AttributeError, OverflowError),
        ) as error:
            raise RunFolderError(
                f"{file} does not hold the graph of this run ({error!s:.300}). Copy it again from "
                "where it was fitted, or fit again."
            ) from None

    @classmethod
    def _of_tensors(
        cls, arrays: Mapping[str, NDArray[Any]], told: Mapping[str, Any], widths: Mapping[str, int]
    ) -> Links:
        parts = {n.removeprefix("graph."): a for n, a in arrays.items() if n.startswith("graph.")}
        graph = EntityGraph.from_state(parts, told["graph"])
        names = told["modalities"]
        observed = arrays["observed"]
        nodes = FeatureTable.from_arrays(
            {name: arrays[f"nodes.{name}"] for name in names},
            {name: observed[:, column] for column, name in enumerate(names)},
        )
        ids, titles = np.array(told["ids"], dtype=np.str_), told["titles"]
        counts = {graph.num_nodes, nodes.num_items, len(ids), len(titles or ids)}
        labels = None
        if "labels" in arrays:
            labels = TrainLabels(arrays["labels"], arrays["train"])
            counts.add(len(labels.train))
        if len(counts) > 1:
            raise ValueError(f"its parts are of {', '.join(map(str, sorted(counts)))} items")
        if any(widths.get(name) != width for name, width in nodes.widths.items()):
            raise ValueError("its features are of another width than the network's")
        fan_out = tuple(None if most is None else int(most) for most in told["fan_out"])
        titles = None if titles is None else tuple(titles)
        return cls(ids, titles, graph, nodes, fan_out, int(told["seed"]), labels)


def check_linked(table: FeatureTable, config: ModelConfig) -> FeatureTable:
    """Return a table, once it is known to come with a graph just if there is to be one.

    Raises:
        FeatureError: If it does not.
    """
    linked = isinstance(table, LinkedFeatures)
    if linked != (config.graph != "none"):
        got = "items that hear others (LinkedFeatures)" if linked else "items without links"
        raise FeatureError(
            f'Got {got}, and the graph is "{config.graph}"; expected a Catalog with people (or '
            'LinkedFeatures) with graph="people", and other items with graph="none".'
        )
    return table


def check_finetuned_nodes(config: FitConfig) -> None:
    """Raise if what nodes hear of each other would be fine-tuned.

    Raises:
        ConfigError: If so: the features of neighbours would be those from before.
    """
    nodes = set(config.graph_features) if config.graph != "none" else set()
    both = [name for name in config.finetune or () if name in nodes or "all" in nodes]
    if both:
        raise ConfigError(
            f"--finetune {','.join(both)} would train the encoder of what items hear of each other "
            "(--graph-features), whose features are made before training. Let items hear another "
            "modality, or fine-tune first, encode with what was trained, and add the graph then."
        )


def _fan_out(config: ModelConfig) -> tuple[int | None, ...]:
    """Return the most neighbours of each layer; one that is given for all stands for each."""
    given = config.fan_out or ("all",)
    if len(given) == 1:
        given = given * config.graph_layers
    if len(given) != config.graph_layers:
        raise ConfigError(
            f"--fan-out {','.join(map(str, given))} is of {len(given)} layers, and --graph-layers "
            f"is {config.graph_layers}; expected a number for each, or one for all."
        )
    return tuple(None if most == "all" else int(most) for most in given)


def _as_small(array: NDArray[np.float32]) -> NDArray[Any]:
    """Return the numbers as float16 if that changes none, else as they are."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if np.array_equal(half.astype(np.float32), array) else array
