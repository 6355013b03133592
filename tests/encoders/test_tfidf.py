"""TF-IDF features: the equation, missing texts, small vocabularies, keeping the state."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bayesfuse.data.demo_process import NONE, DemoProcess
from bayesfuse.data.demo_story import LEXICON, STORIES, tell
from bayesfuse.encoders.tfidf import TfidfEncoder
from bayesfuse.errors import ConfigError, FeatureError


@pytest.fixture(scope="module")
def plots() -> list[str]:
    sample = DemoProcess(missing_plot=0).sample(200, np.random.default_rng(0))
    rows = zip(sample.stories, sample.evidence.words, strict=True)
    return [tell(STORIES[story], [LEXICON[w] for w in row if w != NONE]) for story, row in rows]


def test_the_weights_are_those_of_the_docstring():
    """With as many features as texts, cosines between training texts survive the projection."""
    texts = ["red red house", "blue house", "green hill", "red hill"]
    encoder = TfidfEncoder(width=4).fit(texts)
    features, _ = encoder.encode(texts)

    terms = sorted({"red", "house", "blue", "green", "hill", "red red", "red house", "blue house",
                    "green hill", "red hill"})  # fmt: skip
    counts = np.array([[_count(term, text) for term in terms] for text in texts])
    frequency = (counts > 0).sum(axis=0)
    weights = np.where(counts > 0, 1 + np.log(np.maximum(counts, 1)), 0)
    weights = weights * (1 + np.log((1 + len(texts)) / (1 + frequency)))
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    assert sorted(encoder.vectorizer_.get_feature_names_out()) == terms
    np.testing.assert_allclose(features @ features.T, weights @ weights.T, atol=1e-6)


def _count(term: str, text: str) -> int:
    words = text.split()
    pairs = [" ".join(pair) for pair in itertools.pairwise(words)]
    return (words + pairs).count(term)


def test_rows_have_length_one(plots):
    features, observed = TfidfEncoder(width=16).fit(plots).encode(plots)
    assert features.shape == (200, 16)
    assert features.dtype == np.float32
    assert observed.all()
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-6)


def test_empty_cells_are_unobserved_and_unknown_words_are_told(plots):
    encoder = TfidfEncoder(width=8).fit([*plots, None, "", "  \n"])
    features, observed = encoder.encode([None, "", " \t\n", "zzz qqq", plots[0]])
    assert observed.tolist() == [False, False, False, False, True]
    assert not features[:4].any()
    assert [problem.row for problem in encoder.problems_] == [3]
    encoder.encode(plots)
    assert encoder.problems_ == ()


def test_missing_cells_change_nothing_that_is_learned(plots):
    with_gaps = TfidfEncoder(width=8).fit([None, *plots, ""])
    without = TfidfEncoder(width=8).fit(plots)
    np.testing.assert_array_equal(with_gaps.encode(plots)[0], without.encode(plots)[0])


def test_the_state_gives_the_very_same_features(plots):
    encoder = TfidfEncoder(width=12, max_terms=300, seed=3).fit(plots[:150])
    config, arrays = encoder.state()
    again = TfidfEncoder.from_state(config, arrays)
    np.testing.assert_array_equal(encoder.encode(plots)[0], again.encode(plots)[0])
    assert again.width == 12
    config_again, arrays_again = again.state()
    assert config_again == config
    assert all((arrays_again[key] == arrays[key]).all() for key in arrays)
    changed = {**arrays, "idf": arrays["idf"][::-1]}
    other = TfidfEncoder.from_state(config, changed)
    assert not np.array_equal(encoder.encode(plots)[0], other.encode(plots)[0])


def test_the_seed_fixes_the_features(plots):
    first, again = (TfidfEncoder(width=8, seed=1).fit(plots).encode(plots)[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_the_width_shrinks_to_what_the_texts_support():
    encoder = TfidfEncoder(width=50).fit(["a red house", "a blue house", "green"])
    assert encoder.width == 3
    assert encoder.encode(["house"])[0].shape == (1, 3)
    assert "support 3 features instead of 50" in encoder.notes_[0]
    one_word = TfidfEncoder().fit(["house"])
    assert one_word.encode(["house", "tent"])[1].tolist() == [True, False]


def test_rare_terms_are_left_out_of_many_texts():
    texts = ["common word"] * 25 + ["unheard tune"]
    encoder = TfidfEncoder(width=2).fit(texts)
    assert set(encoder.vectorizer_.vocabulary_) == {"common", "word", "common word"}
    assert encoder.encode(["unheard tune", "common"])[1].tolist() == [False, True]
    few = TfidfEncoder(width=2).fit(texts[-3:])
    assert "unheard" in few.vectorizer_.vocabulary_


def test_accents_and_case_do_not_matter():
    features, _ = TfidfEncoder(width=2).fit(["café noir", "plain tea"]).encode(["CAFE", "café"])
    np.testing.assert_array_equal(features[0], features[1])


@pytest.mark.parametrize("cells", [[], [None, "  "]])
def test_nothing_to_learn_from(cells):
    with pytest.raises(FeatureError, match="no text to learn from"):
        TfidfEncoder().fit(cells)


def test_texts_without_words():
    with pytest.raises(FeatureError, match="no usable words"):
        TfidfEncoder().fit(["!", "? a"])


def test_cells_that_are_no_text_are_named():
    with pytest.raises(FeatureError, match="Row 1 is bytes, not a text"):
        TfidfEncoder().fit(["a text", b"bytes"])


def test_encoding_before_fitting_is_refused():
    with pytest.raises(FeatureError, match="not fitted"):
        TfidfEncoder().encode(["a text"])
    with pytest.raises(FeatureError, match="not fitted"):
        TfidfEncoder().state()


@pytest.mark.parametrize("setting", ["width", "max_terms", "min_texts"])
def test_settings_out_of_range(setting):
    with pytest.raises(ConfigError, match=f"{setting} is 0; expected 1 or more"):
        TfidfEncoder(**{setting: 0})


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda config, arrays: config.pop("terms"), "terms"),
        (lambda config, arrays: arrays.pop("idf"), "idf"),
        (lambda config, arrays: config["terms"].pop(), "do not match"),
        (lambda config, arrays: config.update(width=3), "components are"),
    ],
)
def test_a_damaged_state_is_refused(plots, damage, named):
    config, arrays = TfidfEncoder(width=4).fit(plots).state()
    damage(config, arrays)
    with pytest.raises(FeatureError, match=named):
        TfidfEncoder.from_state(config, arrays)
