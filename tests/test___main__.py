"""`python -m bayesfuse` is `bayesfuse`."""

from __future__ import annotations

import subprocess
import sys


def test_it_is_the_command_line() -> None:
    run = [sys.executable, "-m", "bayesfuse"]
    done = subprocess.run([*run, "--help"], capture_output=True, text=True, check=True)
    assert "Usage:" in done.stdout
    assert "predict" in done.stdout
    wrong = subprocess.run([*run, "predikt"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")
