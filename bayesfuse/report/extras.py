"""What to say when a package of the extra `report` is not installed."""

from __future__ import annotations

from bayesfuse.errors import MissingExtraError


def missing_extra(package: str) -> MissingExtraError:
    """Return the error which says that a report needs `package`, and how to get it.

    Args:
        package: The name that could not be imported, such as `matplotlib`.

    Returns:
        The error, for the caller to raise `from` the `ImportError`.

    Example:
        >>> print(missing_extra("jinja2"))
        A report needs jinja2, which is not installed. Try: pip install 'bayesfuse[report]'
    """
    return MissingExtraError(
        f"A report needs {package}, which is not installed. Try: pip install 'bayesfuse[report]'"
    )
