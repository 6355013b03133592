"""The words of the embedded catalogue: label names, vocabularies, stories, people and titles.

Nothing here is random: `bayesfuse.data.demo_process` draws the indices, and `tell` turns them
into text. The words themselves are in `demo_words.toml`.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

_SOURCE = tomllib.loads(Path(__file__).with_name("demo_words.toml").read_text(encoding="utf-8"))

KINDS: tuple[str, ...] = tuple(_SOURCE["slots"])
"""The kinds of slots in a story, such as `place` and `deed`."""

LABEL_NAMES: tuple[str, ...] = tuple(_SOURCE["slots"][KINDS[0]])

VOCABULARY: dict[str, tuple[tuple[str, ...], ...]] = {
    kind: tuple(tuple(lists[label]) for label in LABEL_NAMES)
    for kind, lists in _SOURCE["slots"].items()
}
"""Kind to the words of every label; a word may belong to several labels."""

WORDS: dict[str, tuple[str, ...]] = {
    kind: tuple(dict.fromkeys(itertools.chain.from_iterable(lists)))
    for kind, lists in VOCABULARY.items()
}
"""Kind to its words, each once."""

LEXICON: tuple[str, ...] = tuple(itertools.chain.from_iterable(WORDS[kind] for kind in KINDS))
"""All words of all kinds, kind after kind; a word is spoken of by its place here."""

STORIES: tuple[str, ...] = tuple(
    map(" ".join, itertools.product(_SOURCE["openings"], _SOURCE["middles"], _SOURCE["endings"]))
)
"""Every opening with every middle and every ending; `{kind}` is a slot."""

STORY_SLOTS: tuple[tuple[str, ...], ...] = tuple(
    tuple(re.findall(r"{(\w+)}", story)) for story in STORIES
)
"""The kinds of the slots of every story, in the order of the text."""

PEOPLE: tuple[str, ...] = tuple(
    f"{first} {last}"
    for last, first in itertools.product(_SOURCE["last_names"], _SOURCE["first_names"])
)

TITLE_FIRST: tuple[str, ...] = tuple(_SOURCE["title_first"])
TITLE_SECOND: tuple[str, ...] = tuple(_SOURCE["title_second"])


def tell(story: str, words: Sequence[str]) -> str:
    """Fill the slots of a story and mend its articles and capitals.

    Args:
        story: One of `STORIES`.
        words: A word for every slot, in the order of the text.

    Returns:
        The plot, three sentences.

    Example:
        >>> tell("{place}, a {role} receives a {thing}.", ["in Oslo", "android", "map"])
        'In Oslo, an android receives a map.'
    """
    filled = re.sub(r"{\w+}", "{}", story).format(*words)
    with_articles = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", filled)
    return re.sub(r"(?:^|(?<=\. ))[a-z]", lambda match: match.group().upper(), with_articles)
