"""Is what `pip install 'bayesfuse[all]'` brings really usable, and under warnings as errors?"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

EXTRAS = {
    "transformers": "text",
    "py3langid": "text",
    "huggingface_hub": "image",  # and text
    "timm": "image",
    "torchvision": "image",
    "h5py": "hdf5",
    "torch_geometric": "pyg",
    "dgl": "dgl",
    "arviz": "report",
    "h5netcdf": "report",
    "xarray": "report",
    "matplotlib": "report",
    "jinja2": "report",
    "mapie": "decisions",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "onnxruntime": "onnx",
}
"""Every optional package and the extra that brings it."""

IMPORTED_LATER = {"timm", "torchvision", "torch_geometric"}
"""Compiled against a torch build, or asking for what is: their own users' tests import them."""

WARNS_ON_IMPORT = {"arviz": "ignore::FutureWarning"}
"""ArviZ 0.23 announces its next major version each time it is imported."""


def run_python(
    code: str, *, home: Path, warnings: str = "error"
) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh interpreter whose home folder is `home`."""
    environment = {**os.environ, "HOME": str(home), "DGLBACKEND": "pytorch"}
    return subprocess.run(
        [sys.executable, "-W", "error", "-W", warnings, "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )


def require(package: str) -> None:
    """Skip the test, naming the extra, where `package` is not installed."""
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed: pip install 'bayesfuse[{EXTRAS[package]}]'")


def test_the_table_names_every_optional_package() -> None:
    declared: dict[str, str] = {}
    for line in importlib.metadata.requires("bayesfuse") or []:
        requirement = Requirement(line)
        for extra in ("text", "image", "hdf5", "pyg", "dgl", "report", "decisions", "onnx"):
            if f'extra == "{extra}"' in str(requirement.marker):
                declared.setdefault(requirement.name.replace("-", "_"), extra)
    assert declared == EXTRAS


@pytest.mark.parametrize("package", sorted(set(EXTRAS) - IMPORTED_LATER - {"dgl"}))
def test_optional_package_imports(package: str, tmp_path: Path) -> None:
    require(package)
    done = run_python(
        f"import {package}", home=tmp_path, warnings=WARNS_ON_IMPORT.get(package, "error")
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", sorted(IMPORTED_LATER))
def test_optional_package_is_installed(package: str) -> None:
    require(package)
    assert importlib.metadata.version(package)


def test_dgl_works_with_this_torch_and_numpy(tmp_path: Path) -> None:
    # In a process of its own: DGL loads a C++ library that stays for the life of the process.
    # DGLBACKEND keeps it from writing ~/.dgl/config.json and from printing to stdout and stderr.
    require("dgl")
    code = """
import json, torch, dgl, dgl.nn.pytorch
graph = dgl.graph((torch.tensor([0, 1, 2]), torch.tensor([1, 2, 2])))
out = dgl.ops.copy_u_sum(graph, torch.tensor([[1.0], [2.0], [4.0]]))
attention = dgl.nn.pytorch.GATConv(1, 3, num_heads=2, allow_zero_in_degree=True)
print(json.dumps({"sum": out.flatten().tolist(), "heads": list(attention(graph, out).shape)}))
"""
    done = run_python(code, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"sum": [0.0, 1.0, 6.0], "heads": [3, 2, 3]}
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []
