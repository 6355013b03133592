from __future__ import annotations

import html
import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import COLUMNS, CSV, ENCODE, NUM_ITEMS, SMALL, Ran, tree

Bayesfuse = Callable[..., Ran]

LABELS = ["Comedy", "Drama", "Horror"]


def predict(bayesfuse: Bayesfuse, run: Path, *args: object, out: str) -> pd.DataFrame:
    done = bayesfuse("predict", run, *args, "-o", out)
    assert done.code == 0, done.err
    return pq.read_table(out).to_pandas()


def test_new_items_need_neither_flags_nor_labels(
    place: Path, fitted: Path, bayesfuse: Bayesfuse
) -> None:
    done = bayesfuse("predict", fitted, "new.csv", "-o", "tags.parquet")
    assert done.code == 0
    assert done.out == f"{NUM_ITEMS} items, {3 * NUM_ITEMS} rows, 4 posterior draws: tags.parquet\n"
    assert set(done.err.splitlines()) >= {
        "Warning: new.csv has no column genres, which was --labels in the fit; it is left out.",
        "Warning: new.csv has no column part, which was --split in the fit; it is left out.",
    }
    table = pq.read_table("tags.parquet").to_pandas()
    assert list(table) == [
        *("id", "label", "mean", "sd", "q05", "q95", "mutual_information", "decision")
    ]
    ids = pd.read_csv("new.csv")["id"]
    assert table["id"].tolist() == np.repeat(ids, 3).tolist()
    assert table["label"].tolist() == LABELS * NUM_ITEMS
    assert table[["mean", "q05", "q95"]].stack().between(0, 1).all()
    assert (table["q05"] <= table["q95"]).all()
    assert table["mutual_information"].between(0, np.log(2)).all()
    assert (table["decision"] == (table["mean"] > 0.5)).all()
    assert (table["sd"] > 0).all()


def test_predictions_are_those_of_the_same_items_in_the_fits_catalogue(
    place: Path, fitted: Path, bayesfuse: Bayesfuse
) -> None:
    new = predict(bayesfuse, fitted, "new.csv", out="new.parquet")
    own = predict(bayesfuse, fitted, out="own.parquet")
    pd.testing.assert_frame_equal(new, own)
    few = predict(bayesfuse, fitted, "--split", "test", out="test.parquet")
    test = pd.read_csv("films.csv").query("part == 'test'")["id"]
    assert few["id"].unique().tolist() == test.tolist()
    both = few.merge(own, on=["id", "label"])
    np.testing.assert_allclose(both["mean_x"], both["mean_y"], rtol=0, atol=1e-6)


def test_seed_draws_and_decision(place: Path, fitted: Path, bayesfuse: Bayesfuse) -> None:
    base = predict(bayesfuse, fitted, "new.csv", out="a.parquet")
    other = predict(bayesfuse, fitted, "new.csv", "--seed", "1", out="b.parquet")
    more = predict(bayesfuse, fitted, "new.csv", "--draws", "9", out="c.parquet")
    f1 = predict(bayesfuse, fitted, "new.csv", "--decision", "f1", out="d.parquet")
    assert not np.array_equal(base["mean"], other["mean"])
    assert not np.array_equal(base["mean"], more["mean"])
    assert np.array_equal(base["mean"], f1["mean"])
    told = json.loads((fitted / "labels.json").read_text())
    cuts = dict(zip(told["labels"], told["thresholds"], strict=True))
    assert (f1["decision"] == (f1["mean"] > f1["label"].map(cuts))).mean() > 0.99  # ties aside
    assert not f1["decision"].equals(base["decision"])
    metadata = json.loads(pq.read_schema("c.parquet").metadata[b"bayesfuse"])
    about = {"elbo": "annealed", "temperature": 1.0, "class_weights": "none", "without": []}
    about |= {"recalibrate": "none", "loss": "bce", "label_smoothing": 0.0}
    about |= {"beside_likelihood": []}
    assert metadata.pop("decision")["goal"] == "half"
    drift = metadata.pop("drift")
    assert (drift["items"], drift["told"], drift["people"]) == (NUM_ITEMS, [], {})
    assert drift["modalities"].keys() == {"text", "image"}
    assert metadata == {"draws": 9, "seed": 0, "draw_kind": "joint", **about, "update_old": False}


