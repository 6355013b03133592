"""Pictures of every kind, and things that are no pictures."""

from __future__ import annotations

import io
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bayesfuse.encoders.pictures import (
    BROKEN,
    EMPTY,
    MAX_PIXELS,
    NO_FILE,
    NO_PICTURE,
    NOT_OPENED,
    TOO_LARGE,
    TRUNCATED,
    UnreadableError,
    open_picture,
    read_picture,
)
from bayesfuse.errors import FeatureError

SIZE = (20, 30)
RED, BLUE = (220, 30, 20), (20, 40, 210)


def picture_file(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def two_halves(width: int = 40, height: int = 60) -> Image.Image:
    """A red upper and a blue lower half."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (0, height // 2, width, height))
    return image


def assert_red_above_blue(picture: np.ndarray, tolerance: float = 0.02) -> None:
    np.testing.assert_allclose(picture[2, 10] * 255, RED, atol=255 * tolerance)
    np.testing.assert_allclose(picture[-3, 10] * 255, BLUE, atol=255 * tolerance)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG"])
def test_file_formats(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    picture, aspect = read_picture(picture_file(two_halves(), kind, **options), SIZE)
    assert picture.shape == (30, 20, 3)
    assert picture.dtype == np.float32
    assert aspect == pytest.approx(2 / 3)
    assert_red_above_blue(picture)


def test_palettes_and_cmyk_are_rgb():
    assert_red_above_blue(read_picture(picture_file(two_halves().quantize(4)), SIZE)[0])
    cmyk = picture_file(two_halves().convert("CMYK"), "TIFF")
    assert_red_above_blue(read_picture(cmyk, SIZE)[0])


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_grey_pictures_are_grey_in_rgb(mode):
    picture, _ = read_picture(picture_file(two_halves().convert(mode)), SIZE)
    assert np.ptp(picture, axis=2).max() == 0


def test_sixteen_bits_are_scaled_and_not_clipped():
    values = np.linspace(0, 65535, 40 * 60).reshape(60, 40).astype(np.uint16)
    picture, _ = read_picture(picture_file(Image.fromarray(values)), SIZE)
    assert picture[0].mean() < 0.05
    assert picture[15].mean() == pytest.approx(0.5, abs=0.05)
    assert picture[-1].mean() > 0.95


def test_transparent_parts_are_white():
    image = two_halves().convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    assert read_picture(picture_file(image), SIZE)[0].min() == 1
    palette = two_halves().quantize(4)
    picture, _ = read_picture(picture_file(palette, transparency=palette.getpixel((0, 0))), SIZE)
    np.testing.assert_allclose(picture[0], 1)
    np.testing.assert_allclose(picture[-1, 0] * 255, BLUE, atol=2)


def test_the_first_frame_of_an_animation_counts():
    frames = [Image.new("RGB", (40, 60), BLUE), Image.new("RGB", (40, 60), "white")]
    data = picture_file(two_halves(), "GIF", save_all=True, append_images=frames)
    assert_red_above_blue(read_picture(data, SIZE)[0])


@pytest.mark.parametrize(("orientation", "turn"), [(3, 180), (6, 90), (8, 270)])
@pytest.mark.parametrize(
    ("kind", "width"), [("JPEG", 40), ("JPEG", 400), ("PNG", 40), ("TIFF", 40), ("WEBP", 40)]
)
def test_photographs_are_turned_upright(kind, width, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = two_halves(width, width * 3 // 2).rotate(turn, expand=True)
    data = picture_file(turned, kind, exif=exif, quality=95)
    picture, aspect = read_picture(data, SIZE)
    assert_red_above_blue(picture, tolerance=0.04)
    assert aspect == pytest.approx(2 / 3)


def test_a_picture_with_broken_metadata_is_read_all_the_same():
    exif = Image.Exif()
    exif[0x0112] = 6
    good = picture_file(two_halves().rotate(90, expand=True), "JPEG", exif=exif, quality=95)
    place = good.index(b"II*\0") if b"II*\0" in good else good.index(b"MM\0*")
    picture, _ = read_picture(good[: place + 4] + b"\xff" * 4 + good[place + 8 :], SIZE)
    assert picture.shape == (30, 20, 3)


def test_a_path_is_read(tmp_path):
    path = tmp_path / "a poster.png"
    path.write_bytes(picture_file(two_halves()))
    for cell in (path, str(path)):
        assert_red_above_blue(read_picture(cell, SIZE)[0])


def test_nothing_is_changed_that_need_not_be():
    noise = np.random.default_rng(0).integers(256, size=(60, 40, 3), dtype=np.uint8)
    jpeg = picture_file(Image.fromarray(noise), "JPEG")
    with Image.open(io.BytesIO(jpeg)) as plain, open_picture(jpeg) as (image, aspect):
        np.testing.assert_array_equal(np.asarray(image), np.asarray(plain))
        assert image.mode == "RGB"
    assert aspect == pytest.approx(2 / 3)


def test_a_large_jpeg_may_be_decoded_at_a_fraction_of_its_size():
    jpeg = picture_file(two_halves(1600, 2400), "JPEG")
    with open_picture(jpeg) as (image, _):
        assert image.size == (1600, 2400)
    with open_picture(jpeg, at_least=(150, 200)) as (image, aspect):
        assert image.size == (200, 300)
    assert aspect == pytest.approx(2 / 3)
    assert_red_above_blue(read_picture(jpeg, SIZE)[0])


def reason_of(cell: object) -> str:
    with pytest.raises(UnreadableError) as caught:
        read_picture(cell, SIZE)
    return str(caught.value)


def test_a_file_that_is_not_there_or_cannot_be_opened(tmp_path):
    assert reason_of(tmp_path / "nowhere.png") == NO_FILE
    assert reason_of(str(tmp_path)) == NOT_OPENED
    assert reason_of("null\0byte") == NOT_OPENED
    os.mkfifo(tmp_path / "pipe")
    assert reason_of(tmp_path / "pipe") == NOT_OPENED  # and nobody waits for it


def test_what_is_no_picture(tmp_path):
    assert reason_of(b"") == EMPTY
    (tmp_path / "empty.png").touch()
    assert reason_of(tmp_path / "empty.png") == EMPTY
    assert reason_of(b"%PDF-1.7 and so on") == NO_PICTURE
    with pytest.raises(FeatureError, match="float; expected bytes"):
        read_picture(1.5, SIZE)


def test_formats_that_start_other_programs_are_not_opened():
    eps = picture_file(two_halves(), "EPS")
    with Image.open(io.BytesIO(eps)) as image:  # Pillow would
        assert image.format == "EPS"
    assert reason_of(eps) == NO_PICTURE


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP"])
@pytest.mark.parametrize("share", [0.4, 0.5, 0.9])
def test_a_truncated_picture_is_told_in_the_same_words_always(kind, share):
    noise = np.random.default_rng(0).integers(256, size=(60, 40, 3), dtype=np.uint8)
    data = picture_file(Image.fromarray(noise), kind)
    assert read_picture(data, SIZE)[0].shape == (30, 20, 3)
    # Pillow's decoder of WebP does not say what the matter is
    assert reason_of(data[: int(share * len(data))]) == (BROKEN if kind == "WEBP" else TRUNCATED)


@pytest.mark.parametrize("side", [8_000, 40_000])
def test_a_decompression_bomb_is_not_decoded(side):
    """8,000 pixels a side are our limit, 40,000 Pillow's own."""
    assert side**2 > MAX_PIXELS
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    assert reason_of(data) == TOO_LARGE == "more than 50,000,000 pixels"


@settings(max_examples=150)
@given(
    st.sampled_from(["PNG", "JPEG", "GIF", "TIFF"]),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_broken_bytes_never_raise_anything_else(kind, changes):
    data = bytearray(picture_file(two_halves(), kind))
    for place, value in changes:
        data[place % len(data)] = value
    try:
        picture, aspect = read_picture(bytes(data), SIZE)
    except UnreadableError as error:
        reason = str(error)
    else:
        reason = ""
        assert np.isfinite(picture).all()
        assert aspect > 0
    assert reason in ("", BROKEN, NO_PICTURE, TOO_LARGE, TRUNCATED)
