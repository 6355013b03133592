"""The table: means, spreads, tests, and the forms that it is written in."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bayesfuse.estimator.comparison import digest_of
from bayesfuse.estimator.tables.fitting import RowResult, scores_of
from bayesfuse.estimator.tables.table import LeftOut, ModelTable
from bayesfuse.report.competitors import read_competitors

RNG = np.random.default_rng(0)
P = RNG.uniform(0.05, 0.95, (300, 2))
Y = (RNG.random(P.shape) < P).astype(np.float32)
HALF = np.full(2, 0.5)
NAMES = ["Drama", "War"]
DIGEST = digest_of([f"f{n}" for n in range(300)], NAMES, Y)


def result(p: np.ndarray, seconds: float) -> RowResult:
    return RowResult(p.astype(np.float32), HALF, scores_of(p, Y, HALF, 200), seconds, 0.1, 7, 1, 2)


def seeds(change: Callable[[np.ndarray], np.ndarray], count: int = 3) -> list[RowResult]:
    """Return results whose probabilities vary a little with the seed."""
    found = []
    for seed in range(count):
        noise = np.random.default_rng(seed).normal(0, 0.1, P.shape)
        logits = np.log(P / (1 - P)) + noise
        found.append(result(change(1 / (1 + np.exp(-logits))), 1.0 + seed))
    return found


@pytest.fixture(scope="module")
def table() -> ModelTable:
    results = {"text": seeds(lambda p: p), "gmu": seeds(np.sqrt), "text again": seeds(lambda p: p)}
    about = {"catalog": "films.csv", "scored": "val", "items": 300, "labels": 2, "seeds": 3}
    return ModelTable(results, [LeftOut("gat", "no | people")], {**about, "digest": DIGEST})


def test_means_spreads_and_tests(table: ModelTable) -> None:
    values = [float(one.scores["nll"].estimate) for one in table.results["gmu"]]
    theirs = [float(one.scores["nll"].estimate) for one in table.results["text"]]
    assert float(table.mean("gmu", "nll").estimate) == pytest.approx(np.mean(values))
    assert table.spread("gmu", "nll") == pytest.approx(np.std(values, ddof=1))
    assert table.p_seeds("gmu", "nll") == pytest.approx(stats.ttest_rel(values, theirs).pvalue)
    assert table.difference("gmu", "nll").low > 0  # it is far from calibrated
    assert table.p_seeds("gmu", "nll") < 0.01
    same = table.difference("text again", "nll")
    assert (same.low, same.high, table.p_seeds("text again", "nll")) == (0, 0, 1)
    assert table.seconds("gmu") == pytest.approx((2.0, 0.1))


def test_one_seed_has_no_spread_and_no_test(table: ModelTable) -> None:
    results = {name: found[:1] for name, found in table.results.items()}
    alone = ModelTable(results, [], {**table.about, "seeds": 1})
    assert math.isnan(alone.spread("gmu", "nll"))
    assert math.isnan(alone.p_seeds("gmu", "nll"))
    assert "±" not in str(alone)
    assert "t test" not in str(alone)
    assert "p=" not in alone.to_markdown()


def test_as_text(table: ModelTable) -> None:
    text = str(table)
    head, *rows = text.splitlines()
    assert head.split() == ["macro", "AP", "NLL", "ECE", "macro", "F1", *head.split()[-5:]]
    assert rows[1].startswith("gmu")
    assert f"{float(table.mean('gmu', 'nll').estimate):.4f} ±" in rows[1]
    assert "More than text, with 95% intervals by a paired bootstrap over items" in text
    assert "paired t test over seeds" in text
    (told,) = [line for line in rows if line.startswith("gmu") and "[" in line]
    assert "]*†" in told
    assert text.endswith("Not in the table:\n  gat: no | people")
    assert "± standard deviation over 3 seeds" in table.headline()


def test_as_markdown(table: ModelTable) -> None:
    lines = table.to_markdown().splitlines()
    tables = [line for line in lines if line.startswith("|")]
    assert "| gat | no \\| people |" in tables
    assert sum(line.startswith("| gmu |") for line in tables) == 2
    p = table.p_seeds("gmu", "nll")
    assert any(line.startswith("| gmu |") and f"p={p:.3f}" in line for line in tables)


def test_as_a_frame(table: ModelTable) -> None:
    frame = table.to_frame().set_index(["method", "score"])
    assert set(frame.index.get_level_values(0)) == set(table.results)
    row = frame.loc["gmu", "nll"]
    assert row["difference_low"] == pytest.approx(table.difference("gmu", "nll").low)
    assert row["p_seeds"] == table.p_seeds("gmu", "nll")
    assert row["seed_sd"] == table.spread("gmu", "nll")
    assert math.isnan(frame.loc["text", "nll"]["p_seeds"])


def test_the_report_reads_it(table: ModelTable, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text(json.dumps(table.to_dict()))
    found = read_competitors(path, split="val", label_names=NAMES, digest=DIGEST, settings={})
    assert found.title == "Models side by side"
    assert [row.name for row in found.rows] == list(table.results)
    gmu = found.rows[1]
    assert gmu.differences["nll"] == table.difference("gmu", "nll")
    assert gmu.spreads["nll"] == table.spread("gmu", "nll")
    assert gmu.p_seeds["nll"] == table.p_seeds("gmu", "nll")
    assert found.rows[0].p_seeds == {}
    assert found.notes == ["Not in the table: gat: no | people"]
