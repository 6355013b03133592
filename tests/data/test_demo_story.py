"""The words of the demo catalogue, and that a plot gives its evidence away."""

from __future__ import annotations

import re

import numpy as np

from bayesfuse.data.demo_process import NONE, DemoProcess
from bayesfuse.data.demo_story import (
    KINDS,
    LABEL_NAMES,
    LEXICON,
    PEOPLE,
    STORIES,
    STORY_SLOTS,
    VOCABULARY,
    WORDS,
    tell,
)


def test_stories_have_four_to_nine_slots():
    assert {len(slots) for slots in STORY_SLOTS} <= set(range(4, 10))
    assert {kind for slots in STORY_SLOTS for kind in slots} == set(KINDS)


def test_words_and_people_are_distinct():
    assert len(set(LEXICON)) == len(LEXICON) > 100
    assert len(set(PEOPLE)) == len(PEOPLE) == 400
    for kind, lists in VOCABULARY.items():
        assert [len(words) for words in lists] == [6] * len(LABEL_NAMES), kind


def test_many_words_belong_to_two_labels():
    for kind, lists in VOCABULARY.items():
        owners = [sum(word in words for words in lists) for word in WORDS[kind]]
        assert np.mean(np.array(owners) > 1) > 0.25, kind


def test_no_word_begins_with_a_vowel_spoken_as_a_consonant():
    assert not [word for word in LEXICON if re.match(r"u|eu|one\b|hour|honest", word)]


def test_articles_and_capitals():
    assert tell("A {mood} {role} wakes up {place}.", ["exiled", "spy", "in Rome"]) == (
        "An exiled spy wakes up in Rome."
    )
    assert tell("{place}. {place}.", ["at sea", "on land"]) == "At sea. On land."


def test_a_plot_determines_its_story_and_its_words():
    """The likelihood is that of the words; this shows that the text says which they were."""
    patterns = []
    for story in STORIES:
        pattern = re.escape(story).replace(r"\{", "{").replace(r"\}", "}")
        for kind in KINDS:
            pattern = pattern.replace(f"{{{kind}}}", f"({'|'.join(map(re.escape, WORDS[kind]))})")
        pattern = re.sub(r"\b([aA])\\ (?=\()", r"\1n?\\ ", pattern)
        patterns.append(re.compile(pattern, re.IGNORECASE))
    sample = DemoProcess(missing_plot=0).sample(100, np.random.default_rng(0))
    for story, row in zip(sample.stories, sample.evidence.words, strict=True):
        words = [LEXICON[word] for word in row if word != NONE]
        plot = tell(STORIES[story], words)
        found = [(i, p.fullmatch(plot)) for i, p in enumerate(patterns) if p.fullmatch(plot)]
        assert [i for i, _ in found] == [story]
        assert [w.lower() for w in found[0][1].groups()] == [w.lower() for w in words]
