"""Labels of train that the neighbours of an item are told, as one more modality of theirs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.catalog import Catalog
from bayesfuse.data.features import FeatureTable
from bayesfuse.errors import ConfigError, FeatureError
from bayesfuse.graph.csr import Adjacency
from bayesfuse.graph.neighbour_labels import NEIGHBOUR_LABELS, neighbour_label_rates


@dataclass(frozen=True, eq=False)
class TrainLabels:
    """The labels of the training items of a catalogue.

    Attributes:
        labels: 0 or 1, `train items x labels`, uint8.
        train: Which nodes these items are, `nodes`, bool.
    """

    labels: NDArray[np.uint8]
    train: NDArray[np.bool_]

    @classmethod
    def of_catalog(cls, catalog: Catalog) -> TrainLabels:
        """Return those of a catalogue; labels of val and test are not looked at.

        Raises:
            ConfigError: If there is a modality of the name that these features have.
            FeatureError: If no training item has labels.
        """
        if NEIGHBOUR_LABELS in catalog.features:
            raise ConfigError(
                f'There is a modality "{NEIGHBOUR_LABELS}", which is what --neighbour-labels calls '
                f'its own; rename that modality, for example to "{NEIGHBOUR_LABELS}_".'
            )
        rows = catalog.labelled_rows("train")
        if not len(rows):
            raise FeatureError(
                f"{catalog.source} has no labelled training items, whose labels --neighbour-labels "
                "could tell; expected at least 2."
            )
        train = np.zeros(len(catalog), dtype=np.bool_)
        train[rows] = True
        return cls(catalog.labels[train].astype(np.uint8), train)

    def told(
        self, features: FeatureTable, graph: Adjacency, rows: NDArray[np.int64]
    ) -> FeatureTable:
        """Return the features of items with what they are told of their neighbours' labels.

        Args:
            features: Features of the items.
            graph: Who is whose neighbour; the nodes of the fit are its first ones.
            rows: The row of each item in the graph, `items`.

        Returns:
            The table with the modality `neighbour_labels`, unobserved of an item that has no
            neighbour in train. See `bayesfuse.graph.neighbour_labels.neighbour_label_rates`.
        """
        rates, known = neighbour_label_rates(graph, self.labels, self.train)
        return features.with_modality(NEIGHBOUR_LABELS, rates[rows], known[rows])
