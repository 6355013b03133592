"""The decision rule of a classifier, and the file of a run folder that keeps a decided one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesfuse.config import RUN_DECISIONS
from bayesfuse.data.whole_files import whole_file
from bayesfuse.errors import ConfigError, RunFolderError, unknown_option, write_error
from bayesfuse.estimator.files import read_json, write_json
from bayesfuse.evaluation.decisions import DecisionRule

if TYPE_CHECKING:
    from bayesfuse.estimator.classifier import FusionClassifier

FILE = "decision.json"
FORMAT = "bayesfuse-decision-1"


def rule_of(classifier: FusionClassifier, decision: str | None = None) -> DecisionRule:
    """Return the rule by which a classifier tags.

    Args:
        classifier: A fitted classifier.
        decision: `"half"`, `"f1"` or `"decided"`; if None, what was decided for the run (see
            `bayesfuse.estimator.deciding`), or else the classifier's own parameter `decision`.

    Raises:
        ConfigError: If nothing was decided, or there is no such rule.
    """
    if decision is None:
        decision = classifier.decision if classifier.rule_ is None else "decided"
    if decision not in RUN_DECISIONS:
        raise ConfigError(unknown_option("decision rule", decision, RUN_DECISIONS))
    if decision == "f1":
        return DecisionRule("f1", classifier.thresholds_)
    if decision == "half":
        return DecisionRule("half", np.full(len(classifier.label_names_), 0.5))
    if classifier.rule_ is None:
        raise ConfigError(
            "Nothing was decided for this run yet; `bayesfuse decide RUN --goal ...` does. Or "
            "choose half or f1."
        )
    return classifier.rule_


def write_rule(rule: DecisionRule, label_names: tuple[str, ...], folder: Path) -> Path:
    """Write a rule into a run folder, in place of an earlier one; whole or not at all.

    Raises:
        UserError: If the folder cannot be written into.
        StorageError: If the disk is full.
    """
    path = folder / FILE
    try:
        with whole_file(path) as partial:
            write_json(partial, {"format": FORMAT, "labels": list(label_names), **rule.to_dict()})
    except OSError as error:
        raise write_error(path, error, "Make room, or copy the run to where you may write.") from (
            error
        )
    return path


def read_rule(label_names: tuple[str, ...], folder: Path) -> DecisionRule | None:
    """Return the rule that a run folder keeps; None if there is none.

    Raises:
        RunFolderError: If it cannot be read, or is of other labels or another format.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    told = read_json(path)
    advice = "Decide again with `bayesfuse decide`, or remove the file."
    if told.get("format") != FORMAT:
        raise RunFolderError(
            f'{path} has the format "{told.get("format")}"; expected "{FORMAT}". {advice}'
        )
    if told.get("labels") != list(label_names):
        raise RunFolderError(f"{path} is of other labels than the run's. {advice}")
    try:
        rule = DecisionRule.from_dict(told)
        if rule.thresholds is not None and len(rule.thresholds) != len(label_names):
            raise ValueError(f"{len(rule.thresholds)} thresholds")
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise RunFolderError(f"{path} is not complete ({error!r}). {advice}") from None
    return rule
