from __future__ import annotations

import pytest

from bayesfuse.data.findings import Findings, first_few
from bayesfuse.errors import CatalogError, FeatureError


def test_problems_are_gathered_once_each_and_raised_together() -> None:
    findings = Findings()
    findings.raise_problems("nowhere")
    with findings.gathering():
        raise CatalogError("a.csv", ["one", "two"])
    with findings.gathering():
        raise FeatureError("three")
    findings.problem("two")
    findings.warn("by the way")
    with pytest.raises(CatalogError) as caught:
        findings.raise_problems("here")
    assert caught.value.problems == ("one", "two", "three")
    assert str(caught.value).startswith("here: 3 problems found.\n  - one\n")
    assert findings.warnings == ["by the way"]


def test_other_errors_are_not_gathered() -> None:
    with pytest.raises(KeyError), Findings().gathering():
        raise KeyError("bug")


def test_the_first_few_are_shown_and_the_rest_counted() -> None:
    assert first_few([1, 2]) == "1, 2"
    assert first_few([1, 2, 3, 4, 5], num_shown=1) == "1 and 4 more"
    assert first_few([]) == ""
