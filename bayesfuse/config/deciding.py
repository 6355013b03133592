"""What `bayesfuse decide` can be told."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import Field

from bayesfuse.config.base import one_of
from bayesfuse.config.commands import PredictConfig
from bayesfuse.errors import ConfigError

GOALS = ("cost", "f1", "half", "micro-f1", "precision", "recall", "top-k")
SCOPES = ("label", "pooled")

_FLAGS = {
    "cost": ("false_positive", "false_negative", "costs"),
    "top-k": ("top_k",),
    "precision": ("min_precision",),
    "recall": ("min_recall",),
}
"""Goals that flags of their own imply; these goals need one of them."""


class DecideConfig(PredictConfig):
    """Everything that `bayesfuse decide` can be told besides paths."""

    goal: Annotated[str, one_of("goal", GOALS)] | None = Field(
        None,
        description="f1: the best F1 of each label; micro-f1: the best F1 of all tags, one "
        "threshold for all labels; half: one half; cost, top-k, precision, recall: as their own "
        "flags say, which imply them.",
    )
    false_positive: float | None = Field(None, ge=0, description="Cost of a wrong tag; else 1.")
    false_negative: float | None = Field(None, ge=0, description="Cost of a missed label; else 1.")
    costs: str | None = Field(
        None,
        description="CSV or TOML file of both costs by label; * stands for all others.",
    )
    top_k: int | None = Field(None, ge=1, description="Exactly so many tags an item.")
    min_precision: float | None = Field(
        None, gt=0, lt=1, description="Precision to guarantee, with as many tags as that allows."
    )
    min_recall: float | None = Field(
        None, gt=0, lt=1, description="Recall to guarantee, with as few tags as that allows."
    )
    guarantee: Annotated[str, one_of("guarantee", SCOPES)] = Field(
        "pooled",
        description="pooled: of an item's tags, on average over items, one threshold for all "
        "labels; label: of each label by itself, each with its own threshold.",
    )
    confidence: float = Field(
        0.9, gt=0, lt=1, description="Probability with which a guarantee holds."
    )
    hold_out: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the items that do not choose and only tell what is achieved; else "
        "the items that chose tell it, too.",
    )

    def resolved_goal(self) -> str:
        """Return the goal, given or implied.

        Raises:
            ConfigError: If there is none, more than one, or one that lacks its own flag.

        Example:
            >>> DecideConfig(min_precision=0.9).resolved_goal()
            'precision'
        """
        implied = [
            goal
            for goal, names in _FLAGS.items()
            if any(getattr(self, name) is not None for name in names)
        ]
        goals = implied if self.goal is None else sorted({self.goal, *implied})
        if len(goals) > 1:
            raise ConfigError(
                f"Got the goals {', '.join(goals)}; a run decides by one of them. Leave out "
                f"{' or '.join(_flags(goal) for goal in goals if goal != self.goal)}."
            )
        if not goals:
            wishes = ", ".join(_flags(goal) for goal in _FLAGS)
            raise ConfigError(
                "No goal to decide by; give one, such as --goal f1, --goal micro-f1, or one of "
                f"{wishes}."
            )
        if goals[0] in _FLAGS and not implied:
            raise ConfigError(f"--goal {goals[0]} needs {_flags(goals[0])}.")
        return goals[0]

    def without_effect(self, given: Collection[str]) -> list[str]:
        """Return a sentence on settings that were given and change nothing beside the others.

        Example:
            >>> DecideConfig(goal="f1", confidence=0.8).without_effect({"goal", "confidence"})
            ['--confidence: no effect without --min-precision or --min-recall.']
        """
        idle = [f"--{name}" for name in ("guarantee", "confidence") if name in given]
        if not idle or self.resolved_goal() in {"precision", "recall"}:
            return []
        return [f"{', '.join(idle)}: no effect without --min-precision or --min-recall."]


def _flags(goal: str) -> str:
    names = _FLAGS.get(goal)
    if names is None:
        return f"--goal {goal}"
    return " or ".join(f"--{name.replace('_', '-')}" for name in names)
