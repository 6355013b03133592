"""Names as keys: two spellings of one name give one key, whatever their case, accents and spaces.

What counts are the letters, digits and symbols of a name, in NFKD and in one case:

- White space, punctuation and invisible characters are left out: `J. J. Abrams`, `J.J. Abrams` and
  `JJ Abrams` are one, and so are `宮崎 駿` and `宮崎駿`.
- Accents of Latin and Greek letters are left out, and so are the optional vowel points of Hebrew
  and Arabic. In other scripts a mark makes another letter or is a vowel, and stays: the й of
  Cyrillic, the が of Japanese, the vowels of Devanagari and Thai. Only ё, which most texts write
  as е, is read so.
- A letter which Unicode does not take apart is a letter of its own: ø is not o, ł is not l, æ is
  not ae; but ß is ss, as in upper case.
- A name of nothing but punctuation (the band `!!!`) keeps it. No script is written in another.

Two people of one name are one key; one person under two names is two.
"""

# ruff: noqa: RUF001, RUF002 - letters that look like others are what this file is about
from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable


class _Kept(dict[int, str | None]):
    """What becomes of each character: itself, or nothing; looked up once."""

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        category = unicodedata.category(character)
        is_point = any(first <= code <= last for first, last in _POINTS)
        dropped = category[0] in "PCZ" or category == "Sk" or (is_point and category == "Mn")
        self[code] = None if dropped else character
        return self[code]


_POINTS = ((0x0591, 0x05C7), (0x064B, 0x0652))  # Hebrew and Arabic, vowels and cantillation
# ё; modifier letters that are typed for an apostrophe; the Arabic stroke that stretches a word.
_LETTERS = str.maketrans({"ё": "е", **dict.fromkeys("ʹʻʼʽˈˊˋ\u0640", "")})
_KEPT = _Kept()
# In NFKD every Latin or Greek letter with an accent is below U+0400.
_ACCENTS = re.compile("(?<=[A-Za-z\u00aa-\u03ff])[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff]+")


def fold_name(name: str) -> str:
    """Return the key of a name; `""` if the name is blank.

    Args:
        name: The name as written.

    Returns:
        Its key. Names with the same key are taken for the same.

    Example:
        >>> [fold_name(name) for name in ("Émile O’Brien", "EMILE OBRIEN", "Gus Van Sant", "!!!")]
        ['emileobrien', 'emileobrien', 'gusvansant', '!!!']
        >>> fold_name("Андрей") == fold_name("Андреи")
        False
    """
    key = name.lower().translate(_KEPT) if name.isascii() else _fold(name)
    # Nothing but punctuation: as it is, but for white space and the width of its characters.
    return key or "".join(unicodedata.normalize("NFKC", name).casefold().split())


def fold_names(names: Iterable[str]) -> list[str]:
    """Return the key of each name.

    Each is folded anew: give every name once.
    """
    return [fold_name(name) for name in names]


def _fold(name: str) -> str:
    # Folding case can bring accents forth (İ), hence NFKD on both sides of it; ё comes apart.
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFKD", name).casefold())
    text = unicodedata.normalize("NFKD", folded.translate(_LETTERS)).translate(_KEPT)
    return unicodedata.normalize("NFC", _ACCENTS.sub("", text))
