"""Fit, encode and predict by several processes of one thread against one process of one thread.

    python benchmarks/distributed_scaling.py [--processes 2] [--items 20000] [--rounds 3]

A catalogue of random texts and features is written and the commands run on it, as torchrun starts
them. The median of the rounds counts, of the whole command and of its work alone: epochs for fit,
and for the others what the command takes beyond the same command on 64 items. Memory is the peak of
the largest process (Linux). The text model is a small BERT with random weights.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUM_LABELS, FEW = 21, 64
WORDS = [f"{first}{last}" for first in "bcdfghklmnprst" for last in ("an", "el", "ip", "or", "us")]


def make_catalog(folder: Path, items: int, features: int) -> Path:
    """Write a catalogue of texts, labels and features; return its folder."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    labels = rng.random((items, NUM_LABELS)) < 0.1
    words = np.array(WORDS)[rng.integers(len(WORDS), size=(items, 24))]
    table = {
        "id": [str(number) for number in range(items)],
        "plot": [" ".join(row) for row in words],
        "labels": [[f"label {c}" for c in np.flatnonzero(row)] for row in labels],
        "split": np.array(["train", "val"])[(np.arange(items) % 10 == 9).astype(int)],
    }
    pq.write_table(pa.table(table), folder / "items.parquet")
    signal = labels.astype(np.float32) @ rng.standard_normal((NUM_LABELS, features), np.float32)
    values = signal + 3 * rng.standard_normal((items, features), np.float32)
    np.save(folder / "vector.npy", values)
    kept = ", ".join(f'"label {c}"' for c in range(NUM_LABELS))
    (folder / "catalog.toml").write_text(
        'table = "items.parquet"\nid = "id"\nlabels = "labels"\nsplit = "split"\n'
        f'label_set = [{kept}]\nempty_labels = "none"\n'
        '[modalities.text]\nfeatures = "vector.npy"\n'
    )
    return folder


def make_model(folder: Path) -> Path:
    """Write a small BERT with random weights."""
    import torch
    from tokenizers import BertWordPieceTokenizer

    from bayesfuse.encoders.torchvision_operators import import_torchvision

    import_torchvision()  # transformers looks for it
    from transformers import BertConfig, BertModel, BertTokenizerFast

    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator([" ".join(WORDS)] * 20, vocab_size=600, show_progress=False)
    folder.mkdir()
    tokenizer.save_model(str(folder))
    BertTokenizerFast.from_pretrained(folder).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=512,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def run(processes: int, *args: object) -> tuple[float, float]:
    """Run a command in so many processes; return its seconds, and MB of the largest process."""
    told = [str(arg) for arg in args]
    command = [sys.executable, "-m", "bayesfuse", *told]
    if processes > 1:
        start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        command = [sys.executable, *start, "-m", "bayesfuse", *told]
    timed = [sys.executable, __file__, "--watch", *command]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    started = time.perf_counter()
    done = subprocess.run(timed, capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return seconds, float(done.stdout.splitlines()[-1])


def watch(command: list[str]) -> int:
    """Run a command, then print the peak memory of the largest of its processes, in MB."""
    import resource

    done = subprocess.run(command, stdout=subprocess.DEVNULL)
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
    return done.returncode


def epochs_of(folder: Path) -> float:
    """Return the seconds of all epochs of a run."""
    with (folder / "history.csv").open() as file:
        return sum(float(row["seconds"]) for row in csv.DictReader(file))


def study(asked: argparse.Namespace) -> None:
    """Print a Markdown table."""
    with tempfile.TemporaryDirectory(prefix="bayesfuse-scaling-") as scratch:
        place = Path(scratch)
        whole = make_catalog(place / "whole", asked.items, asked.features)
        few = make_catalog(place / "few", FEW, asked.features)
        model = make_model(place / "model")
        settings: list[Any] = ["--hidden", asked.hidden, "--batch-size", asked.batch_size]
        settings += ["--epochs", asked.epochs, "--annealing-epochs", 1, "--draws", 8]
        settings += ["--val-draws", 4, "--device", "cpu"]
        found: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
        for turn in range(asked.rounds):
            for processes in (1, asked.processes):
                name = f"{turn}-{processes}"
                took, memory = run(processes, "fit", whole, *settings, "-o", place / name)
                row = (took, epochs_of(place / name), memory)
                found.setdefault(("fit", processes), []).append(row)

                text = ["--id", "id", "--text", "plot", "--text-encoder", model]
                tasks: dict[str, tuple[list[Any], str]] = {
                    "predict": (["predict", place / name, "", "--draws", asked.draws], ""),
                    "encode": (["encode", "", *text], "items.parquet"),
                }
                for verb, (command, file) in tasks.items():
                    seconds = []
                    for catalog in (few, whole):
                        args = [catalog / file if arg == "" else arg for arg in command]
                        out = place / f"{verb}-{name}-{catalog.name}"
                        took, memory = run(processes, *args, "--device", "cpu", "-o", out)
                        seconds.append(took)
                    row = (seconds[1], seconds[1] - seconds[0], memory)
                    found.setdefault((verb, processes), []).append(row)
        print("| command | processes | whole command | its work | speed-up | MB a process |")
        print("| --- | --- | --- | --- | --- | --- |")
        for verb in ("fit", "predict", "encode"):
            alone = 0.0
            for processes in (1, asked.processes):
                rows = found[verb, processes]
                took, work, memory = (statistics.median(c) for c in zip(*rows, strict=True))
                alone = work if processes == 1 else alone
                cells = [verb, processes, f"{took:.1f} s", f"{work:.1f} s", f"{alone / work:.2f}"]
                print("| " + " | ".join(map(str, [*cells, f"{memory:.0f}"])) + " |", flush=True)


def main() -> None:
    """Read the flags and measure."""
    if sys.argv[1:2] == ["--watch"]:
        raise SystemExit(watch(sys.argv[2:]))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--features", type=int, default=1024)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--draws", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    study(parser.parse_args())


if __name__ == "__main__":
    main()
