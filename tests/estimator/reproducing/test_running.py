"""Papers' rows are fitted as the tables of models are, and what cannot be made says why."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bayesfuse import Catalog
from bayesfuse.cli_reproduce import ROWS_SAY
from bayesfuse.errors import ConfigError, UserError
from bayesfuse.estimator.reproducing import running
from bayesfuse.estimator.reproducing.papers import PAPERS
from bayesfuse.estimator.reproducing.reproduction import paper_scores
from bayesfuse.estimator.reproducing.running import paper_rows, reproduce
from bayesfuse.estimator.tables.fitting import fit_row
from bayesfuse.estimator.tables.running import Plan
from tests.estimator.competitors.conftest import SMALL

FAST = {
    **{**SMALL, "epochs": 1, "annealing_epochs": 0, "graph_width": 4, "graph_heads": 2},
    **{"graph_layers": 1, "pretrain_graph": 1, "transformer_layers": 1},
}


def test_the_table_of_refnet(
    folder: Path, catalog: Catalog, tmp_path: Path, here: list[str]
) -> None:
    plan = Plan(tmp_path / "kept", seeds=1, jobs=1, replicates=3)
    given = {**FAST, "seed": 7}
    found = reproduce("refnet", str(folder), given, plan)
    assert found.about["scored"] == "val"  # it is not the paper's data
    assert not found.comparable
    names = [one.row.name for one in found.made]
    assert names[:3] == ["ViLBERT", "ReFNet", "ReFNet_MS"]
    assert len(names) == 12
    assert {one.name for one in found.left_out} == {
        *("ViLBERT-VQA2", "ViLBERT-COCO", "ViLBERT-cc small"),
    }
    (row,) = [
        row
        for row in paper_rows(PAPERS["refnet"], ["text", "image"], given)[0]
        if row.name == "ReFNet, 5% labelled"
    ]
    assert (row.labelled, row.config.pretrain_fusion) == (0.05, 30)
    config = row.config.model_copy(update={"seed": 7})
    again = fit_row(catalog, config, "val", 3, 0.05)
    scores = paper_scores(again.probability, catalog.labels[catalog.labelled_rows("val")])
    (made,) = [one for one in found.made if one.row.name == "ReFNet, 5% labelled"]
    assert made.means == pytest.approx(scores, rel=1e-4)
    here.clear()
    reproduce("refnet", str(folder), given, plan)
    assert here == []


def test_the_data_set_of_the_paper_has_the_papers_split(
    folder: Path, tmp_path: Path, here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "is_mmimdb", lambda labels, sizes: sizes["test"] == 60)
    plan = Plan(tmp_path / "kept", seeds=1, jobs=1, replicates=3)
    found = reproduce("pm-mo", str(folder), FAST, plan)
    assert (found.about["scored"], found.comparable) == ("test", True)
    assert len(found.made) == len(PAPERS["pm-mo"].rows)
    val = reproduce("pm-mo", str(folder), FAST, plan, "val")
    assert (val.about["scored"], val.comparable) == ("val", False)


def test_flags_override_the_paper_but_not_what_makes_a_row() -> None:
    rows = {row.name: row for row in paper_rows(PAPERS["pm-mo"], ["text", "image"], FAST)[0]}
    assert {row.config.hidden for row in rows.values()} == {8}
    assert rows["PM+MO (ELBOv1)"].config.elbo == "trace"
    assert rows["PM+MO (λKL+L1)"].config.l1 == 0.1
    assert {row.config.pretrain_graph for row in rows.values()} == {0}


def test_what_rows_say_is_no_flag_of_the_command() -> None:
    assert set(ROWS_SAY) == set(running.ROWS_SAY)


def test_rows_wait_for_modalities_and_models() -> None:
    rows, left_out = paper_rows(PAPERS["mult-gmu"], ["text", "image"], {})
    reasons = {one.name: one.reason for one in left_out}
    assert reasons["Fast-MA, VA"] == "the catalogue has no modality video, audio."
    assert "Fast-MA, all of the catalogue" in {row.name for row in rows}
    every = ["text", "image", "video", "audio", "tabular"]
    rows, _ = paper_rows(PAPERS["mult-gmu"], every, {})
    (row,) = [row for row in rows if row.name == "Fast-MA, VAP"]
    assert row.config.modalities == ("video", "audio", "image")
    _, left_out = paper_rows(PAPERS["mm-gatbt"], ["text", "year"], {})
    reasons = {one.name: one.reason for one in left_out}
    assert reasons["EfficientNet"] == "the catalogue has no modality image."
    assert reasons["MFM"] == "there is no model of that kind here."


def test_a_model_is_picked_up_by_name_once_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    two = ["text", "image"]

    def without(modalities: object) -> list[object]:
        return [model for model in every if not model.name.startswith("mult-")]

    every = running.named_models(dict.fromkeys(two))
    monkeypatch.setattr(running, "named_models", without)
    _, left_out = paper_rows(PAPERS["mult-gmu"], two, {})
    reasons = {one.name: one.reason for one in left_out}
    name = "MulT-GMU, all of the catalogue"
    assert reasons[name] == "this version of bayesfuse has no model mult-gmu."
    gmu = next(model for model in every if model.name == "gmu")
    named = [*without(two), dataclasses.replace(gmu, name="mult-gmu")]
    monkeypatch.setattr(running, "named_models", lambda modalities: named)
    rows, _ = paper_rows(PAPERS["mult-gmu"], two, {})
    assert name in {row.name for row in rows}


@pytest.mark.parametrize(
    ("paper", "given", "said"),
    [
        ("pm-mu", {}, 'Did you mean "pm-mo"'),
        ("pm-mo", {"elbo": "none", "fusion": "gmu"}, "--fusion, --elbo: the rows of the paper say"),
    ],
)
def test_mistakes_are_told(paper: str, given: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        reproduce(paper, "nowhere", given, Plan(tmp_path))


def test_a_catalogue_that_no_row_can_take(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mfm,) = [row for row in PAPERS["mm-gatbt"].rows if row.name == "MFM"]
    monkeypatch.setitem(PAPERS, "pm-mo", dataclasses.replace(PAPERS["pm-mo"], rows=(mfm,)))
    with pytest.raises(
        UserError, match=r"No row of Armitage .* can be made on .*\n  MFM: there is"
    ):
        reproduce("pm-mo", str(folder), FAST, Plan(tmp_path / "kept"))
