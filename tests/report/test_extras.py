from __future__ import annotations

import pytest

from bayesfuse.errors import MissingExtraError, UserError
from bayesfuse.report.extras import missing_extra


def test_the_message_says_what_to_type() -> None:
    error = missing_extra("matplotlib")
    assert "matplotlib" in str(error)
    assert "pip install 'bayesfuse[report]'" in str(error)


def test_it_is_a_mistake_that_the_user_can_mend() -> None:
    with pytest.raises(UserError) as caught:
        raise missing_extra("jinja2")
    assert isinstance(caught.value, MissingExtraError)
    assert caught.value.exit_code == 2
