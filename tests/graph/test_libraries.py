from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bayesfuse.errors import MissingExtraError
from bayesfuse.graph.libraries import import_dgl, import_pyg


def test_without_dgl_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dgl", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'bayesfuse\[dgl\]'"):
        import_dgl()


def test_without_pyg_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_geometric", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'bayesfuse\[pyg\]'"):
        import_pyg()


def test_pyg_comes_without_a_warning() -> None:
    try:
        pyg = import_pyg()
    except MissingExtraError as error:
        pytest.skip(str(error))
    assert pyg.data.Data(num_nodes=3).num_nodes == 3


@pytest.mark.slow
def test_dgl_comes_quietly_and_writes_nothing_into_the_home(tmp_path: Path) -> None:
    try:
        import_dgl()
    except MissingExtraError as error:
        pytest.skip(str(error))
    environment = {k: v for k, v in os.environ.items() if k != "DGLBACKEND"}
    code = "from bayesfuse.graph.libraries import import_dgl; print(import_dgl().__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout == "dgl\n", done.stderr
    assert not (tmp_path / ".dgl").exists()
