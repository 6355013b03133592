"""The numbers of the embedded catalogue's process: its prior and its conditional probabilities.

The letters are those of the equations in `bayesfuse.data.demo_process`. Nothing here is random:
the people's affinities are drawn once, from a seed that belongs to the process.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.demo_story import KINDS, LABEL_NAMES, LEXICON, PEOPLE, VOCABULARY, WORDS

NUM_LABELS = len(LABEL_NAMES)

# a_c, in the order of LABEL_NAMES
FIELDS = (-1.3, -0.8, -1.5, -0.6, -1.4, -1.8, -2.5, -3.3)
# J_cd; pairs that are not named have 0
COUPLINGS = {
    ("Drama", "Romance"): 1.0,
    ("Comedy", "Romance"): 0.8,
    ("Action", "Sci-Fi"): 1.1,
    ("Action", "Western"): 0.7,
    ("Horror", "Sci-Fi"): 0.6,
    ("Comedy", "Drama"): -0.3,
    ("Comedy", "Horror"): -0.9,
    ("Horror", "Romance"): -1.2,
    ("Documentary", "Action"): -1.5,
    ("Documentary", "Comedy"): -0.8,
    ("Documentary", "Romance"): -1.5,
    ("Documentary", "Horror"): -1.5,
    ("Documentary", "Sci-Fi"): -0.8,
    ("Sci-Fi", "Western"): -1.0,
}

NUM_MOTIFS, NUM_PALETTES, NUM_LAYOUTS = 8, 8, 5
# style variable -> (favourite, second) value of every label; `demo_posters` says what they look
# like. The favourite has weight 10, the second 3, every other value 1.
FAVOURITES: dict[str, tuple[int, tuple[tuple[int, int], ...]]] = {
    "palette": (
        NUM_PALETTES,
        ((0, 7), (1, 5), (2, 3), (3, 2), (4, 6), (5, 3), (6, 4), (7, 0)),
    ),
    "motif": (
        NUM_MOTIFS,
        ((0, 4), (1, 0), (2, 6), (3, 5), (4, 3), (5, 1), (6, 2), (7, 0)),
    ),
    "layout": (
        NUM_LAYOUTS,
        ((2, 0), (1, 4), (4, 3), (0, 4), (3, 2), (0, 1), (2, 1), (3, 4)),
    ),
}

_AFFINITY_SEED = 20_240  # the people are part of the process, and not of a catalogue's seed
_AFFINITY_CONCENTRATION = 0.25


def label_subsets() -> NDArray[np.bool_]:
    """Return all non-empty sets of labels, subsets x labels."""
    bits = np.arange(1, 2**NUM_LABELS)[:, None] >> np.arange(NUM_LABELS)
    return (bits & 1).astype(bool)


def subset_prior(subsets: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return p(y) of every subset, normalised over all of them."""
    couplings = np.zeros((NUM_LABELS, NUM_LABELS))
    for (first, second), strength in COUPLINGS.items():
        couplings[LABEL_NAMES.index(first), LABEL_NAMES.index(second)] = strength
    y = subsets.astype(np.float64)
    weights = np.exp(y @ np.array(FIELDS) + ((y @ couplings) * y).sum(axis=1))
    return np.asarray(weights / weights.sum())


def word_tables(strength: float) -> NDArray[np.float64]:
    """Return p(w | kind, c), kinds x (labels + 1) x words; the last "label" is the general one."""
    tables = np.zeros((len(KINDS), NUM_LABELS + 1, len(LEXICON)))
    start = 0
    for kind_index, kind in enumerate(KINDS):
        words = WORDS[kind]
        general = np.full(len(words), 1 / len(words))
        block = tables[kind_index, :, start : start + len(words)]
        block[-1] = general
        for label, own in enumerate(VOCABULARY[kind]):
            is_own = np.isin(words, own)
            block[label] = strength * is_own / is_own.sum() + (1 - strength) * general
        start += len(words)
    return tables


def style_tables() -> dict[str, NDArray[np.float64]]:
    """Return p(v | c) of every style variable, each labels x values."""
    tables = {}
    for style, (num_values, favourites) in FAVOURITES.items():
        weights = np.ones((NUM_LABELS, num_values))
        for label, (favourite, second) in enumerate(favourites):
            weights[label, favourite] = 10
            weights[label, second] = 3
        tables[style] = weights / weights.sum(axis=1, keepdims=True)
    return tables


def people_table() -> NDArray[np.float64]:
    """Return p(h | c), labels x people: each person's affinity, normalised over the people."""
    affinity = np.random.default_rng(_AFFINITY_SEED).dirichlet(
        np.full(NUM_LABELS, _AFFINITY_CONCENTRATION), size=len(PEOPLE)
    )
    return np.asarray((affinity / affinity.sum(axis=0)).T)
