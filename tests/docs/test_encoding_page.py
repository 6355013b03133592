"""The encoder that the page on encoding shows is installed as it says, and used."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "encoding.md"


def block(kind: str, title: str) -> str:
    found = re.search(rf'```{kind} title="{re.escape(title)}"\n(.*?)```', PAGE.read_text(), re.S)
    assert found is not None
    return found[1]


@pytest.mark.slow
def test_the_pages_encoder_works_like_a_built_in_one(tmp_path: Path) -> None:
    (tmp_path / "lengths.py").write_text(block("python", "lengths.py"))
    project = block("toml", "pyproject.toml")
    assert (
        '[project.entry-points."bayesfuse.encoders"]\nlength = "lengths:LengthEncoder"' in project
    )
    # what pip makes of that
    info = tmp_path / "lengths-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lengths\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bayesfuse.encoders]\nlength = lengths:LengthEncoder\n")
    rows = [{"id": f"i{i}", "plot": "A" * i, "tags": "ab"[i % 2]} for i in range(40)]
    pd.DataFrame(rows).to_csv(tmp_path / "items.csv", index=False)
    columns = ["--id", "id", "--text", "plot", "--labels", "tags", "--labels-separator", "|"]

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "bayesfuse.cli", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)}
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    made = run("encode", "items.csv", *columns, "--text-encoder", "length", "--json")
    assert json.loads(made)["modalities"]["text"]["features"] == 2
    run("fit", "items.csv", *columns, "--epochs", "1", "--annealing-epochs", "0", "--out", "run")
    assert json.loads((tmp_path / "run" / "encoders.json").read_text())["text"]["name"] == "length"
    assert "40 items" in run("predict", "run", "--out", "tags.parquet")
