"""Every encoder keeps the contract."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest

from bayesfuse.data.demo import make_demo
from bayesfuse.encoders.base import Encoder
from bayesfuse.encoders.registry import ENCODERS

COLUMN = {"text": "plot", "image": "poster"}


@pytest.fixture(scope="module")
def cells() -> dict[str, list[object]]:
    table = make_demo(40, seed=1).table
    return {
        kind: [cell if isinstance(cell, str | bytes) else None for cell in table[column]]
        for kind, column in COLUMN.items()
    }


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_are_final_and_the_base_is_abstract(name):
    assert inspect.isabstract(Encoder)
    assert not inspect.isabstract(ENCODERS[name])
    assert ENCODERS[name].__final__
    assert ENCODERS[name].name == name


@pytest.mark.parametrize("name", ENCODERS)
def test_shapes_masks_and_rows(name, cells):
    encoder = ENCODERS[name]()
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


@pytest.mark.parametrize("name", ENCODERS)
def test_the_state_is_json_and_numeric_arrays(name, cells):
    encoder = ENCODERS[name]()
    own = cells[encoder.kind]
    config, arrays = encoder.fit(own).state()
    assert all(array.dtype.kind == "f" for array in arrays.values())
    again = ENCODERS[name].from_state(json.loads(json.dumps(config)), arrays)
    for first, second in zip(encoder.encode(own), again.encode(own), strict=True):
        np.testing.assert_array_equal(first, second)
