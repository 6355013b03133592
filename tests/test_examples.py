"""Every example runs, on a catalogue that is small enough for a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
ARGUMENTS = {"choices.py": ["--seeds", "1", "--epochs", "1", "--variants", "default", "ensemble"]}


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    arrays = {"text": rng.normal(size=(90, 6)), "image": rng.normal(size=(90, 4))}
    np.savez(tmp_path / "features.npz", **{k: v.astype(np.float16) for k, v in arrays.items()})
    labels = [
        [name for c, name in enumerate("AB") if row[c] > 0] or ["B"] for row in arrays["text"]
    ]
    split = np.where(np.arange(90) % 3 == 0, "val", "train")
    ids = [f"i{i}" for i in range(90)]
    pd.DataFrame({"id": ids, "labels": labels, "split": split}).to_parquet(tmp_path / "t.parquet")
    (tmp_path / "catalog.toml").write_text(
        'table = "t.parquet"\nid = "id"\nlabels = "labels"\nsplit = "split"\n'
        '[modalities.text]\nfeatures = "features.npz:text"\n'
        '[modalities.image]\nfeatures = "features.npz:image"\n'
    )
    return tmp_path


def test_every_example_is_listed() -> None:
    others = {"own_table.py", "graph_gain.py"}
    assert {path.name for path in EXAMPLES.glob("*.py")} == {*ARGUMENTS, *others}


@pytest.mark.slow
@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_example_runs(name: str, catalogue: Path) -> None:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), str(catalogue)]
    done = subprocess.run([*command, *ARGUMENTS[name]], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = done.stdout.splitlines()
    assert [row.split("|")[1].strip() for row in rows] == ["variant", "---", "default", "ensemble"]
    scores = [float(cell) for cell in rows[2].split("|")[2:6]]
    assert all(0 <= score <= 1 for score in scores)


@pytest.mark.slow
def test_what_neighbours_are_worth_by_their_number(catalogue: Path) -> None:
    table = pd.read_parquet(catalogue / "t.parquet")
    table["director"] = [[f"d{i % 7}"] if i % 5 else [] for i in range(90)]
    table.to_parquet(catalogue / "t.parquet")
    with (catalogue / "catalog.toml").open("a") as file:
        file.write('[graph]\npeople = ["director"]\n')
    command = [sys.executable, "-W", "error", str(EXAMPLES / "graph_gain.py"), str(catalogue)]
    command += ["--seeds", "1", "--epochs", "1", "--keep", str(catalogue / "kept")]
    command += ["--variants", "text+image", "graph+labels", "graph twin"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    heads = [line for line in lines if line.endswith(" items")]
    assert heads == ["All, 30 items", "0 neighbours, 6 items", "6 to 20 neighbours, 24 items"]
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("| graph+labels")]
    assert len(rows) == 3
    for name, ap, _, nll, difference, _ in rows:
        assert name.strip() == "graph+labels"
        assert 0 < float(ap) <= 1
        low, high = map(float, difference.split(" to "))
        assert low < high
        assert 0 < float(nll) < 2
    assert len(list((catalogue / "kept").iterdir())) == 3
    again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert again.stdout == done.stdout


@pytest.mark.slow
def test_four_commands_take_a_table_of_ones_own_to_a_report(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    command = [sys.executable, "-W", "error", str(EXAMPLES / "own_table.py"), str(shop)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    ran = [line for line in done.stdout.splitlines() if line.startswith("$ bayesfuse")]
    assert [line.split()[2] for line in ran] == ["encode", "fit", "predict", "report"]
    tags = pd.read_parquet(shop / "predictions.parquet")
    assert len(tags) == 20 * 3
    assert tags["mean"].between(0, 1).all()
    broken = pd.read_csv(shop / "items.encoded" / "encode_report.csv")
    assert set(broken["id"]) == {"A007", "A011"}
    page = (shop / "run" / "report.html").read_text(encoding="utf-8")
    assert "kitchen" in page
