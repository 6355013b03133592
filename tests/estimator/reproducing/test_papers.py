"""The published tables: each row can be made, or says why not; numbers as they are printed."""

from __future__ import annotations

import pytest

from bayesfuse.estimator.named_models import named_models
from bayesfuse.estimator.reproducing.papers import PAPERS
from bayesfuse.estimator.reproducing.published import SCORE_NAMES, PaperRow
from bayesfuse.estimator.tables.rows import settings_of

EVERY = dict.fromkeys(("text", "image", "video", "audio", "tabular"))
ROWS = [(paper, row) for paper, tables in PAPERS.items() for row in tables.rows]


def by_name(paper: str) -> dict[str, PaperRow]:
    return {row.name: row for row in PAPERS[paper].rows}


@pytest.mark.parametrize(("paper", "row"), ROWS, ids=[f"{p}: {r.name}" for p, r in ROWS])
def test_a_row_has_scores_and_what_makes_it(paper: str, row: PaperRow) -> None:
    tables = PAPERS[paper]
    assert set(row.scores) <= set(tables.scores) <= set(SCORE_NAMES)
    assert set(row.spreads) <= set(row.scores)
    assert all(0.3 < value < 0.9 for value in row.scores.values())
    assert bool(row.scores) == bool(row.table)
    models = {model.name: model.flags for model in named_models(EVERY)}
    assert (row.model is None) == bool(row.absent)
    if row.model is None:
        return
    config = settings_of({**row.settings, **row.fixed, **models[row.model]})
    assert (config.elbo == "none") or row.name.startswith("PM+MO")


def test_names_are_of_one_row_each() -> None:
    for tables in PAPERS.values():
        names = [row.name for row in tables.rows]
        assert len(set(names)) == len(names)


def test_the_rows_of_pm_mo_differ_in_what_the_paper_says() -> None:
    models = {model.name: model.flags for model in named_models(EVERY)}
    found = {
        name: settings_of({**row.settings, **row.fixed, **models[str(row.model)]})
        for name, row in by_name("pm-mo").items()
    }
    best, narrow = found["PM+MO (λKL+L2)"], found["PM+MO (λKL+L2+1024)"]
    assert (best.elbo, best.l1, best.l2, best.hidden) == ("annealed", 0, 0.1, 3000)
    assert narrow.model_copy(update={"hidden": 3000}) == best
    assert (found["PM+MO (λKL+L1)"].l1, found["PM+MO (λKL+L1)"].l2) == (0.1, 0)
    assert (found["PM+MO (ELBOv2)"].elbo, found["PM+MO (ELBOv2)"].l2) == ("rao-blackwell", 0)
    assert (found["PM+MO (ELBOv1+L2)"].elbo, found["PM+MO (ELBOv1+L2)"].l2) == ("trace", 0.1)
    assert found["M+MO (minus VI)"].elbo == "none"
    assert (found["GMU baseline"].fusion, found["GMU baseline"].dropout) == ("gmu", 0.7)


def test_gains_that_the_papers_tell_are_those_of_the_numbers() -> None:
    """Each sentence of a paper about its own table is a check on how the table was copied."""
    pm_mo = {name: row.scores["weighted_f1"] for name, row in by_name("pm-mo").items()}
    assert pm_mo["PM+MO (λKL+L2)"] - pm_mo["GMU baseline"] == pytest.approx(0.009)
    assert pm_mo["PM+MO (λKL+L2)"] - pm_mo["PM+MO (ELBOv2+L2)"] == pytest.approx(0.003)
    assert pm_mo["PM+MO (λKL+L2)"] - pm_mo["M+MO (minus VI)"] == pytest.approx(0.015)
    refnet = {name: row.scores for name, row in by_name("refnet").items()}
    gain = refnet["ReFNet_MS"]["micro_f1"] / refnet["ViLBERT"]["micro_f1"] - 1
    assert gain == pytest.approx(0.008, abs=5e-4)
    gain = refnet["ReFNet_MS"]["macro_f1"] / refnet["ViLBERT"]["macro_f1"] - 1
    assert gain == pytest.approx(0.0082, abs=5e-5)
    few = [refnet[f"{name}, 5% labelled"] for name in ("baseline", "ReFNet", "ReFNet_MS")]
    assert few[1]["macro_f1"] - few[0]["macro_f1"] == pytest.approx(0.1183)
    assert few[1]["micro_f1"] - few[0]["micro_f1"] == pytest.approx(0.0403)
    assert few[2]["macro_f1"] - few[0]["macro_f1"] == pytest.approx(0.1377)
    assert few[2]["micro_f1"] - few[0]["micro_f1"] == pytest.approx(0.0651)
    for share, micro, macro in (("10%", 0.0166, 0.0500), ("20%", 0.0088, 0.0104)):
        base, best = (refnet[f"{name}, {share} labelled"] for name in ("baseline", "ReFNet_MS"))
        assert best["micro_f1"] - base["micro_f1"] == pytest.approx(micro)
        assert best["macro_f1"] - base["macro_f1"] == pytest.approx(macro)
    mult = {name: row.scores["macro_ap"] for name, row in by_name("mult-gmu").items() if row.scores}
    # the paper: only without text is Fast-MA better, and mult-gmu is behind at TV among the rest
    better = {
        key
        for key in ("VA", "VAP", "TVAP", "TVAPM")
        if mult[f"Fast-MA, {key}"] > mult[f"MulT-GMU, {key}"]
    }
    assert better == {"VA", "VAP"}
    seo = {name: row.scores for name, row in by_name("mm-gatbt").items()}
    for score in PAPERS["mm-gatbt"].scores:
        best = max(scores.get(score, 0.0) for scores in seo.values())
        assert seo["MM-GATBT"][score] == best
    own = by_name("swiglu")["Multimodal Classifier (SwiGLU)"].scores
    assert own["macro_f1"] < seo["GMU"]["macro_f1"] < seo["CentralNet"]["macro_f1"]
    assert own["micro_f1"] == seo["CentralNet"]["micro_f1"]
