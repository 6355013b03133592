from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pyro
import pytest
import torch
from pyro.infer import SVI, TraceMeanField_ELBO

from bayesfuse.inference.elbo import MultiLabelModel
from bayesfuse.inference.local_params import local_params, with_local_params

SETTING = "module_local_params"


def test_the_setting_is_on_inside_and_as_it_was_outside() -> None:
    assert pyro.settings.get(SETTING) is False
    with local_params():
        assert pyro.settings.get(SETTING) is True
        with local_params():
            pass
        assert pyro.settings.get(SETTING) is True
    assert pyro.settings.get(SETTING) is False
    with pyro.settings.context(module_local_params=True):
        with local_params():
            pass
        assert pyro.settings.get(SETTING) is True


def test_an_error_inside_puts_the_setting_back() -> None:
    @with_local_params
    def fails() -> None:
        """Say why."""
        assert pyro.settings.get(SETTING) is True
        raise KeyError

    assert fails.__doc__ == "Say why."
    with pytest.raises(KeyError):
        fails()
    assert pyro.settings.get(SETTING) is False


def test_importing_changes_no_setting_of_pyro_or_torch() -> None:
    script = """
import pyro, torch
before = (pyro.settings.get(), torch.get_default_dtype(), torch.is_grad_enabled())
import bayesfuse.inference.svi, bayesfuse.inference.predictive
after = (pyro.settings.get(), torch.get_default_dtype(), torch.is_grad_enabled())
assert before[0]["module_local_params"] is False
assert before == after, (before, after)
assert not list(pyro.get_param_store().keys())
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_the_programs_run_in_pyro_itself_without_its_store(
    make_fused: Callable[..., Any], make_batches: Callable[..., Any]
) -> None:
    made, batch = make_fused(prior="horseshoe", scale="learned"), make_batches().read(slice(None))
    model = MultiLabelModel(made.lifted, 40)
    loss = TraceMeanField_ELBO().loss(model, made.guide, *batch)
    assert torch.isfinite(torch.tensor(loss))
    made.guide()
    made.lifted(batch.inputs, batch.observed)
    assert not list(pyro.get_param_store().keys())
    # the control: Pyro's own habit, without the context, is to fill its store
    plain = pyro.nn.PyroModule[torch.nn.Linear](2, 1)
    SVI(lambda: plain(torch.zeros(1, 2)), lambda: None, pyro.optim.Adam({}), TraceMeanField_ELBO())
    with pyro.poutine.trace():
        plain(torch.zeros(1, 2))
    assert list(pyro.get_param_store().keys())
    pyro.clear_param_store()
