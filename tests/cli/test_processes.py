"""Real processes: pipes, a terminal, Ctrl-C."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bayesfuse.config import FUSIONS
from tests.cli.conftest import CSV, ENCODE, SMALL, Ran, argv, tree

FIT = ["fit", "films.csv", *CSV, *ENCODE, *SMALL]
FOREVER = ["--epochs", "100000", "--patience", "100000"]
TIMEOUT = 120.0


def run(*args: object) -> Ran:
    done = subprocess.run(argv(*args), capture_output=True, text=True, timeout=TIMEOUT)
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.slow
def test_a_pipe_gets_results_and_no_progress(place: Path) -> None:
    done = run(*FIT, "-o", "run", "--json")
    assert done.code == 0, done.err
    assert done.json["run"] == "run"  # all of stdout is one document
    assert "\x1b" not in done.out + done.err
    assert all(line.startswith("Warning: ") for line in done.err.splitlines())


def test_a_mistake_has_no_traceback_and_no_output(place: Path) -> None:
    before = tree(place)
    done = run("fit", "films.csv", *CSV, *ENCODE, "--fusion", "gum", "-o", "run")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        'Error: In the flags:\n  - --fusion: Unknown fusion rule "gum"; expected one of '
        f'{", ".join(FUSIONS)}. Did you mean "gmu"?\n'
    )
    assert tree(place) == before


@pytest.mark.parametrize("args", [["--help"], ["fit", "--help"], ["fit", "--elbo", "anealed"]])
def test_help_and_bad_settings_come_at_once(args: list[str]) -> None:
    # nothing heavy is loaded for them; `tests/test_house.py` holds the first to half a second
    code = f"import sys; sys.argv[1:] = {args!r}\nfrom bayesfuse.cli import main\n"
    code += "try: main()\nexcept SystemExit: pass\nprint(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    modules = done.stderr.splitlines()[-1]
    assert "'bayesfuse.cli'" in modules
    assert not re.search(r"'(torch|pyro|pandas|numpy|sklearn)'", modules)


@pytest.mark.slow
def test_a_reader_who_has_had_enough(place: Path, fitted: Path) -> None:
    process = subprocess.Popen(
        argv("evaluate", fitted), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()  # as `| head -0` does
    _, err = process.communicate(timeout=TIMEOUT)
    assert "Traceback" not in err
    assert process.returncode == 1


# ---- Ctrl-C ----


def interrupt(args: list[str], ready: Callable[[str], bool], cwd: Path) -> Ran:
    """Run a command in a terminal of its own, and press Ctrl-C when its progress says so."""
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        argv(*args),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=slave,
        text=True,
        env={**os.environ, "COLUMNS": "100", "TERM": "xterm"},
    )
    os.close(slave)
    seen, sent, started = "", False, time.monotonic()
    with contextlib.suppress(OSError):  # the other end is closed
        while time.monotonic() - started < TIMEOUT:
            if select.select([master], [], [], 0.1)[0]:
                seen += os.read(master, 65536).decode(errors="replace")
            elif process.poll() is not None:
                break
            if not sent and ready(seen):
                process.send_signal(signal.SIGINT)
                sent = True
    os.close(master)
    try:
        out, _ = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    assert sent
    return Ran(process.returncode, out, re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen))


def epoch(seen: str) -> int:
    """Return the last epoch that progress has shown."""
    found = re.findall(r"epoch (\d+)/", seen)
    return int(found[-1]) if found else 0


@pytest.fixture(scope="module")
def interrupted(films: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Path]:
    """Return a fit in a terminal that Ctrl-C ended after some epochs, and its run folder."""
    place = tmp_path_factory.mktemp("interrupted") / "place"
    shutil.copytree(films, place)
    done = interrupt([*FIT, *FOREVER, "-o", "run"], lambda seen: epoch(seen) >= 5, place)
    return done, place / "run"


def test_ctrl_c_keeps_the_best_model_and_says_so(interrupted: tuple[Ran, Path]) -> None:
    done, path = interrupted
    assert done.code == 0, done.err
    kept = re.search(r"Training was interrupted; the model of\s+epoch (\d+) is kept", done.err)
    assert kept is not None
    stopped = re.search(r"interrupted after (\d+) epochs, epoch (\d+) kept", done.out)
    assert stopped is not None
    assert stopped[2] == kept[1]
    metrics = json.loads((path / "metrics.json").read_text())
    assert metrics["stopped"] == "interrupted"
    assert metrics["best_epoch"] == int(kept[1]) - 1
    with (path / "history.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    # the fifth epoch was seen to begin, so four at least had ended
    assert 4 <= len(rows) == int(stopped[1]) < 100_000
    best = min(rows[1:], key=lambda row: float(row["val_nll"]))  # the first is before the end of β
    assert int(best["epoch"]) == metrics["best_epoch"]
    assert run("evaluate", path).code == 0


@pytest.mark.slow
def test_ctrl_c_before_the_annealing_has_ended(place: Path) -> None:
    flags = [*FIT, *FOREVER, "--annealing-epochs", "90000", "-o", "run"]
    done = interrupt(flags, lambda seen: epoch(seen) >= 3, place)
    assert done.code == 0, done.err
    words = " ".join(done.err.split())
    assert "Training was interrupted" in words
    assert "from before the annealing has ended" in words
    assert Path("run/model.safetensors").is_file()


@pytest.mark.slow
def test_ctrl_c_before_training_leaves_nothing(place: Path) -> None:
    before = tree(place)
    done = interrupt([*FIT, *FOREVER, "-o", "run"], lambda seen: "reading" in seen, place)
    assert (done.code, done.out) == (130, "")
    assert done.err.rstrip().endswith("Interrupted; nothing was written.")
    assert tree(place) == before


# ---- progress ----


def test_a_terminal_sees_where_training_is(interrupted: tuple[Ran, Path]) -> None:
    done, _ = interrupted
    line = [text for text in re.split(r"[\r\n]+", done.err) if "val NLL" in text][-1]
    assert re.search(r"epoch \d+/100000 ", line)
    assert re.search(r"NLL \d+\.\d{3}  KL \d+\.\d\d  β 1\.00  val NLL \d\.\d{4}", line)
    assert re.search(r"\d:\d\d:\d\d left", line)
    assert "…" not in line
    assert "epoch" not in done.out.splitlines()[0]  # it is on stderr alone
