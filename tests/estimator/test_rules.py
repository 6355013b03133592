"""Which rule a classifier tags by, and the file that keeps it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bayesfuse.errors import ConfigError, RunFolderError
from bayesfuse.estimator.rules import FILE, read_rule, rule_of, write_rule
from bayesfuse.evaluation.decisions import NEVER, DecisionRule

NAMES = ("Drama", "Horror")
RULE = DecisionRule("precision", np.array([0.7, NEVER]), about={"min_precision": 0.9})


def classifier(decision: str = "half", rule: DecisionRule | None = None) -> Any:
    """Return what `rule_of` looks at of a fitted classifier."""
    cuts = np.array([0.3, 0.6])
    return SimpleNamespace(decision=decision, rule_=rule, thresholds_=cuts, label_names_=NAMES)


def test_what_was_decided_comes_before_the_fits_own() -> None:
    p = np.array([[0.4, 0.55]])
    assert rule_of(classifier())(p).tolist() == [[False, True]]
    assert rule_of(classifier("f1"))(p).tolist() == [[True, False]]
    assert rule_of(classifier("f1", RULE)) is RULE
    assert rule_of(classifier("f1", RULE), "decided") is RULE
    assert rule_of(classifier("f1", RULE), "half")(p).tolist() == [[False, True]]


def test_what_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError, match="Nothing was decided for this run yet"):
        rule_of(classifier(), "decided")
    with pytest.raises(ConfigError, match='Did you mean "decided"'):
        rule_of(classifier(), "decide")


def test_the_file_comes_back_and_a_later_one_takes_its_place(tmp_path: Path) -> None:
    assert read_rule(NAMES, tmp_path) is None
    for rule in (DecisionRule("top-k", top_k=1), RULE):
        write_rule(rule, NAMES, tmp_path)
        again = read_rule(NAMES, tmp_path)
        assert again is not None
        assert again.to_dict() == rule.to_dict()
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "bayesfuse-decision-9"}, 'has the format "bayesfuse-decision-9"; expected'),
        ({"labels": ["Drama", "War"]}, "is of other labels"),
        ({"thresholds": [0.5]}, "is not complete"),
        ({"thresholds": [0.5, 1.5]}, "is not complete"),
        ({"thresholds": None}, "is not complete"),
        ({"top_k": "two"}, "is not complete"),
        ({"goal": ...}, "is not complete"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = write_rule(RULE, NAMES, tmp_path)
    told = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({name: v for name, v in told.items() if v is not ...}))
    with pytest.raises(RunFolderError, match=said):
        read_rule(NAMES, tmp_path)
