"""Pictures of every kind, and things that are no pictures."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bayesfuse.encoders.pictures import MAX_PIXELS, UnreadableError, read_picture
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
def test_photographs_are_turned_upright(orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = two_halves().rotate(turn, expand=True)
    data = picture_file(turned, "JPEG", exif=exif, quality=95)
    picture, aspect = read_picture(data, SIZE)
    assert_red_above_blue(picture, tolerance=0.04)
    assert aspect == pytest.approx(2 / 3)


def test_a_path_is_read(tmp_path):
    path = tmp_path / "a poster.png"
    path.write_bytes(picture_file(two_halves()))
    for cell in (path, str(path)):
        assert_red_above_blue(read_picture(cell, SIZE)[0])


@pytest.mark.parametrize("cell", ["nowhere.png", "null\0byte"])
def test_a_missing_file_is_told(cell):
    with pytest.raises(UnreadableError, match="its file cannot be read"):
        read_picture(cell, SIZE)


def test_what_is_no_picture():
    with pytest.raises(UnreadableError, match="empty"):
        read_picture(b"", SIZE)
    with pytest.raises(UnreadableError, match="no picture"):
        read_picture(b"%PDF-1.7 and so on", SIZE)
    with pytest.raises(FeatureError, match="float; expected bytes"):
        read_picture(1.5, SIZE)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_truncated_picture_is_told(kind):
    noise = np.random.default_rng(0).integers(256, size=(60, 40, 3), dtype=np.uint8)
    data = picture_file(Image.fromarray(noise), kind)
    assert read_picture(data, SIZE)[0].shape == (30, 20, 3)
    with pytest.raises(UnreadableError, match=r"broken|no picture"):
        read_picture(data[: len(data) // 2], SIZE)


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
    with pytest.raises(UnreadableError, match="pixels"):
        read_picture(data, SIZE)


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
    except UnreadableError:
        return
    assert np.isfinite(picture).all()
    assert aspect > 0