def test_columns_of_other_names_and_a_modality_that_is_not_there(
    place: Path, fitted: Path, bayesfuse: Bayesfuse
) -> None:
    table = pd.read_csv("new.csv").rename(columns={"id": "key", "plot": "synopsis"})
    table.drop(columns="poster").to_csv("other.csv", index=False)
    flags = ["--id", "key", "--text", "synopsis"]
    done = bayesfuse("predict", fitted, "other.csv", *flags, "-o", "p.parquet")
    assert done.code == 0
    assert (
        'Warning: other.csv has no modality "image": it counts as missing for every item.\n'
    ) in done.err
    assert pq.read_table("p.parquet").num_rows == 3 * NUM_ITEMS


def test_a_run_knows_its_catalogue_from_anywhere(
    films: Path, fitted: Path, bayesfuse: Bayesfuse, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    done = bayesfuse("evaluate", fitted)
    assert (done.code, done.err) == (0, "")
    head, items, *_ = done.out.splitlines()
    assert head == f"{films}/films.csv, val, 4 posterior draws"
    assert items == "18 items, 3 labels"
    assert list(tmp_path.iterdir()) == []


def test_evaluate_says_what_fit_said(fitted: Path, bayesfuse: Bayesfuse) -> None:
    metrics = json.loads((fitted / "metrics.json").read_text())
    done = bayesfuse("evaluate", fitted, "--json")
    assert (done.code, done.err) == (0, "")
    found = done.json
    names = ("split", "draws", "seed", "elbo", "temperature", "class_weights", "without")
    names += ("recalibrate", "draw_kind", "loss", "label_smoothing", "beside_likelihood")
    about = {name: found.pop(name) for name in names}
    assert about == {
        "split": "val",
        "draws": 4,
        "seed": 0,
        "elbo": "annealed",
        "temperature": 1.0,
        "class_weights": "none",
        "recalibrate": "none",
        "loss": "bce",
        "label_smoothing": 0.0,
        "beside_likelihood": [],
        "draw_kind": "joint",
        "without": [],
    }
    assert found == metrics["val"]
    table = bayesfuse("evaluate", fitted).out
    assert f"NLL a label (nats)  {found['nll']:.4f}" in table
    assert all(f"\n{label}" in table for label in LABELS)
    test = bayesfuse("evaluate", fitted, "--split", "test", "--json").json
    assert (test["split"], test["num_items"]) == ("test", 18)
    assert test["nll"] != found["nll"]
    everything = bayesfuse("evaluate", fitted, "--split", "all", "--json").json
    assert everything["num_items"] == NUM_ITEMS


def test_the_column_of_the_split_may_be_another(
    place: Path, fitted: Path, bayesfuse: Bayesfuse
) -> None:
    table = pd.read_csv("films.csv")
    table["other"] = np.where(table.index < 30, "val", "train")
    table.to_csv("films.csv", index=False)
    flags = ["films.csv", "--split-column", "other", "--json"]
    assert bayesfuse("evaluate", fitted, *flags).json["num_items"] == 30


def test_a_run_without_a_posterior_has_no_draws(place: Path, bayesfuse: Bayesfuse) -> None:
    flags = [*CSV, *ENCODE, *SMALL[:2], *SMALL[4:8], "--elbo", "none"]
    assert bayesfuse("fit", "films.csv", *flags, "-o", "run").code == 0
    done = bayesfuse("evaluate", "run")
    assert done.out.splitlines()[0].endswith("films.csv, val, no posterior (--elbo none)")
    assert "--draws" not in done.err
    done = bayesfuse("predict", "run", "new.csv", "--draws", "5", "-o", "p.parquet")
    assert done.out == (
        f"{NUM_ITEMS} items, {3 * NUM_ITEMS} rows, no posterior (--elbo none): p.parquet\n"
    )
    assert "Warning: --draws: no effect, since the run has no posterior" in done.err
    found = pq.read_table("p.parquet").to_pandas()
    assert (found["sd"] == 0).all()
    assert (found["mutual_information"] == 0).all()


@pytest.mark.slow
def test_the_report_is_one_page_in_the_run_folder(
    place: Path, fitted: Path, bayesfuse: Bayesfuse
) -> None:
    shutil.copytree(fitted, "run")
    for _ in range(2):  # a run's own report is made anew
        done = bayesfuse("report", "run")
        assert (done.code, done.out, done.err) == (0, "Open run/report.html\n", "")
        Path("run/report.html").write_text(Path("run/report.html").read_text() + "<!-- old -->")
    assert bayesfuse("report", "run").code == 0
    page = Path("run/report.html").read_text()
    assert "<!-- old -->" not in page
    assert page.count('<img class="picture" src="data:image/webp;base64,') > 5  # files of a folder
    done = bayesfuse("report", "run", "--split", "test", "-o", "pages/test.html")
    assert (done.code, done.out) == (0, "Open pages/test.html\n")
    page = Path("pages/test.html").read_text()
    assert "of the test split" in page
    line = re.search(r"<code>(bayesfuse fit .*)</code>", page)
    assert line is not None
    program, *args = shlex.split(html.unescape(line.group(1)))
    assert (program, args[-2:]) == ("bayesfuse", ["--out", "run-again"])
    assert bayesfuse(*args).code == 0
    for name in ("config.json", "model.safetensors"):  # fitted again, bit for bit
        assert Path("run-again", name).read_bytes() == (fitted / name).read_bytes()


@pytest.mark.slow
def test_a_report_of_many_items_has_further_pages(
    place: Path, fitted: Path, bayesfuse: Bayesfuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("pages", "item_table", "collect_items"):
        monkeypatch.setattr(f"bayesfuse.report.{module}.PAGE_ITEMS", 30)
    run = str(fitted)
    done = bayesfuse("report", run, "--split", "all", "-o", "all.html")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "Open all.html\n90 items: further pages beside it, all-2.html to all-3.html\n"
    )
    assert len(list(place.glob("all*.html"))) == 3
    again = bayesfuse("report", run, "--split", "all", "--items", "31", "-o", "some.html")
    assert again.out.endswith("31 items: further pages beside it, some-2.html\n")
    assert "The 31 most uncertain of the 90 items" in Path("some.html").read_text()
    Path("some.html").unlink()
    blocked = bayesfuse("report", run, "--split", "all", "--items", "31", "-o", "some.html")
    assert blocked.code == 2
    assert "some-2.html" in blocked.err
    assert not Path("some.html").exists()


def test_describe_counts(place: Path, bayesfuse: Bayesfuse) -> None:
    before = tree(place)
    flags = ["films.csv", *CSV, "--split", "part", "--people", "director"]
    done = bayesfuse("data", "describe", *flags)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == f"films.csv: {NUM_ITEMS} items"
    assert "train     54        54" in lines
    assert any(line.startswith("director") for line in lines)
    found = bayesfuse("data", "describe", *flags, "--json").json
    assert found["num_items"] == NUM_ITEMS
    assert found["splits"]["val"] == {"items": 18, "labelled": 18}
    assert [label["name"] for label in found["labels"]] == LABELS
    assert tree(place) == before


def test_describe_needs_no_labels(place: Path, bayesfuse: Bayesfuse) -> None:
    done = bayesfuse("data", "describe", "new.csv", *COLUMNS[:6])
    assert done.code == 0
    assert done.out.startswith(f"new.csv: {NUM_ITEMS} items\n")


def test_data_demo_makes_a_catalogue_that_describe_reads(
    tmp_path: Path, bayesfuse: Bayesfuse
) -> None:
    out = tmp_path / "demo"
    done = bayesfuse("data", "demo", out, "--num-items", "60")
    assert (done.code, done.out, done.err) == (0, f"60 items: {out}\n", "")
    assert bayesfuse("data", "describe", out, "--json").json["num_items"] == 60
    first = tree(out)
    assert bayesfuse("data", "demo", out, "--num-items", "60", "--seed", "1").code == 2
    assert tree(out) == first
    done = bayesfuse("data", "demo", out, "--num-items", "60", "--seed", "1", "--overwrite")
    assert done.code == 0
    assert tree(out) != first


@pytest.mark.parametrize("verb", ["predict", "evaluate", "report"])
def test_a_split_is_no_column_here(
    verb: str, place: Path, fitted: Path, bayesfuse: Bayesfuse
) -> None:
    before = tree(place)
    done = bayesfuse(verb, fitted, "films.csv", "--split", "part")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        'Error: In --split: Unknown split "part"; expected one of all, test, train, val. (The '
        "column of the split is --split-column here.)\n"
    )
    assert tree(place) == before


