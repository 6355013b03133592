"""What a run knows and a catalogue that it is used on does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayesfuse.data.catalog import Catalog
from bayesfuse.data.findings import first_few

if TYPE_CHECKING:
    from bayesfuse.estimator.classifier import FusionClassifier

_SHOWN = 5


def lacking(classifier: FusionClassifier, catalog: Catalog, *, labelled: bool) -> list[str]:
    """Return a sentence for everything that a catalogue lacks.

    Args:
        classifier: The classifier of the run.
        catalog: The catalogue, encoded.
        labelled: Whether its labels are held against what the run says.
    """
    found = [
        f'{catalog.source} has no modality "{name}": it counts as missing for every item.'
        for name in classifier.model_.network.names
        if name not in catalog.features
    ]
    known = set(catalog.label_names)
    absent = [name for name in classifier.label_names_ if name not in known]
    if labelled and absent and catalog.labelled.any():
        found.append(
            f"{catalog.source} has no item with {first_few(absent, _SHOWN)}, of the "
            f"{len(classifier.label_names_)} labels that the run was fitted on: no item counts as "
            "having it. If the catalogue just does not know of it, its scores mean nothing."
        )
    return found
