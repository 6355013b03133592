"""What all competitors share: the data, the settings, and networks that several of them start at.

A network that was trained for one is not trained again for the next, but its seconds count in full
for each that needs it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.config import FitConfig, ModelConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.errors import UserError
from bayesfuse.estimator.classifier import FusionClassifier

Draws = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Network:
    """A trained network.

    Attributes:
        classifier: The classifier.
        seconds: How long the training took.
    """

    classifier: FusionClassifier
    seconds: float

    @property
    def num_parameters(self) -> int:
        """Number of trained numbers."""
        return sum(self.classifier.model_.num_parameters.values())

    def draws(self, catalog: Catalog, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return draws of the probabilities of these items, `draws x items x labels`."""
        items = self.classifier.link(catalog).features.take(rows)
        return self.classifier.sample_proba(items)


@dataclass(frozen=True)
class Fitted(ABC):
    """A fitted competitor; each kind is a final subclass.

    Attributes:
        seconds: How long fitting took, from the features on.
        num_parameters: How many numbers were fitted.
    """

    seconds: float
    num_parameters: int

    @abstractmethod
    def draws(self, catalog: Catalog, rows: NDArray[np.int64]) -> Draws:
        """Return probabilities of items of a catalogue.

        Args:
            catalog: One with the modalities of the fit.
            rows: The items.

        Returns:
            `draws x items x labels`; one draw of a method that has no posterior.
        """


class Bench:
    """The catalogue and the settings that all competitors are fitted with.

    Args:
        catalog: With features, and with labelled items in train and val.
        config: The settings; those of a posterior count for no network but the Bayesian one.

    Raises:
        UserError: If no labelled item is in train or none in val.
    """

    def __init__(self, catalog: Catalog, config: FitConfig) -> None:
        self.catalog, self.config = catalog, config
        self.train, self.val = (catalog.labelled_rows(split) for split in ("train", "val"))
        for split, rows in (("train", self.train), ("val", self.val)):
            if not len(rows):
                raise UserError(
                    f'{catalog.source} has no labelled items in the split "{split}"; competitors '
                    "are fitted on train and tuned on val. Name its column of splits with --split."
                )
        self._settings = config.model_dump(include=set(ModelConfig.model_fields))
        self._networks: dict[tuple[str, int], Network] = {}

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels, in the order of all draws."""
        return tuple(self.catalog.label_names)

    def labels(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the labels of these items, `items x labels`."""
        return np.asarray(self.catalog.labels[rows], np.float32)

    def network(self, seed: int) -> Network:
        """Return the network with its posterior, trained with this seed."""
        return self._trained(self.config.elbo, seed)

    def twin(self, seed: int) -> Network:
        """Return the same network without priors, trained with this seed."""
        return self._trained("none", seed)

    def _trained(self, elbo: str, seed: int) -> Network:
        key = (elbo, seed)
        if key not in self._networks:
            settings = {**self._settings, "elbo": elbo, "seed": seed}
            if elbo == "none":  # a point has no members, and is recalibrated in rows of their own
                settings |= {"members": 1, "recalibrate": "none"}
            started = time.perf_counter()
            classifier = FusionClassifier(**settings).fit(self.catalog)
            self._networks[key] = Network(classifier, time.perf_counter() - started)
        return self._networks[key]


Fit = Callable[[Bench, int], Fitted]
"""From a bench and a seed to a fitted competitor."""


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Yield what tells the seconds since the block began."""
    started = time.perf_counter()
    yield lambda: time.perf_counter() - started
