"""`bayesfuse encode`: from raw cells to features, once; and fits and predictions that use them."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.cli.conftest import COLUMNS, CSV, ENCODE, SMALL, WORDS, Ran, argv, tree

Bayesfuse = Callable[..., Ran]
SPLIT = ["--split", "part"]


@pytest.fixture
def networks(tiny_bert: Path, tiny_timm: tuple[str, Path]) -> list[str]:
    """Return the flags of two small networks."""
    name, weights = tiny_timm
    return [
        *(
            "--text-encoder",
            str(tiny_bert),
            "--image-encoder",
            name,
            "--image-weights",
            str(weights),
        ),
        *("--workers", "0"),
    ]


def features(path: Path) -> dict[str, np.ndarray]:
    with np.load(path / "features.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def test_one_command_encodes_one_fits_and_one_tags_new_items(
    place: Path, bayesfuse: Bayesfuse, networks: list[str]
) -> None:
    made = bayesfuse("encode", "films.csv", *CSV, *SPLIT, *networks, "--json")
    assert made.code == 0, made.err
    found = made.json["modalities"]
    assert found["text"]["encoder"] == "transformers"
    assert found["image"]["encoder"] == "timm"
    assert (found["text"]["known"], found["text"]["new"] > 60) == (
        90 - 7 - found["text"]["new"],
        True,
    )
    assert Path(made.json["folder"]) == Path("films.encoded")
    first = features(place / "films.encoded")
    assert first["id"].tolist() == [f"f{i}" for i in range(90)]
    assert first["text"].shape == (90, 16)
    assert (~first["text_observed"]).nonzero()[0].tolist() == [i for i in range(90) if i % 13 == 5]

    # nothing is named: the fit uses what encode used, and finds every cell
    before = tree(place / "films.encoded" / "cache")
    done = bayesfuse("fit", "films.csv", *CSV, *SPLIT, *SMALL, "--out", "run", "--json")
    assert done.code == 0, done.err
    assert tree(place / "films.encoded" / "cache") == before
    recorded = json.loads(Path("run/encoders.json").read_text())
    assert {m: e["name"] for m, e in recorded.items()} == {"text": "transformers", "image": "timm"}

    predicted = bayesfuse("predict", "run", "new.csv", "--out", "new.parquet")
    assert predicted.code == 0, predicted.err
    assert not Path("new.encoded").exists()
    again = bayesfuse("predict", "run", "films.csv", "--out", "old.parquet")
    assert again.code == 0, again.err
    new, old = pd.read_parquet("new.parquet"), pd.read_parquet("old.parquet")
    pd.testing.assert_frame_equal(new, old, check_exact=False, atol=1e-5)


def test_only_what_is_new_is_encoded(
    place: Path, bayesfuse: Bayesfuse, networks: list[str]
) -> None:
    flags = [*CSV, *SPLIT, *networks, "--json"]
    assert bayesfuse("encode", "films.csv", *flags).code == 0
    first = features(place / "films.encoded")
    films = pd.read_csv("films.csv", keep_default_na=False)
    added = films[:3].assign(
        id=["n0", "n1", "n2"], plot=["joke joke", films["plot"][1], "rain knife"]
    )
    pd.concat([films[::-1], added]).to_csv("films.csv", index=False)
    again = bayesfuse("encode", "films.csv", *flags).json["modalities"]
    assert (again["text"]["new"], again["image"]["new"]) == (2, 0)
    second = features(place / "films.encoded")
    for name in ("text", "image", "text_observed"):
        np.testing.assert_array_equal(second[name][:90], first[name][::-1])
    # other settings are another encoder
    cls = bayesfuse("encode", "films.csv", *flags, "--pooling", "cls").json["modalities"]
    assert (cls["text"]["new"] > 60, cls["image"]["new"]) == (True, 0)


def test_broken_cells_are_kept_counted_and_listed(
    place: Path, bayesfuse: Bayesfuse, networks: list[str]
) -> None:
    Path("posters/3.png").write_bytes(Path("posters/3.png").read_bytes()[:60])
    Path("posters/4.png").write_bytes(b"")
    Path("posters/5.png").unlink()
    films = pd.read_csv("films.csv", keep_default_na=False)
    films.loc[6, "plot"] = "\u200b\x07\x1b"
    films.to_csv("films.csv", index=False)
    flags = [*CSV, *SPLIT, *networks]
    made = bayesfuse("encode", "films.csv", *flags, "--out", "e")
    assert made.code == 0
    with open("e/encode_report.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    reasons = {(row["id"], row["modality"]): row["reason"] for row in rows}
    assert len(rows) == len(reasons)
    assert reasons[("f3", "image")] != reasons[("f4", "image")] != reasons[("f5", "image")]
    assert "control characters" in reasons[("f6", "text")]
    assert ("f5", "text") in reasons  # an empty plot
    assert {row["outcome"] for row in rows} == {"unobserved"}
    assert not features(Path("e"))["image_observed"][[3, 4, 5]].any()
    for reason in set(reasons.values()):
        assert reason in made.out
    strict = bayesfuse("encode", "films.csv", *flags, "--out", "e", "--strict")
    assert strict.code == 2
    assert "(first: item f3)" in strict.err
    assert "encode_report.csv" in strict.err


def test_shares_are_encoded_apart_and_put_together(
    place: Path, bayesfuse: Bayesfuse, networks: list[str]
) -> None:
    flags = [*CSV, *SPLIT, *networks]
    for share in range(3):
        made = bayesfuse("encode", "films.csv", *flags, "--shards", 3, "--shard", share)
        assert made.code == 0, made.err
        assert f"Share {share} of 0..2" in made.out
    assert [path.name for path in Path("films.encoded").iterdir()] == ["cache"]
    whole = bayesfuse("encode", "films.csv", *flags, "--json").json["modalities"]
    assert (whole["text"]["new"], whole["image"]["new"]) == (0, 0)
    assert bayesfuse("encode", "films.csv", *flags, "--out", "other").code == 0
    same_features(Path("films.encoded"), Path("other"))


def same_features(one: Path, other: Path) -> None:
    first, second = features(one), features(other)
    assert set(first) == set(second)
    for name, array in first.items():
        if array.dtype == np.float32:  # other batches, other rounding
            np.testing.assert_allclose(array, second[name], atol=1e-5)
        else:
            np.testing.assert_array_equal(array, second[name])


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--shards", "2"], "--shards 2 needs --shard"),
        (["--shards", "2", "--shard", "2"], "--shard is 2; expected 0 to 1"),
        (["--text-encoder", "no/such/model"], "is no local folder"),
        (["--text-encoder", "no-such-model"], "tfidf for texts"),
        (["--text-encoder", "tfidf", "--image-encoder", "resnet_5O"], "resnet_5O"),
        (["--text-encoder", "tfidf", "--pooling", "cls"], 'setting of the encoder tfidf "pooling"'),
        (["--out", "films.csv"], "films.csv"),
    ],
)
def test_mistakes_are_told(
    flags: list[str], message: str, place: Path, bayesfuse: Bayesfuse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    made = bayesfuse(
        "encode", "films.csv", *CSV, *SPLIT, *(ENCODE if "--out" in flags else []), *flags
    )
    assert (made.code, made.out) == (2, "")
    assert message in made.err


def test_the_demo_has_no_place_to_write_to(bayesfuse: Bayesfuse, place: Path) -> None:
    made = bayesfuse("encode", "demo")
    assert made.code == 2
    assert "bayesfuse data demo OUT" in made.err


def test_features_of_another_encoder_are_refused(
    place: Path, bayesfuse: Bayesfuse, networks: list[str]
) -> None:
    done = bayesfuse("fit", "films.csv", *CSV, *SPLIT, *networks, *SMALL, "--out", "run")
    assert done.code == 0, done.err
    flags = [*CSV, *SPLIT, *networks, "--pooling", "cls", "--out", "cls"]
    assert bayesfuse("encode", "films.csv", *flags).code == 0
    only = ["--id", "id", "--features"]
    pd.read_csv("films.csv")[["id"]].to_csv("ids.csv", index=False)
    named = "text=films.encoded/features.npz:text,image=films.encoded/features.npz:image"
    same = bayesfuse("predict", "run", "ids.csv", *only, named, "--out", "same.parquet")
    assert same.code == 0, same.err
    named = "text=cls/features.npz:text,image=cls/features.npz:image"
    other = bayesfuse("predict", "run", "ids.csv", *only, named, "--out", "other.parquet")
    assert other.code == 2
    assert 'the features of modality "text" are those of another encoder' in other.err


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_where_it_stopped(
    place: Path, bayesfuse: Bayesfuse, networks: list[str]
) -> None:
    """Kill -9 while texts and pictures are encoded, again and again; nothing is lost or half."""
    rng = np.random.default_rng(0)
    films = pd.read_csv("films.csv", keep_default_na=False)
    words = [word for some in WORDS.values() for word in some]
    plots = [" ".join(rng.choice(words, 40)) for _ in range(6000)]
    many = films.sample(6000, replace=True, random_state=0)
    many = many.assign(id=[f"m{i}" for i in range(6000)], plot=plots)
    many.to_csv("films.csv", index=False)
    flags = [*CSV, *SPLIT, *networks, "--encode-batch-size", "8"]
    command = argv("encode", "films.csv", *flags)
    cache = place / "films.encoded" / "cache"
    kills, parts = 0, 0
    while kills < 6:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:  # each time a moment after some more was written
            if len(list(cache.glob("*/part-*.npy"))) > parts:
                time.sleep(float(rng.uniform(0, 0.3)))
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
        if process.wait() != -signal.SIGKILL:
            break
        kills += 1
        parts = len(list(cache.glob("*/part-*.npy")))
        assert not (place / "films.encoded" / "features.npz").exists()
    assert kills >= 2
    resumed = bayesfuse("encode", "films.csv", *flags, "--json").json["modalities"]["text"]
    assert resumed["known"] > 0
    assert resumed["new"] + resumed["known"] == 6000
    assert bayesfuse("encode", "films.csv", *flags, "--out", "whole").code == 0
    same_features(place / "films.encoded", place / "whole")
    assert not list((place / "films.encoded").rglob("*.tmp"))


def test_columns_are_a_modality(place: Path, bayesfuse: Bayesfuse) -> None:
    films = pd.read_csv("films.csv", keep_default_na=False)
    films["year"] = ["" if i % 9 == 4 else 1950 + i for i in range(90)]
    films.to_csv("films.csv", index=False)
    flags = [*COLUMNS, "--labels-separator", "|", *SPLIT, "--tabular", "year,director"]
    made = bayesfuse("fit", "films.csv", *flags, *ENCODE, *SMALL, "--out", "run")
    assert made.code == 0, made.err
    predicted = bayesfuse("predict", "run", "films.csv", "--out", "p.parquet")
    assert predicted.code == 0, predicted.err
    films.drop(columns="year").to_csv("less.csv", index=False)
    less = bayesfuse("predict", "run", "less.csv", "--out", "less.parquet")
    assert "year" in less.err
