"""Importing timm where torchvision has its operators and where not, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from bayesfuse.encoders.torchvision_operators import import_timm, import_torchvision
from bayesfuse.errors import MissingExtraError

if find_spec("timm") is None:
    pytest.skip("timm is not installed", allow_module_level=True)

BY_ITSELF_THEN_OURS = """
try:
    import torchvision
except RuntimeError as error:
    print(error)
from bayesfuse.encoders import torchvision_operators as ours
timm = ours.import_timm()
assert ours.import_timm() is timm
from timm.data import create_transform
print(len(ours._declared), timm.list_models("test_resnet"))
"""
OPERATORS_ARE_THERE = """
import torch
library = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    library.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
from bayesfuse.encoders import torchvision_operators as ours
print(len(ours._declared), ours.import_torchvision().__name__)
"""


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.slow
def test_where_the_import_fails_the_names_are_declared_once():
    *failure, found = run(BY_ITSELF_THEN_OURS).splitlines()
    if not failure:
        assert found == "0 ['test_resnet']"
        pytest.skip("torchvision finds its compiled operators here, and is left alone")
    assert failure == ["operator torchvision::nms does not exist"]
    assert found == "1 ['test_resnet']"


@pytest.mark.slow
def test_operators_that_are_there_are_left_alone():
    assert run(OPERATORS_ARE_THERE) == "0 torchvision"


def test_it_works_in_this_process():
    assert import_timm() is sys.modules["timm"]
    assert import_torchvision() is sys.modules["torchvision"]


@pytest.mark.parametrize("package", ["timm", "torchvision"])
def test_a_missing_package_names_the_extra(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(MissingExtraError, match=rf"{package}.*bayesfuse\[image\]"):
        import_torchvision() if package == "torchvision" else import_timm()


def test_bayesfuse_does_not_import_it_by_itself():
    program = (
        "import sys, bayesfuse.encoders.torchvision_operators as t; print('torch' in sys.modules)"
    )
    assert run(program) == "False"
