"""A process that decodes pictures for another: requests come in by one pipe, pixels go by another.

It knows Pillow and numpy only. It ends when its input does, so that none is left behind even if the
process that started it was killed. Messages are a header and bytes, and no pickles: a picture that
takes over a decoder can say nothing here but pixels.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from bayesfuse.encoders.base import Cell
from bayesfuse.encoders.image_preprocessing import ImagePreprocessing
from bayesfuse.encoders.pictures import NO_MEMORY, UnreadableError, open_picture

HEADER = struct.Struct("<cQ")  # what follows, and how many bytes of it
BYTES, PATH = b"B", b"P"  # requests
READY, PIXELS, PROBLEM = b"R", b"X", b"N"  # answers


def decode(cell: Cell, preprocessing: ImagePreprocessing) -> NDArray[np.uint8]:
    """Return the pixels of a picture, 3 x height x width.

    Raises:
        UnreadableError: If it cannot be used.
        FeatureError: If the cell is neither bytes nor a path.
    """
    try:
        with open_picture(cell) as (image, _):
            return preprocessing(image)
    except MemoryError as error:
        raise UnreadableError(NO_MEMORY) from error


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more.

    The first is the preprocessing, a line of JSON.
    """
    preprocessing = ImagePreprocessing.resolve(json.loads(requests.readline()), {})
    _send(answers, READY, b"")
    while header := requests.read(HEADER.size):
        kind, length = HEADER.unpack(header)
        content = requests.read(length)
        cell = content if kind == BYTES else Path(os.fsdecode(content))
        try:
            _send(answers, PIXELS, decode(cell, preprocessing).tobytes())
        except UnreadableError as error:
            _send(answers, PROBLEM, str(error).encode())


def main() -> None:
    """Serve on the standard streams, which the decoders' own chatter is kept away from."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    try:
        serve(requests, answers)
    except (BrokenPipeError, struct.error):  # the other process has gone in the middle of a word
        os._exit(1)
    sys.exit(0)


def _send(stream: BinaryIO, kind: bytes, content: bytes) -> None:
    stream.write(HEADER.pack(kind, len(content)))
    stream.write(content)
    stream.flush()
