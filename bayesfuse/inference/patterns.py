"""Settings by pattern of names: a pattern that fits nothing is a mistake, not a wish."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Mapping

from bayesfuse.errors import ConfigError, did_you_mean


def check_patterns(
    given: object, names: Collection[str], what: str, known: Collection[str] = ()
) -> None:
    """Raise if a setting is given by pattern and a pattern matches no name.

    Args:
        given: The setting; only a mapping from patterns is looked at.
        names: What there is to match.
        what: What the setting is called in the message.
        known: Patterns that need not match, such as those of a default.

    Raises:
        ConfigError: With every pattern that matches nothing.

    Example:
        >>> check_patterns({"imge": 3, "*": 6}, ["text", "image"], "feature norm")
        Traceback (most recent call last):
            ...
        bayesfuse.errors.ConfigError: The feature norm is given for "imge", which matches none of \
text, image. Did you mean "image"?
    """
    if not isinstance(given, Mapping):
        return
    unused = [
        pattern
        for pattern in given
        if pattern not in known and not any(fnmatch.fnmatchcase(name, pattern) for name in names)
    ]
    if unused:
        listed = ", ".join(f'"{pattern}"' for pattern in unused)
        raise ConfigError(
            f"The {what} is given for {listed}, which matches none of {', '.join(names)}."
            f"{did_you_mean(unused[0], names)}"
        )
