"""Speed of the image encoder beside the plain loop: the same library, model and batch size.

The plain loop is what one writes by hand: Pillow and timm's own transform in this process, then the
network, 64 pictures at a time. A second one has the network's memory in the order that convolutions
like best, as our encoder has. Ours decodes in processes besides, or in this one for comparison.

make bench
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from bayesfuse.data.demo_posters import draw_poster
from bayesfuse.encoders.base import Resources
from bayesfuse.encoders.image import TimmEncoder
from bayesfuse.encoders.torchvision_operators import import_timm
from bayesfuse.errors import MissingExtraError

try:
    timm = import_timm()
except MissingExtraError as error:
    pytest.skip(str(error), allow_module_level=True)

NUM_PICTURES = 256
BATCH_SIZE = 64
MOVIES = Path(__file__).parents[2] / "shared" / "data" / "movies" / "posters.parquet"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MODELS = ["mobilenetv2_100", "efficientnet_b4"] if DEVICE == "cuda" else ["mobilenetv2_100"]


def movie_posters() -> list[bytes]:
    """Return posters of the movies, of 160 x 240 pixels or so, or skip where there are none."""
    if not MOVIES.is_file():
        pytest.skip("no movie catalogue at ../shared/data/movies beside the checkout")
    import pyarrow.parquet as pq

    posters: list[bytes] = pq.read_table(MOVIES)["jpeg"].slice(0, NUM_PICTURES).to_pylist()
    return posters


def large_posters() -> list[bytes]:
    """Return posters of the demo catalogue, scaled to 600 x 900 pixels."""
    found = []
    rng = np.random.default_rng(0)
    for _ in range(NUM_PICTURES):
        style = (int(rng.integers(8)), int(rng.integers(8)), int(rng.integers(5)))
        large = draw_poster(style, "Glass Mile", rng).resize((600, 900), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        large.save(buffer, "JPEG", quality=90)
        found.append(buffer.getvalue())
    return found


@pytest.fixture(scope="module", params=MODELS)
def weights(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a file of random weights, named as the model."""
    from safetensors.torch import save_file

    path: Path = tmp_path_factory.mktemp("weights") / f"{request.param}.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model(request.param).state_dict(), path)
    return path


def plain_loop(weights: Path, *, channels_last: bool = False) -> Callable[[list[bytes]], Any]:
    """Return the loop that one writes by hand."""
    from safetensors.torch import load_file
    from timm.data import create_transform, resolve_model_data_config

    network: Any = timm.create_model(weights.stem).eval().to(DEVICE)
    network.load_state_dict(load_file(weights))
    order = torch.channels_last if channels_last else torch.contiguous_format
    network = network.to(memory_format=order)
    transform = create_transform(**resolve_model_data_config(network), is_training=False)

    def encode(cells: list[bytes]) -> NDArray[np.float32]:
        found = []
        for start in range(0, len(cells), BATCH_SIZE):
            images = [Image.open(io.BytesIO(c)) for c in cells[start : start + BATCH_SIZE]]
            batch = torch.stack([transform(image.convert("RGB")) for image in images])
            with torch.inference_mode():
                maps = network.forward_features(batch.to(DEVICE, memory_format=order))
                found.append(network.forward_head(maps, pre_logits=True).cpu())
        vectors: NDArray[np.float32] = torch.cat(found).numpy()
        return vectors

    return encode


def our_encoder(weights: Path, *, workers: int | None = None) -> Callable[[list[bytes]], Any]:
    """Return our encoder, as `bayesfuse encode` runs it."""
    encoder = TimmEncoder(weights.stem, str(weights), precision="float32")
    encoder.resources = Resources(DEVICE, BATCH_SIZE, workers)
    encoder.fit([])
    return lambda cells: encoder.encode(cells)[0]


WAYS: dict[str, Callable[[Path], Callable[[list[bytes]], Any]]] = {
    "plain loop": plain_loop,
    "plain loop, channels last": lambda weights: plain_loop(weights, channels_last=True),
    "bayesfuse, no workers": lambda weights: our_encoder(weights, workers=0),
    "bayesfuse": our_encoder,
}
PICTURES = {"movies": movie_posters, "600x900": large_posters}


@pytest.mark.benchmark(group=f"{NUM_PICTURES} pictures, batch 64, {DEVICE}")
@pytest.mark.parametrize("pictures", PICTURES)
@pytest.mark.parametrize("way", WAYS)
def test_encoding(benchmark: Any, weights: Path, pictures: str, way: str) -> None:
    cells = PICTURES[pictures]()
    encode = WAYS[way](weights)
    encode(cells[:BATCH_SIZE])
    benchmark.pedantic(encode, args=(cells,), rounds=2)


@pytest.mark.parametrize("pictures", PICTURES)
def test_both_ways_do_the_same_work(weights: Path, pictures: str) -> None:
    cells = PICTURES[pictures]()[:70]
    plain, ours = (way(weights)(cells) for way in (plain_loop, our_encoder))
    assert np.abs(plain[0] - plain[1]).max() > 1e-3
    np.testing.assert_allclose(ours, plain, atol=1e-5 if DEVICE == "cpu" else 1e-3)
