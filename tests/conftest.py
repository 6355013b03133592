"""What every test shares: seeds, one failure rate, and a look at the state that a test leaves."""

from __future__ import annotations

import random
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy import stats

hypothesis.settings.register_profile("bayesfuse", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("bayesfuse")

SEED = 20200709
"""Every test starts from this seed, whichever tests ran before it."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it puts in the background so, and children would inherit it: then none of
    # the programs that the tests start could be stopped by Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

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
def p_beyond() -> Callable[..., float]:
    """Return a test of whether the mean of independent values is further from 0 than a slack.

    The hypothesis is that |mean| ≤ slack; Student's t. A slack is for what is known to be
    approximate, such as a variational family or an optimiser that stops; sampling has none.
    """

    def test(values: ArrayLike, slack: float = 0.0) -> float:
        values = np.asarray(values, np.float64)
        excess = abs(values.mean()) - slack
        standard_error = values.std(ddof=1) / values.size**0.5
        if standard_error == 0:
            return float(excess <= 0)
        return float(min(1.0, 2 * stats.t.sf(excess / standard_error, values.size - 1)))

    return test


@pytest.fixture(scope="session")
def movies_path() -> Path:
    """Return the folder of the movie catalogue, or skip the test where it is absent."""
    if not (MOVIES / "catalog.toml").is_file():
        pytest.skip("no movie catalogue at ../shared/data/movies beside the checkout")
    return MOVIES


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small BERT with random weights and a tokenizer of its own."""
    import torch
    from tokenizers import BertWordPieceTokenizer

    from bayesfuse.encoders.torchvision_operators import import_torchvision

    import_torchvision()  # transformers looks for it
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    words = (
        *("joke", "party", "clown", "dog", "tears", "mother"),
        *("letter", "rain", "knife", "night", "ghost", "scream"),
    )
    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator([" ".join(words)] * 20, vocab_size=300, show_progress=False)
    folder.mkdir()
    tokenizer.save_model(str(folder))
    BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="session")
def tiny_timm(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Return the name of a small image model and a file of random weights for it."""
    import torch
    from safetensors.torch import save_file

    from bayesfuse.encoders.torchvision_operators import import_timm

    timm = import_timm()
    torch.manual_seed(0)
    name = "test_resnet"
    model = timm.create_model(name, pretrained=False)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_file(model.state_dict(), path)
    return name, path