# ---- intervals, and items that are none of its own


def test_evaluate_tells_how_scores_fall_when_items_are_moved(
    fitted: Path, bayesfuse: Bayesfuse
) -> None:
    found = bayesfuse("evaluate", fitted, "--robustness", "0.3,0.1,0.0001", "--json").json
    rows = found["robustness"]
    assert [row["length"] for row in rows] == [0, 0.0001, 0.1, 0.3]
    assert rows[0]["nll"] == pytest.approx(found["nll"])
    assert rows[1]["nll"] == pytest.approx(found["nll"], abs=1e-3)
    # both are worse; a single step of a network this small need not be worse the longer it is
    assert min(rows[2]["nll"], rows[3]["nll"]) > rows[0]["nll"]
    table = bayesfuse("evaluate", fitted, "--robustness", "0.3").out
    assert f"\n0.3             {rows[3]['nll']:.4f}" in table
    for given, said in (("much", "'much' are no lengths"), ("0.1,-1", "-1.0 is no length")):
        wrong = bayesfuse("evaluate", fitted, "--robustness", given)
        assert (wrong.code, wrong.out) == (2, "")
        assert said in wrong.err


def test_evaluate_with_intervals_and_outliers(
    place: Path, fitted: Path, bayesfuse: Bayesfuse
) -> None:
    flags = ["--intervals", "--replicates", "30", "--outliers", "shuffled", "--outliers", "new.csv"]
    done = bayesfuse("evaluate", fitted, *flags, "--json")
    assert done.code == 0, done.err
    plain = bayesfuse("evaluate", fitted, "--json").json
    found = done.json
    intervals, outliers = found.pop("intervals"), found.pop("outliers")
    assert found == plain
    assert intervals["pooled"]["nll"]["estimate"] == pytest.approx(plain["nll"])
    assert set(intervals["labels"]) == {one["name"] for one in plain["labels"]}
    assert set(outliers) == {"shuffled", "new.csv"}
    told = bayesfuse("evaluate", fitted, *flags).out
    assert "30 resamples" in told
    assert "more uncertain than the run's own items" in told
    wrong = bayesfuse("evaluate", fitted, "--outliers", "shufled")
    assert wrong.code == 2
    assert 'Unknown kind of outliers "shufled"' in wrong.err
    assert "Nor is there a catalogue of that name." in wrong.err


