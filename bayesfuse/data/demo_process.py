r"""The generative process of the embedded catalogue, and its exact posterior.

Every item is drawn as follows; the numbers are in `bayesfuse.data.demo_tables` and in
the arguments of `DemoProcess`.

1. Labels: a non-empty subset y of the 8 labels, from a pairwise distribution,

   .. math:: p(y) \propto \exp\Big(\sum_c a_c y_c + \sum_{c<d} J_{cd}\, y_c y_d\Big).

2. Plot: a story k, uniform and independent of y, sets the kinds of the slots. Every slot is
   general with probability :math:`\varepsilon`, and then its word w is uniform over the words of
   its kind; otherwise it picks a label c uniformly from y, and then a word from p(w | c):

   .. math:: p(w \mid y) = \varepsilon\, g(w) + (1-\varepsilon) \tfrac{1}{|y|}
             \sum_{c \in y} p(w \mid c), \qquad
             p(w \mid c) = s\, \mathrm{Unif}(\text{list}_c)(w) + (1-s)\, g(w).

3. Poster: a lead label c, uniform over y, and then palette, motif and layout independently:

   .. math:: p(v_1, v_2, v_3 \mid y) = \tfrac{1}{|y|} \sum_{c \in y} \prod_m p(v_m \mid c).

   Everything else in the picture (positions, shades, title) is independent of y.
4. People: every person h has a fixed affinity :math:`A_{hc}` to the labels. The director is drawn
   from :math:`p(h \mid y) = \tfrac{1}{|y|}\sum_{c \in y} A_{hc} / \sum_{h'} A_{h'c}`; so are the
   writers, one or two (independent of y), and a second writer is drawn again until it differs from
   the first: :math:`p(h_2 \mid h_1, y) = p(h_2 \mid y) / (1 - p(h_1 \mid y))`.
5. Missing: no poster, no plot, or neither missing; independent of everything else.

So the evidence is independent between plot, poster and people given y, and the posterior over the
255 subsets is a sum that can be written out: no approximation is made anywhere.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from bayesfuse.data.demo_story import KINDS, LEXICON, STORIES, STORY_SLOTS
from bayesfuse.data.demo_tables import (
    NUM_LABELS,
    label_subsets,
    people_table,
    style_tables,
    subset_prior,
    word_tables,
)
from bayesfuse.errors import ConfigError, unknown_option

Source = Literal["text", "image", "people"]
SOURCES: tuple[Source, ...] = ("text", "image", "people")
MAX_SLOTS = max(map(len, STORY_SLOTS))
NONE: Final = -1  # the index of evidence that is not there

_TWO_WRITERS = 0.4


@dataclass(frozen=True)
class DemoEvidence:
    """What an item shows of its labels, as indices; `NONE` (-1) where there is nothing.

    Attributes:
        words: Places in `LEXICON`, items x slots; all `NONE` where the plot is missing.
        styles: Palette, motif and layout, items x 3; all `NONE` where the poster is missing.
        directors: Places in `PEOPLE`, items.
        writers: Places in `PEOPLE`, items x 2.
    """

    words: NDArray[np.int64]
    styles: NDArray[np.int64]
    directors: NDArray[np.int64]
    writers: NDArray[np.int64]


@dataclass(frozen=True)
class DemoSample:
    """Items of the process.

    Attributes:
        labels: Which labels an item has, items x labels.
        stories: Places in `STORIES`, items.
        evidence: What is seen of every item.
    """

    labels: NDArray[np.bool_]
    stories: NDArray[np.int64]
    evidence: DemoEvidence


def _draw(
    rng: np.random.Generator, probabilities: NDArray[np.float64], rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Draw a column for every entry of `rows`, with the probabilities in that row."""
    # One search in all rows at once: row r covers the numbers from r to r + 1.
    cumulative = probabilities.cumsum(axis=1)
    ends = np.arange(len(cumulative))[:, None] + cumulative / cumulative[:, -1:]
    points = rows + rng.random(len(rows)) * (1 - 1e-12)
    places = np.searchsorted(ends.ravel(), points, side="right")
    return np.asarray(places - rows * probabilities.shape[1], dtype=np.int64)


