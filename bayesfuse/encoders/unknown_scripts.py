"""Finding texts in a script that a tokenizer does not know, whose features would mean nothing.

A tokenizer that has never learned from a script has either no token for its characters, or one for
each letter. One that has learned from it has tokens of several letters: what is called fertility,
the tokens a word, is 1 to 2 for languages that it knows well and seldom 3 for the others, that is
0.2 to 0.6 tokens a letter; Polish under an English tokenizer has 0.5. Letter by letter it is 1.

Reference: Rust et al., 2021, "How good is your tokenizer? On the monolingual performance of
multilingual language models" (fertility; there by word, here by letter).
"""

from __future__ import annotations

import re
import string
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from bayesfuse.encoders.windows import Tokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LETTER_BY_LETTER = 0.9
"""Tokens a letter from which on a word is not read as one."""

_SHORTEST = 3  # letters of a word that can tell; an initial is always one token a letter
_LONG_TOKENS = 0.1  # share of tokens of three letters that a tokenizer of words or their parts has

_ASCII_LETTERS = string.ascii_letters.encode()

# Chinese characters and Japanese kana, of which one is a word or nearly so
_LOGOGRAMS = re.compile(
    "[\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff]"
)


class ScriptCheck:
    """Says which texts a tokenizer cannot read for the most part.

    A word of three letters or more is unread if one of its tokens is the unknown one, or if it has
    0.9 tokens a letter or more. A text is unread if more than half of its letters are in unread
    words, or if more than half of its tokens are unknown. Chinese characters and kana count as
    letters, in no word: only unknown tokens speak against them. A tokenizer that goes by letters
    in any script, as some do by design, is not held to the letters.

    Args:
        tokenizer: The tokenizer; its truncation is switched off when a word is looked at.
        unknown: Its token of what it does not know, if it has one.
    """

    def __init__(self, tokenizer: Tokenizer, unknown: int | None) -> None:
        self.tokenizer, self.unknown = tokenizer, unknown
        vocabulary = tokenizer.get_vocab()
        long = sum(1 for token in vocabulary if _count_letters(token) >= _SHORTEST)
        self._by_letter = long < _LONG_TOKENS * len(vocabulary)

    def is_unread(self, text: str, tokens: Tokens, num_special: int) -> bool:
        """Return whether a text is unread.

        Args:
            text: The text.
            tokens: Its tokens, or those of all of its windows.
            num_special: How many of them are special ones, which every text has.
        """
        own = len(tokens) - num_special
        num_unknown = 0 if self.unknown is None else int(np.count_nonzero(tokens == self.unknown))
        if num_unknown > own / 2:
            return True
        # No text with fewer tokens than this can be unread; few texts get further.
        if not num_unknown and own < LETTER_BY_LETTER / 2 * _count_plain_letters(text):
            return False
        return not self._by_letter and self.unread_share(text) > 0.5

    def unread_share(self, text: str) -> float:
        """Return the share of a text's letters that are in unread words."""
        words = _words().findall(_LOGOGRAMS.sub(" ", text))
        letters = _count_letters(text)
        if not words:
            return 0.0
        self.tokenizer.no_truncation()
        unread = 0
        for word, found in zip(
            words, self.tokenizer.encode_batch(words, add_special_tokens=False), strict=True
        ):
            own = _count_letters(word)
            if self.unknown in found.ids or len(found.ids) >= LETTER_BY_LETTER * own:
                unread += own
        return unread / max(letters, 1)


def _count_letters(text: str) -> int:
    """Count letters and vowel signs; a Korean syllable has two or three."""
    kinds = map(unicodedata.category, unicodedata.normalize("NFD", text))
    return sum(1 for kind in kinds if kind[0] == "L" or kind == "Mc")


def _count_plain_letters(text: str) -> int:
    """Count letters as they stand, never more than `_count_letters`, and much faster."""
    if text.isascii():
        return len(text) - len(text.encode().translate(None, _ASCII_LETTERS))
    return sum(map(str.isalpha, text))


@cache
def _words() -> re.Pattern[str]:
    """Return the pattern of words: letters and the marks that stand with them."""
    marks = (c for c in map(chr, range(0x300, 0x20000)) if unicodedata.category(c)[0] == "M")
    return re.compile(f"(?:[^\\W\\d_]|[{''.join(marks)}]){{{_SHORTEST},}}")
