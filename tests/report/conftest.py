"""A report's worth of plausible numbers."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from bayesfuse.report import (
    ItemRow,
    KnownTruth,
    LabelRow,
    ReliabilityCurve,
    ReportData,
    TagRow,
)

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
        items=[item(rng, index) for index in range(60)],
        epistemic_shares=rng.beta(1.5, 9, 855).tolist(),
        best_epoch=19,
        num_left_to_person=41,
        truth=KnownTruth(predicted.tolist(), true.tolist()),
        warnings=['No item of the train split has the label "Western".'],
        versions={"bayesfuse": "0.1.0", "torch": "2.13.0"},
    )


@pytest.fixture(scope="session")
def small_report_data(report_data: ReportData) -> ReportData:
    """Return a report with few figures, for tests that draw the page more than once."""
    return dataclasses.replace(
        report_data,
        history=[{"epoch": 1, "nll": 3.0}, {"epoch": 2, "nll": 2.5}],
        label_reliability=report_data.label_reliability[:1],
        best_epoch=2,
    )
