"""Importing transformers: its networks import, too; and silence for a while."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest

from bayesfuse.encoders.transformers_library import import_transformers, quietly
from bayesfuse.errors import MissingExtraError

PROBE = """
from bayesfuse.encoders.transformers_library import import_transformers
print(import_transformers().BertModel.__name__)
"""


@pytest.mark.slow
def test_networks_can_be_imported_in_a_fresh_process():
    done = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "BertModel\n"
    assert not done.stderr


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'bayesfuse\[text\]'"):
        import_transformers()


def _say_something(capfd):
    from transformers.utils import logging

    capfd.readouterr()
    logging.get_logger("transformers.tests").warning("a warning")
    for _ in logging.tqdm(range(2), desc="a bar"):
        pass
    return capfd.readouterr().err


def test_nothing_is_heard_inside_and_all_outside(capfd):
    assert "a bar" in _say_something(capfd)
    with quietly():
        assert _say_something(capfd) == ""
        warnings.warn("not an error here", FutureWarning, stacklevel=1)
    assert "a bar" in _say_something(capfd)
    with pytest.raises(FutureWarning):
        warnings.warn("an error again", FutureWarning, stacklevel=1)


def test_what_was_set_before_is_set_again_after_a_failure_too():
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )
    from transformers.utils import logging

    def fail():
        with quietly():
            assert logging.get_verbosity() == logging.ERROR
            raise RuntimeError("inside")

    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.DEBUG)
    disable_progress_bars()
    try:
        with pytest.raises(RuntimeError, match="inside"):
            fail()
        assert logging.get_verbosity() == logging.DEBUG
        assert logging.is_progress_bar_enabled()
        assert are_progress_bars_disabled()
    finally:
        logging.set_verbosity(verbosity)
        enable_progress_bars()
