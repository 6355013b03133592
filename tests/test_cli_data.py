"""The commands that make catalogues; what they make is tested in tests/data and tests/cli."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bayesfuse.cli_data import data_app
from bayesfuse.terminal import counting_progress
from tests.data.mmimdb_files import write_folder

runner = CliRunner()


class Terminal(io.StringIO):
    """A text file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_demo_says_what_it_made(tmp_path: Path) -> None:
    done = runner.invoke(data_app, ["demo", str(tmp_path / "demo"), "--num-items", "12"])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"12 items: {tmp_path / 'demo'}\n"


def test_mmimdb_says_what_it_made_and_warns_on_stderr(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "mmimdb", {"train": [1, 2], "dev": [3]}, {2: {"plot": None}})
    out = tmp_path / "catalogue"
    done = runner.invoke(data_app, ["mmimdb", str(root), "--out", str(out)])
    assert done.exit_code == 0
    assert done.stdout == f"3 movies (train 2, val 1, test 0), 23 genres: {out}\n"
    assert done.stderr == "Warning: 1 movies have no plot (0000002): their text is missing.\n"


def test_mmimdb_passes_its_options_on(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "mmimdb", {"train": [1, 2]}, {2: {"genres": ["News"]}})
    command = ["mmimdb", str(root), "--out", str(tmp_path / "catalogue")]
    done = runner.invoke(data_app, [*command, "--plots", "first", "--protocol", "mmbt"])
    assert done.exit_code == 0, done.stderr
    assert "1 left out" in done.stdout
    assert "--plots first --protocol mmbt" in (tmp_path / "catalogue/catalog.toml").read_text()
    refused = runner.invoke(data_app, command)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--overwrite" in refused.stderr
    assert runner.invoke(data_app, [*command, "--overwrite"]).exit_code == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["PATH", "--out", "out"], "no such file or folder"),
        (["PATH", "--out", "out", "--plots", "longst"], 'Did you mean "longest"?'),
        (["PATH", "--out", "out", "--protocol", "mmtb"], 'Did you mean "mmbt"?'),
        (["PATH"], "--out"),
    ],
)
def test_mistakes_end_with_2(tmp_path: Path, args: list[str], said: str) -> None:
    at = {"PATH": str(tmp_path / "absent"), "out": str(tmp_path / "out")}
    done = runner.invoke(data_app, ["mmimdb", *(at.get(arg, arg) for arg in args)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_counting_shows_what_is_done_in_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with counting_progress("reading", "movies") as on_progress:
        assert on_progress is None
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    with counting_progress("reading", "movies") as on_progress:
        assert on_progress is not None
        on_progress(512, 25_959)
    assert "reading" in terminal.getvalue()
    assert "512 of 25,959 movies" in terminal.getvalue()
