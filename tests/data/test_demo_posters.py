"""Posters look like their styles, whatever the jitter."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from bayesfuse.data.demo_posters import (
    LAYOUTS,
    MOTIFS,
    PALETTES,
    POSTER_SIZE,
    draw_poster,
    encode_poster,
)
from bayesfuse.data.demo_tables import style_tables


def test_every_style_of_the_process_can_be_drawn():
    tables = style_tables()
    sizes = {style: table.shape[1] for style, table in tables.items()}
    assert sizes == {"palette": len(PALETTES), "motif": len(MOTIFS), "layout": len(LAYOUTS)}
    for styles in itertools.product(range(8), range(8), range(5)):
        poster = draw_poster(styles, "Glass Mile", np.random.default_rng(0))
        assert poster.size == POSTER_SIZE
        assert poster.mode == "RGB"


def test_the_same_jitter_gives_the_same_file_and_another_another():
    files = [
        encode_poster(draw_poster((6, 6, 0), "Glass Mile", np.random.default_rng(seed)))
        for seed in (0, 0, 1)
    ]
    assert files[0] == files[1] != files[2]
    assert Image.open(io.BytesIO(files[0])).format == "PNG"


@pytest.mark.parametrize(("variable", "num_values"), [(0, 8), (1, 8), (2, 5)])
def test_each_style_shows_more_than_the_jitter(variable, num_values):
    """Posters that differ in one style differ more than posters of one style do."""
    styles = [0, 0, 0]
    means, spreads = [], []
    for value in range(num_values):
        styles[variable] = value
        pictures = [
            np.asarray(draw_poster(tuple(styles), "Rain", np.random.default_rng(seed)), float)
            for seed in range(12)
        ]
        means.append(np.mean(pictures, axis=0))
        spreads.append(np.mean(np.var(pictures, axis=0)))
    for first, second in itertools.combinations(range(num_values), 2):
        # the mean of 12 pictures jitters by a twelfth of their variance
        apart = np.mean((means[first] - means[second]) ** 2)
        assert apart > 3 * (spreads[first] + spreads[second]) / 12
