"""The errors of bayesfuse: every message says what, got, expected, and what to do.

`UserError` and its kinds are a user's mistake (the command line exits with 2); every other
`BayesfuseError` is a failure (exit code 1).
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable, Sequence

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line break, and those that turn the direction of text."""


class BayesfuseError(Exception):
    """Anything that bayesfuse raises on purpose."""

    exit_code = 1


class UserError(BayesfuseError, ValueError):
    """Something in the input or in the options can be mended by the user."""

    exit_code = 2


class ConfigError(UserError):
    """A setting is unknown, of the wrong type or out of range."""


class CatalogError(UserError):
    """A catalogue has mistakes; all that were found are in `problems`.

    Args:
        source: The file or folder that was read.
        problems: One sentence a mistake, each saying what to do.
    """

    def __init__(self, source: object, problems: Sequence[str]) -> None:
        self.source = str(source)
        self.problems = tuple(problems)
        count = len(self.problems)
        head = f"{self.source}: {count} problem{'s' if count != 1 else ''} found."
        super().__init__("\n".join([head, *(f"  - {problem}" for problem in self.problems)]))


class FeatureError(UserError):
    """An array of features does not fit: its shape, its dtype or its values."""


class RunFolderError(UserError):
    """A run folder is missing, incomplete, truncated or already there."""


class LockedError(UserError):
    """Somebody else is writing there; the message says who, and since when."""


class MissingExtraError(UserError):
    """A feature needs a package that is not installed; the message names the extra."""


class StorageError(BayesfuseError):
    """A file cannot be written because the disk is full or failing; nothing was overwritten."""


class TrainingError(BayesfuseError, RuntimeError):
    """Training cannot go on: for example, a loss that is not finite."""


def write_error(what: object, error: Exception, advice: str) -> BayesfuseError:
    """Return the error for something that could not be written.

    Args:
        what: What was to be written.
        error: What the operating system, or a library in its name, said.
        advice: What to do.

    Returns:
        A `StorageError` if the disk is full or failing; a `UserError` for what the user can mend,
        such as a folder that is not theirs to write into.

    Example:
        >>> write_error("run", OSError(28, "No space left on device"), "Make room.")
        StorageError('Cannot write run: No space left on device. Make room.')
    """
    code = getattr(error, "errno", None)
    reason = getattr(error, "strerror", None) or str(error)
    full = code in {errno.ENOSPC, errno.EDQUOT, errno.EIO} or "No space left" in reason
    kind = StorageError if full else UserError
    return kind(f"Cannot write {what}: {reason}. {advice}")


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Return `' Did you mean "gmu"?'` for the option nearest to `word`, or an empty string.

    Example:
        >>> did_you_mean("gum", ["gmu", "concat"])
        ' Did you mean "gmu"?'
        >>> did_you_mean("zzz", ["gmu", "concat"])
        ''
    """
    nearest = difflib.get_close_matches(word, list(options), n=1, cutoff=0.6)
    return f' Did you mean "{nearest[0]}"?' if nearest else ""


def unknown_option(what: str, got: str, options: Iterable[str]) -> str:
    """Return the message for a name that is none of `options`.

    Example:
        >>> unknown_option("fusion rule", "gum", ["gmu", "concat"])
        'Unknown fusion rule "gum"; expected one of concat, gmu. Did you mean "gmu"?'
    """
    names = sorted(options)
    return f'Unknown {what} "{got}"; expected one of {", ".join(names)}.{did_you_mean(got, names)}'


def plain(message: str) -> str:
    r"""Return a message in which what would steer a terminal is spelt out, as in `\x1b`.

    Names and cells of a catalogue come into messages, and nobody knows who wrote them.

    Example:
        >>> plain("no column \x1b]0;owned\x07")
        'no column \\x1b]0;owned\\x07'
    """
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], message)
