from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from bayesfuse.config import PRESETS
from bayesfuse.estimator.run_folder import FILES
from tests.cli.conftest import COLUMNS, CSV, ENCODE, SMALL, Ran

Bayesfuse = Callable[..., Ran]

HASHED = "no split column: items are split 80/10/10 by a hash of the id, seed 0"


def weights(run: str | Path) -> dict[str, Any]:
    return load_file(Path(run) / "model.safetensors")


def same(one: str | Path, other: str | Path) -> bool:
    a, b = weights(one), weights(other)
    equal = [np.array_equal(a[name], b[name], equal_nan=a[name].dtype.kind == "f") for name in a]
    return a.keys() == b.keys() and all(equal)


def history(run: str | Path) -> list[dict[str, str]]:
    with (Path(run) / "history.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def config(run: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(run) / "config.json").read_text())
    return found


def test_a_csv_with_texts_and_pictures(place: Path, bayesfuse: Bayesfuse) -> None:
    done = bayesfuse("fit", "films.csv", *CSV, *ENCODE, *SMALL, "--out", "run")
    assert done.code == 0
    assert {p.name for p in Path("run").iterdir()} == {
        *FILES,
        *("encoders.json", "encoders.safetensors"),
    }
    first, *_, last = done.out.splitlines()
    assert re.fullmatch(r"val: \d+ items, 3 labels", first)
    kept = r"Fitted in \d+ s \(finished after 2 epochs, epoch 2 kept\)\. Run folder: run"
    assert re.fullmatch(kept, last)
    for row in ("F1 at 0.5", "F1 at thresholds", "average precision", "NLL a label", "Brier"):
        assert re.search(rf"^{re.escape(row)}", done.out, re.M)
    split, texts = done.err.splitlines()
    assert split.startswith(f"Warning: {HASHED}")
    assert texts.startswith("Warning: text: The texts support")
    assert list(history("run")[0]) == [
        *("epoch", "nll", "kl", "beta", "elbo", "val_nll", "val_macro_ap", "seconds")
    ]


def test_the_forms_of_a_table_say_the_same(place: Path, bayesfuse: Bayesfuse) -> None:
    table = pd.read_csv("films.csv", keep_default_na=False)
    table["genres"] = table["genres"].str.split("|")
    table.to_json("films.jsonl", orient="records", lines=True)
    pictures = [Path(name).read_bytes() if name else None for name in table["poster"]]
    table.assign(poster=pictures).to_parquet("films.parquet")
    flags = {"films.csv": CSV, "films.jsonl": COLUMNS, "films.parquet": COLUMNS}
    found = {}
    for name, columns in flags.items():
        done = bayesfuse("fit", name, *columns, *ENCODE, *SMALL, "-o", f"run-{name}", "--json")
        assert done.code == 0, done.err
        found[name] = done.json["val"]
    assert found["films.jsonl"] == found["films.csv"]
    assert found["films.parquet"] == found["films.csv"]
    assert same("run-films.jsonl", "run-films.csv")


def test_json_is_one_document_and_warnings_are_not_in_its_way(
    place: Path, bayesfuse: Bayesfuse
) -> None:
    done = bayesfuse("fit", "films.csv", *CSV, *ENCODE, *SMALL, "-o", "run", "--json")
    assert done.out.count("\n") == 1
    assert list(done.json) == [
        *("run", "seconds", "epochs", "best_epoch", "stopped", "members", "elbo"),
        *("temperature", "class_weights", "loss", "label_smoothing", "recalibrate"),
        *("beside_likelihood", "warnings", "val"),
    ]
    assert [f"Warning: {words}" for words in done.json["warnings"]] == done.err.splitlines()
    metrics = json.loads(Path("run/metrics.json").read_text())
    assert done.json["val"] == metrics["val"]
    assert done.json["epochs"] == len(history("run"))


def test_the_same_seed_gives_the_same_numbers(place: Path, bayesfuse: Bayesfuse) -> None:
    flags = [*CSV, *ENCODE, *SMALL, "--split", "part"]
    for out, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert bayesfuse("fit", "films.csv", *flags, "--seed", seed, "-o", out).code == 0
    assert same("a", "b")
    assert not same("a", "c")
    names = ("nll", "kl", "beta", "elbo", "val_nll", "val_macro_ap")
    numbers = {run: [[row[name] for name in names] for row in history(run)] for run in "abc"}
    assert numbers["a"] == numbers["b"] != numbers["c"]


def test_settings_from_a_file(place: Path, bayesfuse: Bayesfuse) -> None:
    Path("fit.toml").write_text(
        'id = "id"\ntext = "plot"\nlabels = "genres"\nlabels-separator = "|"\nsplit = "part"\n'
        'text-encoder = "tfidf"\nhidden = 8\nclassifier-hidden = 8\nepochs = 2\nval-draws = 2\n'
        'annealing_epochs = 1\ndraws = 4\nprior-scale = {"fusion.text.*" = 0.1, "*" = "fan-in"}\n'
    )
    assert bayesfuse("fit", "films.csv", "--config", "fit.toml", "-o", "run").code == 0
    flags = [*CSV[:4], *CSV[6:], "--split", "part", *ENCODE[:2], *SMALL]
    flags += ["--prior-scale", "fusion.text.*=0.1,*=fan-in"]
    assert bayesfuse("fit", "films.csv", *flags, "-o", "flags").code == 0
    again = bayesfuse("fit", "films.csv", "--config", "run/config.json", "-o", "again")
    assert again.code == 0
    assert "no effect" not in again.err
    assert config("run") == config("flags") == config("again")
    assert config("run")["prior_scale"] == {"fusion.text.*": 0.1, "*": "fan-in"}
    assert same("run", "flags")
    assert same("run", "again")


def test_flags_come_before_the_file(place: Path, bayesfuse: Bayesfuse) -> None:
    Path("fit.toml").write_text("hidden = 5\nepochs = 1\nannealing-epochs = 0\n")
    flags = [*CSV, *ENCODE, "--config", "fit.toml", "--hidden", "6", "--draws", "4"]
    assert bayesfuse("fit", "films.csv", *flags, "-o", "run").code == 0
    assert (config("run")["hidden"], config("run")["epochs"]) == (6, 1)


def test_a_preset_and_a_flag_over_it(place: Path, bayesfuse: Bayesfuse) -> None:
    flags = ["--preset", "pm-mo", "--hidden", "64", "--epochs", "1", "--annealing-epochs", "0"]
    done = bayesfuse("fit", "films.csv", *CSV, *ENCODE, *flags, "--draws", "4", "-o", "run")
    assert done.code == 0, done.err
    expected = {**PRESETS["pm-mo"], "hidden": 64, "epochs": 1}
    assert {name: config("run")[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("elbo", "betas"),
    [
        ("none", ["0.0", "0.0"]),
        ("trace", ["1.0", "1.0"]),
        ("rao-blackwell", ["1.0", "1.0"]),
        ("meanfield", ["1.0", "1.0"]),
        ("annealed", ["0.2", "1.0"]),
    ],
)
def test_each_objective(elbo: str, betas: list[str], place: Path, bayesfuse: Bayesfuse) -> None:
    flags = [*SMALL[:2], *SMALL[4:8], "--elbo", elbo, *CSV, *ENCODE]
    flags += ["--annealing-epochs", "1"] if elbo == "annealed" else []
    done = bayesfuse("fit", "films.csv", *flags, "-o", "run")
    assert done.code == 0, done.err
    assert "no effect" not in done.err
    assert [row["beta"] for row in history("run")] == betas
    assert all((float(row["kl"]) > 0) == (elbo != "none") for row in history("run"))
    assert bayesfuse("evaluate", "run").code == 0


def test_a_temperature_is_said_everywhere(place: Path, bayesfuse: Bayesfuse) -> None:
    import pyarrow.parquet as pq

    for value, out in (("0.5", "cold"), ("1", "bayes")):
        flags = [*CSV, *ENCODE, *SMALL, "--temperature", value]
        said = {
            "fit": bayesfuse("fit", "films.csv", *flags, "-o", out).out,
            "predict": bayesfuse("predict", out, "-o", f"{out}.parquet").out,
            "evaluate": bayesfuse("evaluate", out).out,
        }
        assert [name for name, text in said.items() if "temperature 0.5" in text] == (
            list(said) if out == "cold" else []
        )
        assert bayesfuse("evaluate", out, "--json").json["temperature"] == float(value)
        assert json.loads(Path(out, "metrics.json").read_text())["temperature"] == float(value)
        metadata = pq.read_schema(f"{out}.parquet").metadata[b"bayesfuse"]
        assert json.loads(metadata)["temperature"] == float(value)
        assert float(history(out)[-1]["beta"]) == float(value)
        warnings = json.loads(Path(out, "environment.json").read_text())["warnings"]
        assert any("temperature 0.5" in words for words in warnings) == (out == "cold")


@pytest.mark.slow
def test_class_weights_are_said_everywhere(place: Path, bayesfuse: Bayesfuse) -> None:
    import pyarrow.parquet as pq

    flags = [*CSV, *ENCODE, *SMALL, "--class-weights", "positive"]
    for elbo, out in (("annealed", "bayes"), ("none", "plain")):
        said = [
            bayesfuse("fit", "films.csv", *flags, "--elbo", elbo, "-o", out),
            bayesfuse("predict", out, "-o", f"{out}.parquet"),
            bayesfuse("evaluate", out),
        ]
        assert "those of a reweighted problem" in said[0].err
        for done in said[1:]:
            assert "class weights positive: of a reweighted problem" in done.out
        assert bayesfuse("evaluate", out, "--json").json["class_weights"] == "positive"
        assert json.loads(Path(out, "metrics.json").read_text())["class_weights"] == "positive"
        metadata = pq.read_schema(f"{out}.parquet").metadata[b"bayesfuse"]
        assert json.loads(metadata)["class_weights"] == "positive"


def test_the_preset_of_2025_goes_by_macro_f1(place: Path, bayesfuse: Bayesfuse) -> None:
    flags = ["--preset", "swiglu", "--hidden", "8", "--epochs", "5"]
    done = bayesfuse("fit", "films.csv", *CSV, *ENCODE, *flags, "-o", "run")
    assert done.code == 0, done.err
    told = config("run")
    assert {name: told[name] for name in PRESETS["swiglu"]} == {
        **PRESETS["swiglu"],
        **{"hidden": 8, "epochs": 5},
    }
    rows = history("run")
    scores = [float(row["val_macro_f1"]) for row in rows]
    best = json.loads(Path("run/metrics.json").read_text())["best_epoch"]
    assert scores[best] >= max(scores) - told["min_delta"]
    assert "loss focal" in done.err
    assert bayesfuse("evaluate", "run", "--split", "val").code == 0


def test_weights_of_a_file_are_kept_with_the_run(place: Path, bayesfuse: Bayesfuse) -> None:
    flags = [*CSV, *ENCODE, *SMALL, "--elbo", "none", "-o"]
    Path("weights.csv").write_text("label,weight\nHorror,4\nDrama,0.5\n")
    done = bayesfuse("fit", "films.csv", *flags, "weighed", "--class-weight", "weights.csv")
    assert done.code == 0, done.err
    assert "class weights given by label" in done.out
    Path("weights.csv").unlink()
    weights = {"Horror": 4.0, "Drama": 0.5}
    assert config("weighed")["class_weights"] == weights
    again = bayesfuse("fit", "films.csv", "--config", "weighed/config.json", "-o", "again")
    assert again.code == 0, again.err
    assert same("weighed", "again")
    assert bayesfuse("fit", "films.csv", *flags, "plain").code == 0
    assert not same("weighed", "plain")
    Path("weights.csv").write_text("label,weight\nHorro,4\n")
    wrong = bayesfuse("fit", "films.csv", *flags, "wrong", "--class-weight", "weights.csv")
    assert wrong.code == 2
    assert 'Unknown label "Horro"' in wrong.err
    assert 'Did you mean "Horror"?' in wrong.err


@pytest.mark.slow
def test_recalibration_is_said_everywhere_and_changes_every_output(
    place: Path, bayesfuse: Bayesfuse
) -> None:
    import pyarrow.parquet as pq

    flags = [*CSV, *ENCODE, *SMALL, "--split", "part"]
    for how in ("none", "isotonic", "temperature"):
        done = bayesfuse("fit", "films.csv", *flags, "--recalibrate", how, "-o", how)
        assert done.code == 0, done.err
        assert (f"recalibrated ({how}) on the val items" in done.err) == (how != "none")
        assert Path(how, "recalibration.json").is_file() == (how != "none")
        said = [
            bayesfuse("predict", how, "-o", f"{how}.parquet").out,
            bayesfuse("evaluate", how).out,
            bayesfuse("rank", how, "--label", "Horror").out,
        ]
        for out in said:
            assert (f", recalibrated on val ({how})" in out) == (how != "none")
        told = json.loads(pq.read_schema(f"{how}.parquet").metadata[b"bayesfuse"])
        assert told["recalibrate"] == how
    means = [pq.read_table(f"{how}.parquet")["mean"] for how in ("none", "isotonic", "temperature")]
    assert len({tuple(mean.to_pylist()) for mean in means}) == 3
    nll = [bayesfuse("evaluate", how, "--json").json["nll"] for how in ("none", "temperature")]
    assert nll[1] < nll[0]


def test_modality_dropout_trains_otherwise(place: Path, bayesfuse: Bayesfuse) -> None:
    flags = [*CSV, *ENCODE, *SMALL]
    assert bayesfuse("fit", "films.csv", *flags, "-o", "a").code == 0
    done = bayesfuse("fit", "films.csv", *flags, "--modality-dropout", "0.2", "-o", "b")
    assert done.code == 0
    assert not same("a", "b")


def test_an_annealing_that_never_ends_is_told(place: Path, bayesfuse: Bayesfuse) -> None:
    flags = [*CSV, *ENCODE, *SMALL, "--annealing-epochs", "9"]
    done = bayesfuse("fit", "films.csv", *flags, "-o", "run")
    assert done.code == 0
    assert "Warning: The model is from before the annealing has ended" in done.err


def test_flags_without_effect_are_told(place: Path, bayesfuse: Bayesfuse) -> None:
    flags = [*CSV, *ENCODE, *SMALL, "--elbo", "none", "--temperature", "0.5"]
    done = bayesfuse("fit", "films.csv", *flags, "-o", "run")
    assert done.code == 0
    assert (
        "Warning: --temperature, --draws, --val-draws: no effect with --elbo none; for --elbo "
        "annealed, meanfield, rao-blackwell, trace only.\n"
    ) in done.err
    assert "temperature" not in done.out  # there is no posterior to have one


@pytest.mark.slow
def test_without_a_catalogue_it_is_the_demo(
    tmp_path: Path, bayesfuse: Bayesfuse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = bayesfuse("fit", *SMALL, "--out", "run")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("val: 400 items, 8 labels\n")
    assert {p.name for p in tmp_path.iterdir()} == {"run"}
    scores = bayesfuse("evaluate", "run", "--json")
    assert scores.json["num_items"] == 400
    assert (
        bayesfuse("data", "demo", "demo-catalogue").out
        == f"2,000 items: {tmp_path}/demo-catalogue\n"
    )
    written = bayesfuse("evaluate", "run", "demo-catalogue", "--json")
    assert written.json == scores.json


def test_members_are_fitted_saved_and_drawn_from(place: Path, bayesfuse: Bayesfuse) -> None:
    args = ("films.csv", *CSV, *ENCODE, *SMALL, "--members", "2")
    done = bayesfuse("fit", *args, "--out", "run", "--json")
    assert done.code == 0
    assert [m["epochs"] for m in json.loads(done.out)["members"]] == [2, 2]
    assert (Path("run") / "history-2.csv").is_file()
    assert any(name.startswith("members.1.guide.") for name in weights("run"))
    assert bayesfuse("predict", "run", "films.csv", "--out", "p.parquet").code == 0
    few = bayesfuse("predict", "run", "films.csv", "--out", "q.parquet", "--draws", "1")
    assert few.code == 2
    assert "expected at least 2, one of each member" in few.err
    assert not Path("q.parquet").exists()
    none = bayesfuse("fit", *args, "--out", "none", "--elbo", "none")
    assert none.code == 2
    assert "no posterior to be one of several" in none.err
    assert not Path("none").exists()
