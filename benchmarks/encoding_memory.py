"""Peak memory of `bayesfuse encode` against the number of items, with small networks.

    python benchmarks/encoding_memory.py [--items 1000 10000 100000] [--table parquet|csv|jsonl]

Writes catalogues of copies of the demo's plots and posters (each copy with a number of its own, so
that it has to be encoded; in Parquet the posters are cells, otherwise files), encodes each in a
process of its own, and prints a Markdown row a size: items, seconds, peak resident memory in MB,
and how much of it was anonymous at the most: the rest are views of files, such as the features
being written, which the system takes back as it likes.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file
from tokenizers import BertWordPieceTokenizer

from bayesfuse.data.demo import make_demo
from bayesfuse.encoders.torchvision_operators import import_timm

Rows = Iterator[tuple[str, str, bytes]]

CATALOG = """\
table = "{table}"
id = "id"
[modalities.text]
column = "plot"
encoder = "{bert}"
[modalities.image]
column = "poster"
encoder = "test_resnet"
settings = {{ weights = "{weights}" }}
"""


def make_networks(folder: Path, plots: list[str]) -> tuple[Path, Path]:
    timm = import_timm()
    from transformers import BertConfig, BertModel, BertTokenizerFast

    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator(plots, vocab_size=2000, show_progress=False)
    bert = folder / "bert"
    bert.mkdir()
    tokenizer.save_model(str(bert))
    BertTokenizerFast.from_pretrained(bert).save_pretrained(bert)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(vocab_size=tokenizer.get_vocab_size(), intermediate_size=64, **shape)
    BertModel(config).save_pretrained(bert)
    weights = folder / "resnet.safetensors"
    save_file(timm.create_model("test_resnet", pretrained=False).state_dict(), weights)
    return bert, weights


def write_catalog(folder: Path, num_items: int, kind: str, networks: tuple[Path, Path]) -> None:
    folder.mkdir()
    name = f"items.{kind}"
    table = make_demo(500, seed=0).table
    plots = [str(cell) for cell in table["plot"] if isinstance(cell, str)]
    posters = [cell for cell in table["poster"] if isinstance(cell, bytes)]
    # what follows the end of a picture is not part of it
    rows = (
        (f"i{i}", f"{plots[i % len(plots)]} {i}", posters[i % len(posters)] + str(i).encode())
        for i in range(num_items)
    )
    if kind == "parquet":
        write_parquet(folder / name, rows)
    else:
        write_text(folder / name, rows)
    bert, weights = networks
    (folder / "catalog.toml").write_text(CATALOG.format(table=name, bert=bert, weights=weights))


def write_parquet(path: Path, rows: Rows) -> None:
    schema = pa.schema([("id", pa.string()), ("plot", pa.string()), ("poster", pa.binary())])
    with pq.ParquetWriter(path, schema) as writer:
        while part := list(itertools.islice(rows, 1000)):
            arrays = [pa.array(cells) for cells in zip(*part, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def write_text(path: Path, rows: Rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        if path.suffix == ".csv":
            table.writerow(["id", "plot", "poster"])
        for i, (name, plot, poster) in enumerate(rows):
            picture = path.parent / "posters" / str(i // 1000) / f"{i}.png"
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_bytes(poster)
            place = str(picture.relative_to(path.parent))
            if path.suffix == ".csv":
                table.writerow([name, plot, place])
            else:
                file.write(json.dumps({"id": name, "plot": plot, "poster": place}) + "\n")


def measure(folder: Path) -> None:
    """Encode a catalogue in this process, and print seconds, MB and the number of cells."""
    from bayesfuse.config import EncodeConfig
    from bayesfuse.estimator.encoding import encode_run

    highest, ended = [0.0], threading.Event()
    watch = threading.Thread(target=_watch, args=(highest, ended))
    watch.start()
    started = time.perf_counter()
    config = EncodeConfig.parse({"device": "cpu", "workers": 0})
    done = encode_run(str(folder), None, config).to_dict()
    new = [modality["new"] for modality in done["modalities"].values()]
    ended.set()
    watch.join()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([time.perf_counter() - started, peak, highest[0], new]))


def _watch(highest: list[float], ended: threading.Event) -> None:
    """Keep the most anonymous memory of this process, in MB: what is not a view of some file."""
    while not ended.wait(0.05):
        status = Path("/proc/self/status").read_text().split("RssAnon:")[1]
        highest[0] = max(highest[0], int(status.split()[0]) / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak memory of encoding, by number of items.")
    parser.add_argument("--items", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--table", choices=["parquet", "csv", "jsonl"], default="parquet")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    torch.manual_seed(0)
    print("| items | seconds | peak MB | anonymous MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        plots = [str(cell) for cell in make_demo(500, seed=0).table["plot"]]
        networks = make_networks(Path(scratch), plots)
        for num_items in options.items:
            folder = Path(scratch) / str(num_items)
            write_catalog(folder, num_items, options.table, networks)
            command = [sys.executable, __file__, "--measure", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            seconds, peak, own, new = json.loads(done.stdout.splitlines()[-1])
            assert new == [num_items, num_items], new
            print(f"| {num_items:,} | {seconds:.0f} | {peak:.0f} | {own:.0f} |", flush=True)


if __name__ == "__main__":
    main()
