"""What `bayesfuse rank` can be told."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bayesfuse.config.base import one_of
from bayesfuse.config.commands import PredictConfig

RANKINGS = ("lower", "mean", "rank", "thompson", "top")


class RankConfig(PredictConfig):
    """Everything that `bayesfuse rank` can be told besides paths, labels and how much to print."""

    by: Annotated[str, one_of("ranking", RANKINGS)] = Field(
        "mean",
        description="mean: the posterior mean; lower: the lower end of the interval; rank: the "
        "expected rank; top: the probability of the first places; thompson: one posterior draw.",
    )
    level: float = Field(
        0.9,
        gt=0.5,
        lt=1,
        description="Probability of the intervals, and that from which two items are told apart.",
    )
    top: int = Field(20, ge=1, description="How many places are the first ones.")
    abstain: float | None = Field(
        None, gt=0, lt=1, description="Share of the items to hand to a person: the most uncertain."
    )
    most_informative: int | None = Field(
        None,
        ge=1,
        description="Name so many items to label next, whose labels teach most together.",
    )
