"""What every test shares: seeds, one failure rate, and a look at the state that a test leaves."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile("bayesfuse", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("bayesfuse")

SEED = 20200709
"""Every test starts from this seed, whichever tests ran before it."""

FAILURE_RATE = 1e-4
"""How often a correct program may fail one statistical test, if its seed were drawn anew."""

MOVIES = Path(__file__).parents[2] / "shared" / "data" / "movies"
"""Where the movie catalogue lies, beside the checkout; it is too large to be part of it."""


@pytest.fixture(autouse=True)
def clean_state() -> Iterator[None]:
    """Seed every generator, check Pyro's programs, and find the test that leaves state behind.

    bayesfuse promises that two models in one process do not touch each other, so no test may leave
    a parameter in Pyro's global store, nor another default dtype in torch.
    """
    import torch  # here, so that collecting light tests stays light

    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002 - scikit-learn and scipy draw from the global generator
    torch.manual_seed(SEED)
    with ExitStack() as stack:
        if "pyro" in sys.modules:
            import pyro

            stack.enter_context(pyro.validation_enabled(True))
        yield
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    assert dtype is torch.float32, f"the test left {dtype} as torch's default dtype"
    if "pyro" in sys.modules:
        import pyro

        left = sorted(pyro.get_param_store().keys())
        pyro.clear_param_store()
        assert not left, f"the test left parameters in Pyro's global store: {', '.join(left)}"


@pytest.fixture(scope="session")
def failure_rate() -> float:
    """Return the one significance level of the suite's statistical tests.

    A test compares its p-value with this, divided by the number of p-values it looks at. Seeds are
    fixed, so a test that passes once passes always; the rate says how surprising the numbers are
    that the seed happened to give. Each such test has a negative control which must fall below it.
    """
    return FAILURE_RATE


@pytest.fixture(scope="session")
def movies_path() -> Path:
    """Return the folder of the movie catalogue, or skip the test where it is absent."""
    if not (MOVIES / "catalog.toml").is_file():
        pytest.skip("no movie catalogue at ../shared/data/movies beside the checkout")
    return MOVIES
