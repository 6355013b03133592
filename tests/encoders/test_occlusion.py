"""Texts without a word, pictures without a region."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from bayesfuse.encoders.occlusion import picture_parts, text_parts
from bayesfuse.encoders.pictures import UnreadableError
from bayesfuse.errors import ConfigError


def test_every_word_is_left_out_once():
    parts = text_parts("  Ein Hai\nbeißt. ")
    assert [name for name, _ in parts] == ["Ein", "Hai", "beißt."]
    assert [without() for _, without in parts] == [
        "   Hai\nbeißt. ",
        "  Ein \nbeißt. ",
        "  Ein Hai\n ",
    ]
    assert text_parts(" \n ") == []


def test_a_long_text_is_cut_into_spans_that_cover_it():
    text = " ".join(f"w{i}" for i in range(103))
    parts = text_parts(text, 10)
    assert len(parts) == 10
    assert " ".join(name for name, _ in parts) == text
    assert {len(name.split()) for name, _ in parts} == {10, 11}
    with pytest.raises(ConfigError, match="max_spans is 0"):
        text_parts(text, 0)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_a_region_is_painted_in_the_mean_colour_and_the_rest_stays():
    pixels = np.random.default_rng(0).integers(256, size=(31, 20, 3)).astype(np.uint8)
    parts = picture_parts(png(pixels), 3, 2)
    assert [name for name, _ in parts][:3] == [
        "row 1, column 1",
        "row 1, column 2",
        "row 2, column 1",
    ]
    mean = np.round(pixels.reshape(-1, 3).mean(axis=0))
    covered = np.zeros((31, 20), dtype=int)
    for _, without in parts:
        found = np.asarray(Image.open(io.BytesIO(without())))
        changed = (found != pixels).any(axis=2)
        assert np.abs(found[changed] - mean).max() <= 1
        covered += changed
    # all is painted once, but for pixels that have the mean colour already
    assert covered.max() == 1
    assert (covered == 0).sum() < 5


def test_more_regions_than_pixels_and_mistakes():
    tiny = png(np.zeros((2, 1, 3), dtype=np.uint8))
    assert all(isinstance(without(), bytes) for _, without in picture_parts(tiny, 3, 3))
    with pytest.raises(ConfigError, match="0 x 2 regions"):
        picture_parts(tiny, 0, 2)
    with pytest.raises(UnreadableError):
        picture_parts(b"no picture", 2, 2)
