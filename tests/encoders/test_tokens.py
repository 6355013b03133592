"""Texts as tokens, for the network that they are of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bayesfuse.encoders.names import encoder_names
from bayesfuse.encoders.saving import encoder_from_state
from bayesfuse.encoders.text import TransformersEncoder
from bayesfuse.encoders.tokens import TokensEncoder
from bayesfuse.errors import ConfigError, FeatureError

CELLS = ["joke party", None, "knife night ghost scream rain letter tears mother dog", " ", "dog"]


def fitted(model: Path, max_length: int = 8) -> TokensEncoder:
    return TokensEncoder(str(model), max_length).fit(CELLS)


def test_tokens_are_those_that_the_text_encoder_would_read(tiny_bert: Path) -> None:
    made = fitted(tiny_bert)
    tokens, observed = made.encode(CELLS)
    assert tokens.shape == (5, 8)
    assert tokens.dtype == np.float32
    assert observed.tolist() == [True, False, True, False, True]
    encoder = TransformersEncoder(str(tiny_bert)).fit(CELLS)
    expected, _ = encoder.tokens(CELLS, 8)
    width = expected.shape[1]
    assert np.array_equal(tokens[observed][:, :width], expected[observed])
    assert (tokens[:, width:] == made.pad).all()
    assert (tokens[~observed] == made.pad).all()
    cls, sep = made.special
    assert (tokens[observed, 0] == cls).all()
    assert tokens[2, -1] == sep
    assert [remark.row for remark in made.remarks_] == [2]


def test_a_state_has_all_but_the_network(tiny_bert: Path) -> None:
    made = fitted(tiny_bert)
    config, arrays = made.state()
    assert arrays == {}
    again = encoder_from_state(config, arrays)
    assert isinstance(again, TokensEncoder)
    assert np.array_equal(again.encode(CELLS)[0], made.encode(CELLS)[0])
    assert (again.pad, again.special, again.width) == (made.pad, made.special, 8)
    assert again.fingerprint() == made.fingerprint()
    assert made.network() is not None
    for empty in (made, again):
        with pytest.raises(FeatureError, match="has no network"):
            empty.network()


def test_what_does_not_fit(tiny_bert: Path) -> None:
    with pytest.raises(FeatureError, match="not fitted"):
        TokensEncoder(str(tiny_bert)).encode(CELLS)
    with pytest.raises(ConfigError, match="max_length is 99"):
        fitted(tiny_bert, 99)
    with pytest.raises(FeatureError, match="incomplete"):
        TokensEncoder.from_state({"model": "x", "max_length": 3, "languages": []}, {})
    assert "tokens" not in encoder_names()
