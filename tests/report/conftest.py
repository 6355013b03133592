"""A report's worth of plausible numbers."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from bayesfuse.estimator.robustness import MovedScores, Robustness
from bayesfuse.evaluation.checks import predictive_check
from bayesfuse.evaluation.resampling import Interval
from bayesfuse.report import (
    ItemRow,
    KnownTruth,
    LabelRow,
    ReliabilityCurve,
    ReportData,
    TagRow,
)
from bayesfuse.report.competitors import SCORES, Competitor, Competitors
from bayesfuse.report.item_rows import LabelRanking, RankedGroup, RankedRow, SurpriseRow
from bayesfuse.report.risk import collect_risks
from bayesfuse.report.statistics import Statistics
from bayesfuse.report.strata import MissingRow, collect_strata
from bayesfuse.report.thumbnails import thumbnail

LABELS = (
    *("Drama", "Comedy", "Romance", "Crime", "Action", "Thriller", "Adventure", "Horror"),
    *("Mystery", "Fantasy", "Sci-Fi", "Family", "Biography", "Music", "Sport", "Animation"),
    *("History", "Documentary", "War", "Musical", "Western & other very long names"),
)
EPOCHS = 24


def reliability(rng: np.random.Generator, name: str, bins: int) -> ReliabilityCurve:
    predicted = (np.arange(bins) + 0.5) / bins
    observed = np.clip(predicted + rng.normal(0, 0.4 / bins, bins), 0, 1)
    count = (900 * np.exp(-4 * predicted)).astype(int) + 1
    return ReliabilityCurve(name, predicted.tolist(), observed.tolist(), count.tolist(), ece=0.008)


def picture(index: int) -> str:
    """Return a picture, another one for each index."""
    image = Image.new("RGB", (60, 90), (index % 256, 120, 255 - index % 256))
    image.paste((255, 255, 255), (10, 10, 20 + index % 37, 40))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return thumbnail(buffer.getvalue())


def surprise(item: ItemRow) -> SurpriseRow:
    tag = TagRow("War", mean=0.02, q05=0.01, q95=0.04, decision=False, truth=True)
    return SurpriseRow(item.id, item.title, tag, -math.log(0.02), ["War", "Drama"], item.picture)


def ranking(label: str, items: Sequence[ItemRow], first: int) -> LabelRanking:
    """Return a ranking of four items: one alone, two, and one of many."""
    rows = [
        RankedRow(
            place,
            item.id,
            item.title,
            TagRow(label, 0.99 - 0.01 * place, 0.9, 0.995, decision=True, truth=place % 2 == 0),
            rank_lower=max(1, place - 1),
            rank_upper=place + 3,
            picture=item.picture,
        )
        for place, item in enumerate(items[first : first + 4], start=1)
    ]
    groups = [(1, 1, rows[:1]), (2, 3, rows[1:3]), (4, 40, rows[3:])]
    return LabelRanking(label, [RankedGroup(*group) for group in groups])


def item(rng: np.random.Generator, index: int) -> ItemRow:
    means = np.sort(rng.uniform(0.05, 0.8, 4))[::-1]
    tags = [
        TagRow(
            label,
            mean=mean,
            q05=max(0.0, mean - 0.25),
            q95=min(1.0, mean + 0.2),
            decision=mean > 0.4,
            truth=bool(rng.random() < mean),
        )
        for label, mean in zip(rng.choice(LABELS, 4, replace=False), means.tolist(), strict=True)
    ]
    return ItemRow(
        id=f"tt{index:07d}",
        title=f"The film number {index}",
        tags=tags,
        uncertainty=4.2 - 0.03 * index,
        epistemic_share=float(rng.uniform(0, 0.3)),
        left_to_person=index % 3 == 0,
        picture=None if index % 10 == 9 else picture(index),
    )


def statistics(names: Sequence[str], num_items: int = 300) -> Statistics:
    """Return every section, of labels that were drawn from their probabilities."""
    rng = np.random.default_rng(1)
    mean = rng.beta(0.6, 2.0, (num_items, len(names)))
    labels = (rng.random(mean.shape) < mean).astype(np.float32)
    draws = np.clip(mean + rng.normal(0, 0.02, (4, *mean.shape)), 0, 1)
    there = np.arange(num_items) % 5 > 0
    strata = {"with text": there, "without text": ~there}
    shares = rng.beta(1.5, 9, num_items)
    ends = Interval(0.02, 0.01, 0.03)
    scores = dict.fromkeys(SCORES, ends)
    rows = [Competitor(name, scores, scores, 3.1, 0.2, 98_304) for name in ("bayesian", "twin")]
    return Statistics(
        intervals={"macro_ap": Interval(0.5203, 0.5001, 0.5399)},
        risks=collect_risks(mean, -np.abs(mean - 0.5).sum(axis=1), labels, names, replicates=20),
        check=predictive_check(draws, labels, names, strata=strata, replicates=100),
        strata=collect_strata(mean, labels, shares, strata),
        missing=[MissingRow("text", 0.5, 0.4, 0.2, 0.02, 0.8, 0.05)],
        competitors=Competitors(rows, 0.95, 3, ["Both were fitted on Monday."]),
        robustness=Robustness(
            (
                MovedScores(0.0, 0.2, 0.6, 0.2, 0.6),
                MovedScores(0.1, 0.2345, 0.5, 0.21, 0.59),
                MovedScores(0.2, 0.4, 0.35, 0.22, 0.58),
            )
        ),
        notes=["The predictive check is of 300 items, chosen at random."],
    )


@pytest.fixture(scope="session")
def report_data() -> ReportData:
    """Return made-up but complete contents of a report on 21 labels."""
    rng = np.random.default_rng(0)
    history = [
        {
            "epoch": epoch,
            "nll": 3.2 + 3 * math.exp(-epoch / 4),
            "kl": 120_000 * math.exp(-epoch / 9) + 8_000,
            "beta": min(1.0, 0.2 + 0.08 * epoch),
            "elbo": -4.0,
            "val_nll": 0.178 + 0.2 * math.exp(-epoch / 4) + 0.0004 * epoch,
            "val_macro_ap": 0.52 * (1 - math.exp(-epoch / 5)),
            "seconds": 3.1,
        }
        for epoch in range(1, EPOCHS + 1)
    ]
    rates = np.geomspace(0.57, 0.01, len(LABELS)).tolist()
    rows = [
        LabelRow(
            name,
            num_positives=round(855 * rate),
            base_rate=rate,
            average_precision=math.nan if index == 20 else float(rate + (1 - rate) * 0.45),
            f1=0.5,
            threshold=0.31,
            brier=rate * (1 - rate),
            ece=0.02,
        )
        for index, (name, rate) in enumerate(zip(LABELS, rates, strict=True))
    ]
    true = rng.beta(0.6, 2.0, 2000)
    items = [item(rng, index) for index in range(60)]
    predicted = np.clip(true + rng.normal(0, 0.06, 2000), 0, 1)
    return ReportData(
        title="demo-run: genres of a catalogue",
        command="bayesfuse fit --elbo annealed --fusion gmu --prior laplace --prior-scale 0.1 "
        "--guide laplace --draws 64 --seed 0 --device auto --out demo-run",
        split="val",
        num_items=855,
        num_draws=64,
        settings={"elbo": "annealed", "fusion": "gmu", "prior_scale": 0.1, "hidden": 256},
        history=history,
        metrics={
            "macro_ap": 0.5203,
            "micro_f1": 0.64,
            "nll": 0.1784,
            "brier": 0.051,
            "ece": 0.0081,
            "samples_ap": math.nan,
        },
        labels=rows,
        reliability=reliability(rng, "all labels", 15),
        label_reliability=[reliability(rng, name, 6) for name in LABELS],
        items=items,
        epistemic_shares=rng.beta(1.5, 9, 855).tolist(),
        best_epoch=19,
        num_left_to_person=41,
        truth=KnownTruth(predicted.tolist(), true.tolist()),
        warnings=['No item of the train split has the label "Western".'],
        versions={"bayesfuse": "0.1.0", "torch": "2.13.0"},
        surprises=[surprise(row) for row in items[5:12]],
        rankings=[ranking(name, items, index) for index, name in enumerate(LABELS)],
        statistics=statistics(LABELS),
    )


@pytest.fixture(scope="session")
def small_report_data(report_data: ReportData) -> ReportData:
    """Return a report with few figures, for tests that draw the page more than once."""
    return dataclasses.replace(
        report_data,
        history=[{"epoch": 1, "nll": 3.0}, {"epoch": 2, "nll": 2.5}],
        label_reliability=report_data.label_reliability[:1],
        best_epoch=2,
        statistics=Statistics(),
    )


def of_models(found: Statistics) -> Statistics:
    """Return the statistics with a table of models in place of the competitors."""
    assert found.competitors is not None
    more = {"spreads": dict.fromkeys(SCORES, 0.004), "p_seeds": dict.fromkeys(SCORES, 0.012)}
    rows = [dataclasses.replace(row, **more) for row in found.competitors.rows]
    models = dataclasses.replace(found.competitors, rows=rows, models=True)
    return dataclasses.replace(found, competitors=models)
