"""From a goal to the rule by which a run tags, chosen on labelled items."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesfuse.config import DecideConfig
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.catalogs import DEMO
from bayesfuse.estimator.costs import read_costs
from bayesfuse.estimator.run_folder import read_environment
from bayesfuse.estimator.workflow import Run, known_labels
from bayesfuse.evaluation.achieved import Achieved, achieved
from bayesfuse.evaluation.arrays import Bools, Floats
from bayesfuse.evaluation.decisions import DecisionRule, cost_thresholds
from bayesfuse.evaluation.guarantees import Guarantee, guarantee
from bayesfuse.evaluation.text import aligned, json_safe
from bayesfuse.evaluation.thresholds import best_threshold, best_thresholds

Costs = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Decided:
    """A rule, and what it achieves.

    Attributes:
        rule: The rule; not yet in the run folder.
        achieved: What its tags achieve.
        on_others: Whether on items that did not choose it.
        guarantees: Of each label, or one for all; empty without a guarantee.
        label_names: The labels.
        warnings: What the user should know before relying on it.
    """

    rule: DecisionRule
    achieved: Achieved
    on_others: bool
    guarantees: tuple[Guarantee, ...]
    label_names: tuple[str, ...]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers and texts, for JSON."""
        return {
            **self.rule.to_dict(),
            "labels": list(self.label_names),
            "achieved": self.achieved.to_dict(),
            "on_others": self.on_others,
            "guarantees": json_safe([asdict(one) for one in self.guarantees]),
            "warnings": list(self.warnings),
        }

    def __str__(self) -> str:
        """Return the thresholds and what they achieve, as aligned text."""
        parts = []
        if any(one.kept for one in self.guarantees):
            parts.append(_promise(self.rule))
        if self.rule.thresholds is not None:
            cuts = self.rule.thresholds.tolist()
            if len(set(cuts)) == 1:
                parts.append(f"threshold of all labels: {_cut(cuts[0])}")
            else:
                rows = [[n, _cut(c)] for n, c in zip(self.label_names, cuts, strict=True)]
                parts.append(aligned(["label", "threshold"], rows))
        whose = "other items" if self.on_others else "the items that chose it"
        parts.append(f"on {self.achieved.num_items:,} items, {whose}\n\n{self.achieved}")
        return "\n\n".join(parts)


def decide_run(
    path: Path,
    run: Run,
    settings: DecideConfig,
    *,
    split: str,
    draws: int | None = None,
    seed: int | None = None,
) -> Decided:
    """Choose the rule for a goal on the labelled items of a run.

    Args:
        path: The run folder.
        run: The run, its catalogue and the labelled rows of the split.
        settings: The goal and what belongs to it.
        split: What the rows are called.
        draws: Posterior draws; the run's own if None.
        seed: Their seed, and that of the items held out; the run's own if None.

    Raises:
        ConfigError: If the settings contradict each other, or a guarantee is to come from items
            that the network was trained on.
        UserError: If there are too few items.
        MissingExtraError: If MAPIE is needed and not installed.
    """
    goal = settings.resolved_goal()
    classifier, rows = run.classifier, run.rows
    names = classifier.label_names_
    warnings = _about_items(path, run, split, guaranteed=goal in {"precision", "recall"})
    costs = _costs(settings, names) if goal == "cost" else None
    if settings.top_k is not None and settings.top_k > len(names):
        raise ConfigError(
            f"--top-k is {settings.top_k}, and the run has {len(names)} labels; choose at most as "
            "many."
        )
    labels = known_labels(classifier, run.catalog)[rows].astype(np.bool_)
    seed = run.config.seed if seed is None else seed
    mean = _mean(run, draws, seed)
    chose, tell = _halves(len(rows), settings.hold_out, seed)
    guarantees = _guarantees(mean[chose], labels[chose], settings, goal)
    if guarantees:
        warnings += _unkept(guarantees, names, settings, goal, len(chose))
    about = {
        **{name: value for name, value in settings.model_dump().items() if name in _TOLD[goal]},
        "catalog": run.catalog.source,
        "split": split,
        "items": len(chose),
        "draws": run.config.draws if draws is None else draws,
        "seed": seed,
        "without": list(run.without),
    }
    if goal == "top-k":
        rule = DecisionRule(goal, top_k=settings.top_k, about=about)
    else:
        cuts = _thresholds(goal, mean[chose], labels[chose], costs, guarantees)
        rule = DecisionRule(goal, cuts, about=about)
    found = achieved(rule(mean[tell]), labels[tell], names, costs, seed=seed)
    on_others = settings.hold_out > 0
    return Decided(rule, found, on_others, guarantees, names, tuple(warnings))


def achieved_by(
    rule: DecisionRule,
    run: Run,
    *,
    draws: int | None = None,
    seed: int | None = None,
    kind: str = "joint",
) -> Achieved:
    """Return what the tags of a rule achieve on the labelled rows of a run.

    Args:
        rule: Such as that of `bayesfuse.estimator.rules.rule_of`.
        run: The run, its catalogue and labelled rows.
        draws: Posterior draws; the run's own if None.
        seed: Their seed, and that of the intervals; the run's own if None.
        kind: See `bayesfuse.FusionClassifier.sample_proba`.
    """
    names = run.classifier.label_names_
    labels = known_labels(run.classifier, run.catalog)[run.rows]
    seed = run.config.seed if seed is None else seed
    return achieved(rule(_mean(run, draws, seed, kind)), labels, names, seed=seed)


_TOLD = {
    **dict.fromkeys(("f1", "half", "micro-f1"), ()),
    "cost": ("false_positive", "false_negative", "costs"),
    "top-k": ("top_k",),
    "precision": ("min_precision", "guarantee", "confidence"),
    "recall": ("min_recall", "guarantee", "confidence"),
}
"""The settings that a goal goes by, for the file."""