def test_draws_auto_says_how_many_it_took(place: Path, fitted: Path, bayesfuse: Bayesfuse) -> None:
    def auto(out: str, *flags: object) -> tuple[Ran, dict[str, Any]]:
        done = bayesfuse("predict", fitted, "new.csv", "--draws", "auto", *flags, "-o", out)
        assert done.code == 0, done.err
        return done, json.loads(pq.read_schema(out).metadata[b"bayesfuse"])

    done, about = auto("a.parquet", "--tolerance", "0.01")
    count, error = about["draws"], about["monte_carlo_error"]
    assert count >= 32
    assert 0 < error <= about["tolerance"] == 0.01
    assert about["monte_carlo_items"] == NUM_ITEMS
    assert f"{count} posterior draws: a.parquet" in done.out
    assert f"--draws auto: {count} draws: the Monte Carlo error" in done.err
    predict(bayesfuse, fitted, "new.csv", "--draws", count, out="b.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet("a.parquet"), pd.read_parquet("b.parquet"))
    done, about = auto("c.parquet", "--tolerance", "1e-9", "--max-draws", "20")
    assert about["draws"] == 20
    assert "Warning: --draws auto: 20 draws" in done.err
    assert "--max-draws" in done.err


def test_evaluate_takes_auto_too(place: Path, fitted: Path, bayesfuse: Bayesfuse) -> None:
    found = bayesfuse("evaluate", fitted, "--draws", "auto", "--tolerance", "0.02", "--json")
    assert found.code == 0, found.err
    same = bayesfuse("evaluate", fitted, "--draws", found.json["draws"], "--json").json
    told = {"tolerance", "monte_carlo_error", "monte_carlo_items"}
    assert found.json.keys() - same.keys() == told
    assert same == {name: value for name, value in found.json.items() if name not in told}


def test_a_tolerance_without_auto_has_no_effect(
    place: Path, fitted: Path, bayesfuse: Bayesfuse
) -> None:
    done = bayesfuse("predict", fitted, "new.csv", "--tolerance", "0.1", "-o", "p.parquet")
    assert "Warning: --tolerance: no effect without --draws auto." in done.err
    done = bayesfuse("predict", fitted, "new.csv", "--draws", "many", "-o", "q.parquet")
    assert (done.code, "--draws: expected a whole number of at least 1, or auto" in done.err) == (
        2,
        True,
    )


def test_marginal_draws_say_so_and_agree(place: Path, fitted: Path, bayesfuse: Bayesfuse) -> None:
    found = {}
    for kind in ("joint", "marginal"):
        flags = ("--draw-kind", kind, "--draws", "400")
        found[kind] = predict(bayesfuse, fitted, "new.csv", *flags, out=f"{kind}.parquet")
        about = json.loads(pq.read_schema(f"{kind}.parquet").metadata[b"bayesfuse"])
        assert about["draw_kind"] == kind
    joint, marginal = found["joint"], found["marginal"]
    error = np.abs(joint["mean"] - marginal["mean"])
    assert error.max() > 0
    assert (error < 5 * (joint["sd"] + marginal["sd"]) / 400**0.5).all()
    assert 0.8 < marginal["sd"].sum() / joint["sd"].sum() < 1.25
    done = bayesfuse("predict", fitted, "new.csv", "--draw-kind", "marginal", "-o", "m.parquet")
    assert ", 4 marginal posterior draws: m.parquet" in done.out
    auto = ("--draw-kind", "marginal", "--draws", "auto", "--decision", "half")
    done = bayesfuse("evaluate", fitted, *auto)
    assert done.code == 0, done.err
    assert "marginal posterior draws\n" in done.out


def test_marginal_draws_are_refused_where_items_are_compared(
    place: Path, fitted: Path, bayesfuse: Bayesfuse
) -> None:
    for verb in (("rank", fitted, "--label", "Drama"), ("check", fitted), ("report", fitted)):
        done = bayesfuse(*verb, "--draw-kind", "marginal")
        assert done.code == 2
        assert "which marginal draws are not" in done.err
    done = bayesfuse("predict", fitted, "new.csv", "--draw-kind", "margnal", "-o", "m.parquet")
    assert 'did you mean "marginal"' in done.err.lower()


def test_what_cannot_be_marginal_is_joint_and_says_so(place: Path, bayesfuse: Bayesfuse) -> None:
    fit = ("fit", "films.csv", *CSV, *ENCODE, *SMALL, "--people", "director", "--graph", "people")
    assert bayesfuse(*fit, "--graph-layers", "1", "--graph-width", "4", "--out", "g").code == 0
    flags = ("--split", "val", "--draw-kind", "marginal")
    done = bayesfuse("predict", "g", *flags, "-o", "m.parquet")
    assert done.code == 0, done.err
    assert "Warning: --draw-kind marginal: items hear each other" in done.err
    assert json.loads(pq.read_schema("m.parquet").metadata[b"bayesfuse"])["draw_kind"] == "joint"
    bayesfuse("predict", "g", "--split", "val", "-o", "j.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet("m.parquet"), pd.read_parquet("j.parquet"))
