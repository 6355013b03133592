"""Every encoder keeps the contract."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest

from bayesfuse.data.demo import make_demo
from bayesfuse.encoders.base import Encoder
from bayesfuse.encoders.names import encoder_class, encoder_names, make_encoder

COLUMN = {"text": "plot", "image": "poster"}
LIGHT = [name for name in encoder_names() if not encoder_class(name).costly]
"""Those that need no weights; the networks' own tests hold them to the same."""


@pytest.fixture(scope="module")
def cells() -> dict[str, list[object]]:
    table = make_demo(40, seed=1).table
    rows = [{"year": 1950 + i, "maker": "ab"[i % 2]} if i % 5 else None for i in range(40)]
    return {
        kind: [cell if isinstance(cell, str | bytes) else None for cell in table[column]]
        for kind, column in COLUMN.items()
    } | {"table": rows}


def new(name: str) -> Encoder:
    return make_encoder(name, encoder_class(name).kind)


@pytest.mark.parametrize("name", encoder_names())
def test_encoders_are_final_and_the_base_is_abstract(name):
    assert inspect.isabstract(Encoder)
    assert not inspect.isabstract(encoder_class(name))
    assert encoder_class(name).__final__
    assert encoder_class(name).name == name


@pytest.mark.parametrize("name", LIGHT)
def test_shapes_masks_and_rows(name, cells):
    encoder = new(name)
    own = cells[encoder.kind]
    assert encoder.fit(own) is encoder
    features, observed = encoder.encode(own)
    assert features.shape == (40, encoder.width)
    assert (features.dtype, observed.dtype) == (np.float32, np.bool_)
    assert observed.tolist() == [cell is not None for cell in own]
    assert not features[~observed].any()
    assert (features[observed] != 0).any(axis=1).all()
    one_by_one = np.vstack([encoder.encode([cell])[0] for cell in own])
    np.testing.assert_allclose(one_by_one, features, atol=1e-6)
    assert encoder.encode([])[0].shape == (0, encoder.width)


@pytest.mark.parametrize("name", LIGHT)
def test_the_state_is_json_and_numeric_arrays(name, cells):
    encoder = new(name)
    own = cells[encoder.kind]
    config, arrays = encoder.fit(own).state()
    assert all(array.dtype.kind == "f" for array in arrays.values())
    again = encoder_class(name).from_state(json.loads(json.dumps(config)), arrays)
    for first, second in zip(encoder.encode(own), again.encode(own), strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", LIGHT)
def test_fingerprints_are_equal_for_encoders_that_encode_alike_and_for_no_others(name, cells):
    own = cells[encoder_class(name).kind]
    encoder = new(name).fit(own)
    assert new(name).fit(own).fingerprint() == encoder.fingerprint()
    config, arrays = encoder.state()
    again = encoder_class(name).from_state(json.loads(json.dumps(config)), arrays)
    assert again.fingerprint() == encoder.fingerprint()
    assert len(encoder.fingerprint()) == 32
    if name != "statistics":  # which learns nothing
        assert new(name).fit(own[:20]).fingerprint() != encoder.fingerprint()
