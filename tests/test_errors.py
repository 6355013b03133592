from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesfuse import errors
from bayesfuse.errors import BayesfuseError, CatalogError, did_you_mean, plain, unknown_option

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, BayesfuseError)
]
MISTAKES = [
    errors.UserError,
    errors.ConfigError,
    errors.CatalogError,
    errors.FeatureError,
    errors.RunFolderError,
    errors.LockedError,
    errors.MissingExtraError,
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_users_mistake_is_2_and_a_failure_is_1(kind: type[BayesfuseError]) -> None:
    assert kind.exit_code == (2 if kind in MISTAKES else 1)
    assert issubclass(kind, errors.UserError) == (kind in MISTAKES)
    assert kind.__doc__


def test_mistakes_are_value_errors_and_failures_are_not() -> None:
    # what scikit-learn's checks, and a caller who has never heard of us, look for
    assert all(issubclass(kind, ValueError) for kind in MISTAKES)
    assert issubclass(errors.TrainingError, RuntimeError)
    assert not issubclass(errors.TrainingError, ValueError)


def test_a_catalogue_says_all_that_is_wrong_with_it() -> None:
    error = CatalogError("movies.csv", ["no column id.", "no labels."])
    assert str(error) == "movies.csv: 2 problems found.\n  - no column id.\n  - no labels."
    assert (error.source, error.problems) == ("movies.csv", ("no column id.", "no labels."))
    assert str(CatalogError("movies.csv", ["x."])) == "movies.csv: 1 problem found.\n  - x."


def test_the_nearest_option_is_suggested_if_it_is_near() -> None:
    options = ["annealed", "meanfield", "trace"]
    assert did_you_mean("anealed", options) == ' Did you mean "annealed"?'
    assert did_you_mean("trase", iter(options)) == ' Did you mean "trace"?'
    assert did_you_mean("zebra", options) == ""
    assert did_you_mean("x", []) == ""


def test_an_unknown_option_says_got_expected_and_nearest() -> None:
    found = unknown_option("guide", "norml", {"normal": 1, "laplace": 2})
    assert found == (
        'Unknown guide "norml"; expected one of laplace, normal. Did you mean "normal"?'
    )
    assert unknown_option("guide", "zzz", ["a"]) == 'Unknown guide "zzz"; expected one of a.'


@given(option=st.text(min_size=1, max_size=12), others=st.lists(st.text(max_size=12), max_size=5))
def test_an_option_itself_is_always_nearest(option: str, others: list[str]) -> None:
    assert did_you_mean(option, [*others, option]) == f' Did you mean "{option}"?'


def test_a_message_does_not_steer_a_terminal() -> None:
    assert plain("Grün\t\n日本") == "Grün\t\n日本"
    assert plain("\x1b[2J\x9b\r\x00") == r"\x1b[2J\x9b\r\x00"
    assert plain("exe\u202egpj") == r"exe\u202egpj"
