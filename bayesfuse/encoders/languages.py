"""Finding texts that are in another language than those that are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bayesfuse.errors import ConfigError, MissingExtraError, did_you_mean

_NO_LANGUAGE = "zxx"  # what py3langid calls numbers, addresses and the like
_SHORTEST = 20  # bytes of a text that can be judged: three words of English, six Chinese characters
_LEAST = 0.7  # probability of the other language
_MOST = 0.02  # probability of all the languages that are wanted, together


class LanguageFilter:
    """Says which texts are surely in another language.

    A text is, if another language has a probability of 0.7 or more, and the wanted ones have 0.02
    or less together. Texts of fewer than 20 bytes (in UTF-8) are not judged, nor are those without
    a language, such as numbers.

    Args:
        codes: The wanted languages, as ISO 639 codes such as `en`.

    Raises:
        ConfigError: If there are none, or the detector does not know one.
        MissingExtraError: If py3langid is not installed.

    Example:
        >>> wanted = LanguageFilter(["en"])
        >>> wanted.is_other("A young man falls in love."), wanted.is_other("Amour")
        (False, False)
        >>> wanted.is_other("Un jeune homme tombe amoureux d'une fille de la ville.")
        True

    Reference: Lui and Baldwin, 2012, "langid.py: an off-the-shelf language identification tool".
    """

    def __init__(self, codes: Sequence[str]) -> None:
        self.codes = tuple(codes)
        self._detector = _load_detector()
        known = sorted(set(self._detector.labels) - {_NO_LANGUAGE})
        unknown = [code for code in self.codes if code not in known]
        if unknown or not self.codes:
            named = ", ".join(f'"{code}"{did_you_mean(code, known)}' for code in unknown) or "none"
            raise ConfigError(
                f"languages has {named}; expected ISO 639 codes, such as en,de, out of "
                f"{', '.join(known)}."
            )

    def is_other(self, text: str) -> bool:
        """Return whether a text is surely in none of the wanted languages."""
        if len(text.encode("utf-8", "surrogatepass")) < _SHORTEST:
            return False
        ranked = self._detector.rank(text)
        wanted = (*self.codes, _NO_LANGUAGE)
        _, probability = ranked[0]
        return bool(probability >= _LEAST and sum(p for c, p in ranked if c in wanted) <= _MOST)


def _load_detector() -> Any:
    """Return a detector of our own; py3langid's module-level one is every caller's."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise MissingExtraError(
            "languages needs py3langid, which is not installed. Try: pip install 'bayesfuse[text]'"
        ) from error
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