class DemoProcess:
    r"""The distribution that the embedded catalogue is drawn from; see the module's equations.

    Args:
        word_strength: s, how far a label's word comes from the label's own list, in [0, 1).
        general_probability: :math:`\varepsilon`, how often a slot says nothing, in [0, 1].
        missing_poster: The probability that an item has no poster.
        missing_plot: The probability that an item has no plot; never both.

    Raises:
        ConfigError: If a probability is out of range, or the two missing ones exceed 1 together.

    Example:
        >>> process = DemoProcess()
        >>> sample = process.sample(3, np.random.default_rng(0))
        >>> process.label_posterior(sample.evidence).shape
        (3, 8)
    """

    def __init__(
        self,
        word_strength: float = 0.7,
        general_probability: float = 0.15,
        missing_poster: float = 0.12,
        missing_plot: float = 0.08,
    ) -> None:
        settings = {
            "word_strength": word_strength,
            "general_probability": general_probability,
            "missing_poster": missing_poster,
            "missing_plot": missing_plot,
            "missing_poster + missing_plot": missing_poster + missing_plot,
        }
        for name, value in settings.items():
            if not 0 <= value <= 1:
                raise ConfigError(f"{name} is {value}; expected a probability, from 0 to 1.")
        if word_strength == 1:
            raise ConfigError("word_strength is 1; expected less, so that every word is possible.")
        self.general_probability = general_probability
        self.missing_poster = missing_poster
        self.missing_plot = missing_plot

        self.subsets = label_subsets()  # subsets x labels
        self.prior = subset_prior(self.subsets)
        self._share = self.subsets / self.subsets.sum(axis=1, keepdims=True)  # the mean over c in y
        self._words = word_tables(word_strength)
        self._styles = list(style_tables().values())
        self._people = people_table()

    def sample(self, num_items: int, rng: np.random.Generator) -> DemoSample:
        """Draw items by following the story of the module's docstring, step by step.

        Args:
            num_items: How many, at least 0.
            rng: Where the randomness comes from.

        Returns:
            Labels, stories and evidence of the items.
        """
        everyone = np.zeros(num_items, dtype=np.int64)
        subset = _draw(rng, self.prior[None], everyone)
        stories = rng.integers(len(STORIES), size=num_items)
        words = self._sample_words(subset, stories, rng)
        lead = _draw(rng, self._share, subset)
        styles = np.stack([_draw(rng, table, lead) for table in self._styles], axis=1)
        directors = self._sample_people(subset, rng)
        first = self._sample_people(subset, rng)
        second = self._sample_people(subset, rng)
        while (same := np.flatnonzero(first == second)).size:
            second[same] = self._sample_people(subset[same], rng)
        second[rng.random(num_items) >= _TWO_WRITERS] = NONE
        fate = rng.random(num_items)
        styles[fate < self.missing_poster] = NONE
        words[fate >= 1 - self.missing_plot] = NONE
        evidence = DemoEvidence(words, styles, directors, np.stack([first, second], axis=1))
        return DemoSample(self.subsets[subset], stories, evidence)

    def _sample_words(
        self, subset: NDArray[np.int64], stories: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        kinds_of_story = np.full((len(STORIES), MAX_SLOTS), NONE)
        for story, slots in enumerate(STORY_SLOTS):
            kinds_of_story[story, : len(slots)] = [KINDS.index(kind) for kind in slots]
        kinds = kinds_of_story[stories]
        items, slots_used = np.nonzero(kinds != NONE)
        component = _draw(rng, self._share, subset[items])
        component[rng.random(len(items)) < self.general_probability] = NUM_LABELS
        tables = self._words.reshape(-1, len(LEXICON))
        rows = kinds[items, slots_used] * (NUM_LABELS + 1) + component
        words = np.full(kinds.shape, NONE)
        words[items, slots_used] = _draw(rng, tables, rows)
        return words

    def _sample_people(
        self, subset: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        return _draw(rng, self._people, _draw(rng, self._share, subset))

    def log_likelihood(self, evidence: DemoEvidence, source: Source) -> NDArray[np.float64]:
        """Return log p(evidence of one source | y) for every subset y, up to a constant in y.

        Args:
            evidence: What is seen of the items.
            source: `"text"`, `"image"` or `"people"`.

        Returns:
            Items x subsets, in nats; 0 where an item's evidence is missing.

        Raises:
            ConfigError: If the source is none of the three.
        """
        if source == "text":
            # a word belongs to one kind, so the sum over kinds picks the one that is not 0
            label_words, general_words = self._words[:, :-1].sum(axis=0), self._words[:, -1].sum(0)
            given_subset = self.general_probability * general_words + (
                1 - self.general_probability
            ) * (self._share @ label_words)
            return _sum_logs(np.log(given_subset), evidence.words)
        if source == "image":
            present = evidence.styles[:, 0] != NONE
            given_label = np.ones((len(present), NUM_LABELS))  # items x labels
            for table, values in zip(self._styles, evidence.styles.T, strict=True):
                given_label *= table[:, values].T
            return np.where(present[:, None], np.log(given_label @ self._share.T), 0.0)
        if source == "people":
            given_subset = self._share @ self._people
            log_given = np.log(given_subset)
            everyone = np.column_stack([evidence.directors, evidence.writers])
            second_differs = -np.log1p(-given_subset)
            first = np.where(evidence.writers[:, 1] != NONE, evidence.writers[:, 0], NONE)
            return _sum_logs(log_given, everyone) + _sum_logs(second_differs, first[:, None])
        raise ConfigError(unknown_option("source of evidence", source, SOURCES))

    def label_posterior(
        self, evidence: DemoEvidence, given: Collection[Source] = ("text", "image")
    ) -> NDArray[np.float64]:
        r"""Return the exact probability of every label, by enumeration of the 255 subsets.

        .. math:: p(y_c = 1 \mid e) = \frac{\sum_{y:\, y_c = 1} p(y) \prod_s p(e_s \mid y)}
                                           {\sum_y p(y) \prod_s p(e_s \mid y)}

        Args:
            evidence: What is seen of the items.
            given: The sources s that are used; evidence that is missing is left out, and an item
                with none has the prior's marginals.

        Returns:
            Probabilities, items x labels.

        Raises:
            ConfigError: If a source is unknown.
        """
        log_joint = np.tile(np.log(self.prior), (len(evidence.directors), 1))
        for source in given:
            log_joint += self.log_likelihood(evidence, source)
        joint = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
        posterior: NDArray[np.float64] = joint / joint.sum(axis=1, keepdims=True)
        return posterior @ self.subsets.astype(np.float64)


def _sum_logs(table: NDArray[np.float64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sum `table[:, j]` over the columns j named in a row of `columns`, leaving out `NONE`."""
    padded = np.vstack([table.T, np.zeros(len(table))])  # NONE is -1: the last row, all zeros
    total = np.zeros((len(columns), len(table)))
    for column in columns.T:
        total += padded[column]
    return total
