"""What reading a catalogue has found so far: mistakes to report together, and warnings to keep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bayesfuse.errors import CatalogError, FeatureError


@dataclass
class Findings:
    """Problems and warnings, in the order they were found.

    Example:
        >>> findings = Findings()
        >>> with findings.gathering():
        ...     raise FeatureError("text: has no column.")
        >>> findings.problems
        ['text: has no column.']
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def problem(self, message: str) -> None:
        """Add a mistake that the user has to mend."""
        if message not in self.problems:
            self.problems.append(message)

    def warn(self, message: str) -> None:
        """Add something that the user should know."""
        self.warnings.append(message)

    def take(self, error: CatalogError | FeatureError) -> None:
        """Add what an error says."""
        messages = error.problems if isinstance(error, CatalogError) else (str(error),)
        for message in messages:
            self.problem(message)

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """Turn a `CatalogError` or a `FeatureError` of the block into problems."""
        try:
            yield
        except (CatalogError, FeatureError) as error:
            self.take(error)

    def raise_problems(self, source: object) -> None:
        """Raise everything found so far.

        Args:
            source: The file or folder that was read.

        Raises:
            CatalogError: If there is a problem.
        """
        if self.problems:
            raise CatalogError(source, self.problems)


def first_few(items: Sequence[object], num_shown: int = 3) -> str:
    """Return the first few items in words.

    Example:
        >>> first_few(["a", "b", "c", "d", "e"])
        'a, b, c and 2 more'
    """
    shown = ", ".join(str(item) for item in items[:num_shown])
    rest = len(items) - num_shown
    return f"{shown} and {rest} more" if rest > 0 else shown