def _mean(run: Run, draws: int | None, seed: int, kind: str = "joint") -> NDArray[np.float64]:
    """Return the probability of every label, the mean over draws, `items x labels`."""
    features = run.catalog.features.take(run.rows)
    chunks = run.classifier.iter_proba(features, draws, seed, kind=kind)
    return np.concatenate([chunk.mean(axis=0, dtype=np.float64) for chunk in chunks])


def _thresholds(
    goal: str, mean: Floats, labels: Bools, costs: Costs | None, guarantees: Sequence[Guarantee]
) -> NDArray[np.float64]:
    num_labels = mean.shape[1]
    if goal == "f1":
        return best_thresholds(mean, labels)
    if goal == "micro-f1":
        return np.full(num_labels, best_threshold(mean, labels))
    if goal == "half":
        return np.full(num_labels, 0.5)
    if costs is not None:
        return cost_thresholds(*costs)
    return np.broadcast_to([one.threshold for one in guarantees], (num_labels,)).copy()


def _costs(settings: DecideConfig, names: tuple[str, ...]) -> Costs:
    given = (settings.false_positive, settings.false_negative)
    both = [1.0 if cost is None else cost for cost in given]
    if settings.costs is not None:
        others = None if given == (None, None) else (both[0], both[1])
        return read_costs(Path(settings.costs), names, others)
    return np.full(len(names), both[0]), np.full(len(names), both[1])


def _halves(
    num_items: int, hold_out: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the items that choose and those that tell; the same ones if none is held out."""
    every = np.arange(num_items)
    if hold_out == 0:
        return every, every
    aside = round(hold_out * num_items)
    if not 0 < aside < num_items:
        raise ConfigError(
            f"--hold-out {hold_out:g} of {num_items} items leaves {num_items - aside} to choose "
            f"and {aside} to tell; expected at least 1 of each."
        )
    order = np.random.default_rng([seed, 6]).permutation(num_items)
    return np.sort(order[aside:]), np.sort(order[:aside])


def _guarantees(
    mean: Floats, labels: Bools, settings: DecideConfig, goal: str
) -> tuple[Guarantee, ...]:
    level = {"precision": settings.min_precision, "recall": settings.min_recall}.get(goal)
    if level is None:
        return ()
    columns = [slice(None)]
    if settings.guarantee == "label":
        columns = [slice(c, c + 1) for c in range(mean.shape[1])]
    return tuple(
        guarantee(mean[:, one], labels[:, one], goal, level, settings.confidence) for one in columns
    )


def _unkept(
    guarantees: Sequence[Guarantee],
    names: tuple[str, ...],
    settings: DecideConfig,
    goal: str,
    num_items: int,
) -> list[str]:
    """Say of what nothing could be guaranteed, what happens, and what would help."""
    level = settings.min_precision if goal == "precision" else settings.min_recall
    when = "never" if goal == "precision" else "always"
    whose: Sequence[str] = names
    if settings.guarantee == "pooled":
        whose = ("all labels together",)
    left = [(name, one.needed) for name, one in zip(whose, guarantees, strict=True) if not one.kept]
    few = [f"{name} about {needed:,}" for name, needed in left if needed is not None]
    hopeless = [name for name, needed in left if needed is None]
    found = []
    for told, why in (
        (few, f"{num_items:,} items are too few. So many like these would do"),
        (hopeless, f"no threshold reaches it on the {num_items:,} items at hand"),
    ):
        if told:
            found.append(
                f"A {goal} of {level:g} cannot be guaranteed with confidence "
                f"{settings.confidence:g}, since {why}: {', '.join(told)}. What cannot be "
                f"guaranteed is {when} tagged."
            )
    return found


def _promise(rule: DecisionRule) -> str:
    """Say what is guaranteed, of which items, and how surely."""
    about, of = rule.about, "tag" if rule.goal == "precision" else "label"
    whose = f"each label by itself, of items with the {of}"
    if about["guarantee"] == "pooled":
        whose = f"on average over items with a {of}"
    if rule.thresholds is not None and not 0 < rule.thresholds.min() <= rule.thresholds.max() <= 1:
        whose += " (but for the labels that are warned about)"
    level, surely = about[f"min_{rule.goal}"], about["confidence"]
    return f"{rule.goal} of at least {level:g}, {whose}: guaranteed with confidence {surely:g}"


def _about_items(path: Path, run: Run, split: str, *, guaranteed: bool) -> list[str]:
    """Say what else the items were used for in the fit, as far as is known.

    Raises:
        ConfigError: If they trained the network, and a guarantee is asked for.
    """
    fitted_on, source = read_environment(path).get("catalog"), run.catalog.source
    if fitted_on != (source if source == DEMO else os.path.abspath(source)):
        return []
    if split in {"train", "all"} and guaranteed:
        raise ConfigError(
            f"The network was trained on items of the split {split}, of which it knows the labels "
            "by heart: nothing can be guaranteed by them. Choose --split val, or better items that "
            "the fit has not seen."
        )
    if split in {"train", "all"}:
        return ["The network was trained on some of these items: thresholds will be off on others."]
    if split == "val" and guaranteed:
        too = "" if run.classifier.recalibration_ is None else " and recalibrated it"
        return [
            f"These items chose the epoch of the fit{too}, too, so that the guarantee is not "
            "exact. With items that the fit has not seen it is: name a catalogue of them after the "
            "run."
        ]
    return []


def _cut(cut: float) -> str:
    return "never" if math.isinf(cut) else f"{cut:.4f}"
