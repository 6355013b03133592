"""Picture statistics: known pictures, ranges, what they ignore and what they see."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bayesfuse.data.demo_posters import draw_poster, encode_poster
from bayesfuse.encoders.statistics import NUM_STATISTICS, StatisticsEncoder, picture_statistics
from bayesfuse.errors import FeatureError


def flat(colour: tuple[float, float, float]) -> np.ndarray:
    return np.broadcast_to(np.array(colour, np.float32), (96, 60, 3))


def test_a_flat_colour_has_the_statistics_one_expects():
    numbers = picture_statistics(flat((1.0, 0.5, 0.0)), aspect=60 / 96)
    assert numbers.shape == (NUM_STATISTICS,)
    hue, saturation, value = np.split(numbers[:26], [12, 18])
    assert np.flatnonzero(hue).tolist() == [1]  # orange: 30 of 360 degrees
    assert np.flatnonzero(saturation).tolist() == [5]
    assert np.flatnonzero(value).tolist() == [7]
    joint = numbers[26:90].reshape(4, 4, 4)
    assert np.argwhere(joint).tolist() == [[3, 2, 0]]
    moments = numbers[90:105].reshape(5, 3)
    np.testing.assert_allclose(moments[:, 0], [1, 0.5, 0, 1, 1], atol=1e-6)
    np.testing.assert_allclose(moments[:, 1:], 0, atol=1e-3)
    np.testing.assert_allclose(numbers[105:141].reshape(12, 3), [[1, 0.5, 0]] * 12, atol=1e-6)
    np.testing.assert_allclose(numbers[141:153], 0, atol=1e-3)  # contrast
    np.testing.assert_allclose(numbers[153:207], 0, atol=1e-3)  # edges
    assert numbers[-1] == pytest.approx(math.log(60 / 96))


def test_hues_agree_with_pillow():
    picture = np.random.default_rng(0).integers(256, size=(96, 60, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(picture).convert("HSV"), float) / 255
    weights = expected[..., 1] * expected[..., 2]
    counts, _ = np.histogram(expected[..., 0], bins=12, range=(0, 1), weights=weights)
    numbers = picture_statistics(picture.astype(np.float32) / 255, 1.0)
    np.testing.assert_allclose(numbers[:12] ** 2, counts / counts.sum(), atol=0.02)


def test_a_black_and_a_white_picture_are_finite():
    for colour in ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)):
        numbers = picture_statistics(flat(colour), 1.0)
        assert np.isfinite(numbers).all()
        assert not numbers[:12].any()  # no hue


def test_edges_know_their_direction():
    stripes = np.zeros((96, 60, 3), np.float32)
    stripes[:, ::6] = stripes[:, 1::6] = stripes[:, 2::6] = 1
    across = picture_statistics(stripes, 1.0)[153:201].reshape(6, 8).sum(axis=0)
    lying = np.ascontiguousarray(np.swapaxes(np.pad(stripes, ((0, 0), (0, 36), (0, 0))), 0, 1))
    down = picture_statistics(lying[:, :60][:96], 1.0)[153:201].reshape(6, 8).sum(axis=0)
    # stripes have one direction only: all strength is in the first or in the middle bin
    assert across[0] > 1
    np.testing.assert_allclose(across[1:], 0, atol=1e-6)
    assert down.argmax() == 4


def test_binary_patterns_count_the_brighter_neighbours():
    patterns = picture_statistics(flat((0.5, 0.5, 0.5)), 1.0)[207:217]
    np.testing.assert_allclose(patterns, [1, *[0] * 9])
    dots = np.ones((96, 60, 3), np.float32)
    dots[::3, ::3] = 0
    shares = picture_statistics(dots, 1.0)[207:217] ** 2
    assert shares[8] == pytest.approx(1 / 9, abs=0.01)  # a dark dot: all eight are brighter
    assert shares[0] == pytest.approx(8 / 9, abs=0.01)
    noise = np.random.default_rng(0).random((96, 60, 3), dtype=np.float32)
    assert picture_statistics(noise, 1.0)[216] > 0.6  # not uniform


def test_layout_is_where_the_colours_are():
    picture = np.zeros((96, 60, 3), np.float32)
    picture[:24, :20] = 1
    cells = picture_statistics(picture, 1.0)[105:141].reshape(4, 3, 3)
    np.testing.assert_allclose(cells[0, 0], 1)
    assert cells.sum() == pytest.approx(3)


def test_missing_and_broken_cells_are_unobserved_and_told():
    poster = encode_poster(draw_poster((0, 0, 0), "Rain", np.random.default_rng(0)))
    encoder = StatisticsEncoder()
    cells = [None, poster, poster[:900], b"", "nowhere.png"]
    features, observed = encoder.fit(cells).encode(cells)
    assert features.shape == (5, NUM_STATISTICS)
    assert features.dtype == np.float32
    assert observed.tolist() == [False, True, False, False, False]
    assert not features[~observed].any()
    assert np.isfinite(features).all()
    assert [(problem.row, problem.reason) for problem in encoder.problems_] == [
        (2, "the file is truncated"),
        (3, "the file is empty"),
        (4, "the file does not exist"),
    ]
    encoder.encode([poster])
    assert encoder.problems_ == ()


def test_a_cell_of_another_type_is_named():
    with pytest.raises(FeatureError, match="Row 1: A picture is int"):
        StatisticsEncoder().encode([None, 3])


def test_scaling_a_picture_changes_little():
    small = draw_poster((3, 2, 1), "Rain", np.random.default_rng(0))
    big = small.resize((480, 720), Image.Resampling.BICUBIC)
    (first, second), _ = StatisticsEncoder().encode([_png(small), _png(big)])
    (other,), _ = StatisticsEncoder().encode(
        [encode_poster(draw_poster((5, 1, 0), "Rain", np.random.default_rng(0)))]
    )
    assert np.linalg.norm(first - second) < 0.25 * np.linalg.norm(first - other)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_the_state_is_the_width():
    config, arrays = StatisticsEncoder().state()
    assert arrays == {}
    assert StatisticsEncoder.from_state(config, arrays).width == NUM_STATISTICS
    with pytest.raises(FeatureError, match="width 7"):
        StatisticsEncoder.from_state({**config, "width": 7}, {})


@pytest.mark.parametrize(("variable", "num_values"), [(0, 8), (1, 8), (2, 5)])
def test_every_style_of_a_demo_poster_shows(variable, num_values):
    """A linear classifier reads palette, motif and layout off the statistics."""
    rng = np.random.default_rng(0)
    styles = np.column_stack([rng.integers(n, size=400) for n in (8, 8, 5)])
    posters = [encode_poster(draw_poster(tuple(row), "Glass Mile", rng)) for row in styles]
    features, _ = StatisticsEncoder().encode(posters)
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    score = cross_val_score(classifier, features, styles[:, variable], cv=4).mean()
    shuffled = cross_val_score(classifier, features, rng.permutation(styles[:, variable]), cv=4)
    assert score > 0.8
    assert shuffled.mean() < 2 / num_values
