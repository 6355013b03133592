"""The process that decodes: its answers, how it ends, and how little it loads."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from bayesfuse.encoders import decoding_worker
from bayesfuse.encoders.decoding_worker import (
    BYTES,
    HEADER,
    PATH,
    PIXELS,
    PROBLEM,
    READY,
    decode,
    serve,
)
from bayesfuse.encoders.image_preprocessing import ImagePreprocessing
from bayesfuse.encoders.pictures import EMPTY, NO_FILE, NO_MEMORY, UnreadableError
from bayesfuse.errors import FeatureError

SIZE = (3, 20, 30)
SETTINGS = {
    "input_size": SIZE,
    "interpolation": "bilinear",
    "mean": 0.5,
    "std": 0.5,
    "crop_pct": 1.0,
    "crop_mode": "squash",
}
PREPROCESSING = ImagePreprocessing.resolve(SETTINGS, {})


@pytest.fixture
def picture() -> bytes:
    noise = np.random.default_rng(0).integers(256, size=(40, 60, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    return buffer.getvalue()


def request(kind: bytes, content: bytes) -> bytes:
    return HEADER.pack(kind, len(content)) + content


def start() -> bytes:
    return json.dumps(PREPROCESSING.to_json()).encode() + b"\n"


def split(answers: bytes) -> list[tuple[bytes, bytes]]:
    found, stream = [], io.BytesIO(answers)
    while header := stream.read(HEADER.size):
        kind, length = HEADER.unpack(header)
        found.append((kind, stream.read(length)))
    return found


def test_requests_are_answered_in_their_order(picture, tmp_path):
    path = tmp_path / "ein Bild äöü.png"
    path.write_bytes(picture)
    requests = io.BytesIO(
        start()
        + request(BYTES, picture)
        + request(BYTES, b"")
        + request(PATH, str(path).encode())
        + request(PATH, b"nowhere.png")
    )
    answers = io.BytesIO()
    serve(requests, answers)
    pixels = decode(picture, PREPROCESSING).tobytes()
    assert len(pixels) == 3 * 20 * 30
    assert split(answers.getvalue()) == [
        (READY, b""),
        (PIXELS, pixels),
        (PROBLEM, EMPTY.encode()),
        (PIXELS, pixels),
        (PROBLEM, NO_FILE.encode()),
    ]


def test_a_picture_is_decoded_and_preprocessed(picture):
    with Image.open(io.BytesIO(picture)) as image:
        np.testing.assert_array_equal(decode(picture, PREPROCESSING), PREPROCESSING(image))
    with pytest.raises(FeatureError, match="A picture is int"):
        decode(3, PREPROCESSING)


def test_too_little_memory_is_a_reason(picture, monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr(ImagePreprocessing, "__call__", exhausted)
    with pytest.raises(UnreadableError, match=NO_MEMORY):
        decode(picture, PREPROCESSING)


MAIN = "from bayesfuse.encoders.decoding_worker import main; main()"


def test_the_process_ends_with_its_input(picture):
    done = subprocess.run(
        [sys.executable, "-c", MAIN],
        input=start() + request(BYTES, picture),
        capture_output=True,
        timeout=60,
        check=True,
    )
    kinds = [kind for kind, _ in split(done.stdout)]
    assert kinds == [READY, PIXELS]
    assert done.stderr == b""


@pytest.mark.parametrize("cut", [3, 20])
def test_the_process_ends_if_its_input_ends_in_the_middle_of_a_word(picture, cut):
    done = subprocess.run(
        [sys.executable, "-c", MAIN],
        input=start() + request(BYTES, picture)[:cut],
        capture_output=True,
        timeout=60,
    )
    assert [kind for kind, _ in split(done.stdout)][:1] == [READY]
    assert done.stderr == b""


def test_what_decoders_print_is_no_answer(picture):
    program = (
        "import os; import bayesfuse.encoders.decoding_worker as worker; real = worker.decode\n"
        "def chatty(*args):\n"
        "    os.write(1, b'a warning'); print('another', flush=True)\n"
        "    return real(*args)\n"
        "worker.decode = chatty; worker.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=start() + request(BYTES, picture),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert [kind for kind, _ in split(done.stdout)] == [READY, PIXELS]


def test_it_loads_neither_torch_nor_anything_else_that_is_heavy():
    heavy = {"torch", "torchvision", "timm", "pandas", "sklearn", "scipy", "pyarrow"}
    program = f"import sys, {decoding_worker.__name__}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


def test_the_header_is_the_same_on_every_machine():
    assert struct.calcsize("<cQ") == HEADER.size == 9
