"""The exact posterior against the process that it belongs to."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import chi2, chi2_contingency

from bayesfuse.data.demo_process import NONE, SOURCES, DemoEvidence, DemoProcess, DemoSample
from bayesfuse.data.demo_story import LABEL_NAMES, LEXICON, VOCABULARY, WORDS
from bayesfuse.data.demo_tables import people_table, style_tables
from bayesfuse.errors import ConfigError

PROCESS = DemoProcess()
GIVEN = [("text",), ("image",), ("people",), ("text", "image"), SOURCES]


@pytest.fixture(scope="module")
def sample() -> DemoSample:
    return PROCESS.sample(20_000, np.random.default_rng(1))


def calibration_p_value(probabilities: NDArray, labels: NDArray) -> float:
    """Compare label counts with their expectation in 20 bins of the probability.

    Given the probabilities, the labels of different items are independent, so a bin's count has
    mean sum p and variance sum p(1 - p).
    """
    order = np.argsort(probabilities)
    statistic = 0.0
    bins = np.array_split(order, 20)
    for rows in bins:
        p = probabilities[rows]
        statistic += (labels[rows].sum() - p.sum()) ** 2 / (p * (1 - p)).sum()
    return float(chi2.sf(statistic, len(bins)))


def smallest_p_value(probabilities: NDArray, labels: NDArray) -> float:
    values = [
        calibration_p_value(probabilities[:, c], labels[:, c]) for c in range(labels.shape[1])
    ]
    return min(values) * len(values)


@pytest.mark.parametrize("given", GIVEN)
def test_labels_appear_as_often_as_the_posterior_says(given, sample, failure_rate):
    probabilities = PROCESS.label_posterior(sample.evidence, given)
    assert smallest_p_value(probabilities, sample.labels) > failure_rate


@pytest.mark.parametrize("sharpness", [0.85, 1.15])
@pytest.mark.parametrize("given", GIVEN)
def test_a_posterior_that_is_too_sharp_or_too_flat_is_found_out(
    given, sharpness, sample, failure_rate
):
    probabilities = expit(sharpness * logit(PROCESS.label_posterior(sample.evidence, given)))
    assert smallest_p_value(probabilities, sample.labels) < failure_rate


def test_the_likelihood_is_the_equation(sample):
    """Against loops over the equations of the module, as they are written."""
    strength, epsilon = 0.7, 0.15
    palettes, motifs, layouts = style_tables().values()
    people = people_table()
    rng = np.random.default_rng(0)
    kind_of = {word: kind for kind, words in WORDS.items() for word in words}

    def text(y: list[int], words: list[str]) -> float:
        total = 0.0
        for word in words:
            general = 1 / len(WORDS[kind_of[word]])
            of_label = []
            for c in y:
                own = VOCABULARY[kind_of[word]][c]
                share = (word in own) / len(own)
                of_label.append(strength * share + (1 - strength) * general)
            total += np.log(epsilon * general + (1 - epsilon) * np.mean(of_label))
        return total

    def image(y: list[int], v: NDArray) -> float:
        return np.log(np.mean([palettes[c, v[0]] * motifs[c, v[1]] * layouts[c, v[2]] for c in y]))

    def crew(y: list[int], director: int, first: int, second: int) -> float:
        p = np.mean([people[c] for c in y], axis=0)
        both = 1.0 if second == NONE else p[second] / (1 - p[first])
        return np.log(p[director] * p[first] * both)

    evidence = sample.evidence
    computed = {source: PROCESS.log_likelihood(evidence, source) for source in SOURCES}
    assert (evidence.writers[:40, 1] == NONE).any()
    for item in range(40):
        words = [LEXICON[word] for word in evidence.words[item] if word != NONE]
        for place in rng.integers(len(PROCESS.subsets), size=5):
            y = np.flatnonzero(PROCESS.subsets[place]).tolist()
            expected = {
                "text": text(y, words),
                "image": image(y, evidence.styles[item]) if evidence.styles[item, 0] != NONE else 0,
                "people": crew(y, evidence.directors[item], *evidence.writers[item]),
            }
            for source, value in expected.items():
                assert computed[source][item, place] == pytest.approx(value, abs=1e-9)


def test_labels_among_identical_posters_match_the_posterior(failure_rate):
    """Brute force: among items with the very same styles, count the labels."""
    process = DemoProcess(missing_poster=0, missing_plot=0)
    sample = process.sample(60_000, np.random.default_rng(2))
    posterior = process.label_posterior(sample.evidence, ("image",))
    _, cell = np.unique(sample.evidence.styles, axis=0, return_inverse=True)
    size = np.bincount(cell)
    assert len(size) == 8 * 8 * 5
    for label in range(len(LABEL_NAMES)):
        p = np.bincount(cell, posterior[:, label]) / size
        counts = np.bincount(cell, sample.labels[:, label])
        variance = size * p * (1 - p)
        large = variance > 10
        statistic = ((counts - size * p)[large] ** 2 / variance[large]).sum()
        assert chi2.sf(statistic, large.sum()) > failure_rate / len(LABEL_NAMES)


def test_the_second_writer_is_drawn_without_the_first(sample):
    first, second = sample.evidence.writers.T
    assert (first != second).all()
    assert (first != NONE).all()
    assert 0.35 < (second != NONE).mean() < 0.45


def test_without_evidence_the_posterior_is_the_prior(sample):
    marginals = PROCESS.prior @ PROCESS.subsets
    nothing = PROCESS.label_posterior(sample.evidence, ())
    np.testing.assert_allclose(nothing, np.broadcast_to(marginals, nothing.shape))
    no_plot = sample.evidence.words[:, 0] == NONE
    text = PROCESS.label_posterior(sample.evidence, ("text",))
    np.testing.assert_allclose(text[no_plot], nothing[no_plot])
    assert not np.isclose(text[~no_plot], nothing[~no_plot]).all(axis=1).any()


def test_missing_evidence_drops_out_of_the_posterior(sample):
    no_poster = sample.evidence.styles[:, 0] == NONE
    both = PROCESS.label_posterior(sample.evidence, ("text", "image"))
    text = PROCESS.label_posterior(sample.evidence, ("text",))
    np.testing.assert_allclose(both[no_poster], text[no_poster])
    assert not np.isclose(both[~no_poster], text[~no_poster]).all(axis=1).any()


def missing_p_value(missing: NDArray, labels: NDArray) -> float:
    values = [chi2_contingency(np.histogram2d(missing, y, (3, 2))[0]).pvalue for y in labels.T]
    return min(values) * len(values)


def test_missing_says_nothing_about_the_labels(sample, failure_rate):
    no_poster = sample.evidence.styles[:, 0] == NONE
    no_plot = sample.evidence.words[:, 0] == NONE
    assert not (no_poster & no_plot).any()
    assert no_poster.mean() == pytest.approx(0.12, abs=0.01)
    assert no_plot.mean() == pytest.approx(0.08, abs=0.01)
    assert missing_p_value(no_poster + 2 * no_plot, sample.labels) > failure_rate

    horror = sample.labels[:, LABEL_NAMES.index("Horror")]
    informative = no_poster & (~horror | (np.random.default_rng(0).random(len(horror)) < 0.7))
    assert missing_p_value(informative + 2 * no_plot, sample.labels) < failure_rate


def test_the_label_sets_follow_the_prior(sample, failure_rate):
    place = {tuple(subset): index for index, subset in enumerate(PROCESS.subsets)}
    counts = np.bincount([place[tuple(y)] for y in sample.labels], minlength=len(place))
    expected = PROCESS.prior * len(sample.labels)
    large = expected > 5
    observed = np.append(counts[large], counts[~large].sum())
    expected = np.append(expected[large], expected[~large].sum())
    assert chi2.sf(((observed - expected) ** 2 / expected).sum(), large.sum()) > failure_rate


def test_a_sample_is_fixed_by_its_generator():
    first = PROCESS.sample(50, np.random.default_rng(3))
    again = PROCESS.sample(50, np.random.default_rng(3))
    other = PROCESS.sample(50, np.random.default_rng(4))
    np.testing.assert_array_equal(first.evidence.words, again.evidence.words)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not np.array_equal(first.labels, other.labels)


def test_an_unknown_source_is_named():
    evidence: DemoEvidence = PROCESS.sample(2, np.random.default_rng(0)).evidence
    with pytest.raises(ConfigError, match=r'Unknown source .*"imag".*Did you mean "image"'):
        PROCESS.label_posterior(evidence, ("imag",))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"word_strength": 1.0}, "word_strength"),
        ({"general_probability": -0.1}, "general_probability"),
        ({"missing_poster": 0.7, "missing_plot": 0.4}, r"missing_poster \+ missing_plot"),
    ],
)
def test_impossible_probabilities_are_refused(settings, named):
    with pytest.raises(ConfigError, match=named):
        DemoProcess(**settings)
