"""The numbers of the demo process add up."""

from __future__ import annotations

import numpy as np
import pytest

from bayesfuse.data.demo_story import KINDS, LABEL_NAMES, PEOPLE
from bayesfuse.data.demo_tables import (
    COUPLINGS,
    FIELDS,
    label_subsets,
    people_table,
    style_tables,
    subset_prior,
    word_tables,
)


def test_the_subsets_are_all_the_non_empty_ones():
    subsets = label_subsets()
    assert len({tuple(subset) for subset in subsets}) == 255
    assert subsets.any(axis=1).all()


def test_the_prior_is_the_pairwise_distribution():
    """Against a loop over the equation, as it is written."""
    subsets = label_subsets()
    weights = []
    for y in subsets:
        members = [name for name, is_in in zip(LABEL_NAMES, y, strict=True) if is_in]
        energy = sum(FIELDS[LABEL_NAMES.index(name)] for name in members)
        energy += sum(J for pair, J in COUPLINGS.items() if set(pair) <= set(members))
        weights.append(np.exp(energy))
    np.testing.assert_allclose(subset_prior(subsets), weights / np.sum(weights))


def test_the_labels_are_as_common_as_intended():
    subsets = label_subsets()
    rates = subset_prior(subsets) @ subsets
    assert rates.sum() == pytest.approx(1.83, abs=0.01)
    assert 0.04 < rates.min() < 0.06
    assert rates.max() < 0.5


def test_every_table_holds_probabilities():
    np.testing.assert_allclose(word_tables(0.7).sum(axis=2), np.ones((len(KINDS), 9)))
    for table in style_tables().values():
        np.testing.assert_allclose(table.sum(axis=1), np.ones(len(LABEL_NAMES)))
    people = people_table()
    assert people.shape == (len(LABEL_NAMES), len(PEOPLE))
    np.testing.assert_allclose(people.sum(axis=1), np.ones(len(LABEL_NAMES)))
