from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from bayesfuse.data.raw import RawColumn, RawKind
from bayesfuse.data.table_columns import Cell
from bayesfuse.encoders.pictures import UnreadableError
from bayesfuse.report.thumbnails import (
    MOST_BYTES,
    SIZE,
    image_column,
    make_thumbnails,
    thumbnail,
)


def png(width: int, height: int, colour: tuple[int, int, int] = (200, 30, 60)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, format="PNG")
    return buffer.getvalue()


def noise(width: int = 300, height: int = 450) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def opened(uri: str) -> Image.Image:
    head, _, data = uri.partition(";base64,")
    image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    assert head == f"data:image/{(image.format or '').lower()}"
    return image.convert("RGB")


def column(cells: Sequence[Cell], kind: RawKind = "bytes") -> RawColumn:
    return RawColumn("image", kind, np.array([cell is not None for cell in cells]), lambda: cells)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((640, 960), SIZE), ((600, 300), (64, 32)), ((20, 30), (20, 30)), ((1, 1), (1, 1))],
)
def test_a_picture_fits_into_its_place_and_keeps_its_shape(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    image = opened(thumbnail(png(*size)))
    assert image.size == expected
    red, green, blue = image.getpixel((0, 0))  # type: ignore[misc]
    assert (abs(red - 200) < 12, abs(green - 30) < 12, abs(blue - 60) < 12) == (True,) * 3


@pytest.mark.parametrize("most", [MOST_BYTES, 900, 200])
def test_noise_is_made_small_enough_too(most: int) -> None:
    uri = thumbnail(noise(), most)
    assert len(base64.b64decode(uri.partition(",")[2])) <= most
    assert min(opened(uri).size) >= 1


def test_a_cap_that_nothing_can_keep_ends(tmp_path: Path) -> None:
    assert opened(thumbnail(noise(), 1)).size == (1, 1)


def test_without_webp_it_is_a_jpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    assert thumbnail(png(60, 90)).startswith("data:image/webp;base64,")
    monkeypatch.setattr(features, "check", lambda name: name != "webp")
    uri = thumbnail(png(60, 90))
    assert uri.startswith("data:image/jpeg;base64,")
    assert opened(uri).size == (60, 90)


def test_a_broken_picture_is_an_error_of_its_own() -> None:
    with pytest.raises(UnreadableError):
        thumbnail(b"no picture")


def test_each_row_gets_its_own_picture_and_what_cannot_be_read_is_counted() -> None:
    colours = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
    cells = [png(6, 9, colours[0]), None, b"broken", png(6, 9, colours[1]), png(6, 9, colours[2])]
    found = make_thumbnails({"image": column(cells)}, np.array([4, 0, 2, 1, 4]))
    assert (set(found.uris), found.num_unreadable) == ({0, 4}, 1)
    for row, colour in ((0, colours[0]), (4, colours[2])):
        assert np.argmax(opened(found.uris[row]).getpixel((3, 4))) == np.argmax(colour)


def test_files_are_read_and_a_lost_one_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(6, 9))
    cells = [str(tmp_path / "a.png"), str(tmp_path / "lost.png")]
    found = make_thumbnails({"image": column(cells, "path")}, np.arange(2))
    assert (set(found.uris), found.num_unreadable) == ({0}, 1)


def test_texts_are_no_pictures() -> None:
    texts = RawColumn("text", "text", np.array([True]), lambda: ["a plot"])
    assert image_column({"text": texts}) is None
    assert make_thumbnails({"text": texts}, np.arange(1)).uris == {}
    pictures = column([png(6, 9)])
    assert image_column({"text": texts, "image": pictures}) is pictures
    assert make_thumbnails({"image": pictures}, np.arange(0)).uris == {}
