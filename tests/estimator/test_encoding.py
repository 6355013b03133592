"""From options to encoders, their settings and a summary."""

from __future__ import annotations

from pathlib import Path

import pytest

from bayesfuse.config import EncodeConfig, RunningConfig
from bayesfuse.data.catalog import Catalog
from bayesfuse.data.demo import write_demo
from bayesfuse.errors import ConfigError
from bayesfuse.estimator.encoding import (
    encode_run,
    encoder_settings,
    named_encoders,
    resources,
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demo(tmp_path_factory.mktemp("encoding") / "demo", num_items=120)


def test_flags_become_settings_of_the_modality_that_they_are_for(demo: Path) -> None:
    config = EncodeConfig.parse(
        {"pooling": "cls", "max_length": 64, "image_args": "a=1", "image_weights": "w.pth"}
        | {"encoder_precision": "bfloat16", "text_encoder": "m"}
    )
    assert named_encoders(config) == {"text": "m"}
    assert encoder_settings(config, Catalog.read(demo)) == {
        "text": {"pooling": "cls", "max_length": 64, "precision": "bfloat16"},
        "image": {"model_args": {"a": 1}, "weights": "w.pth", "precision": "bfloat16"},
    }
    assert encoder_settings(EncodeConfig.parse({}), Catalog.read(demo)) == {}
    steps = EncodeConfig.parse({"keep_sequence": "text,image", "image_grid": "2x3"})
    assert encoder_settings(steps, Catalog.read(demo)) == {
        "image": {"grid": (2, 3), "keep_sequence": True},
        "text": {"keep_sequence": True},
    }


def test_an_encoder_without_steps_is_told(demo: Path, tmp_path: Path) -> None:
    for wanted, words in ((("text",), "tfidf makes one vector"), (("txt",), 'Did you mean "text"')):
        config = EncodeConfig.parse({"keep_sequence": wanted})
        with pytest.raises(ConfigError, match=words):
            encode_run(str(demo), tmp_path / "out", config)


def test_resources_are_what_the_options_allow() -> None:
    told: list[str] = []
    config = RunningConfig.parse({"encode_batch_size": 7, "workers": 0})
    made = resources(config, "cpu", told.append)
    made.tell("hello")
    assert (made.device, made.batch_size, made.workers, told) == ("cpu", 7, 0, ["hello"])


def test_a_summary_counts_what_was_done(demo: Path, tmp_path: Path) -> None:
    done = encode_run(str(demo), tmp_path / "out", EncodeConfig.parse({}))
    found = done.to_dict()
    assert (found["items"], found["shard"]) == (120, None)
    text = found["modalities"]["text"]
    assert text["observed"] + sum(case["cells"] for case in text["cases"]) == 120
    assert text["encoder"] == "tfidf"
    lines = str(done).splitlines()
    assert lines[0].startswith(f"text: {text['observed']} items, ")
    assert lines[-1].startswith(str(tmp_path / "out" / "features.npz"))


def test_light_encoders_have_no_shares(demo: Path, tmp_path: Path) -> None:
    config = EncodeConfig.parse({"shards": 2, "shard": 1})
    done = encode_run(str(demo), tmp_path / "out", config)
    assert done.to_dict()["modalities"] == {}
    assert str(done) == "Nothing to share out: only networks are; run without --shards."
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("shards", [{"shards": 2}, {"shards": 2, "shard": 2}, {"shard": 1}])
def test_shares_that_are_none_are_told(shards: dict[str, int], demo: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--shard"):
        encode_run(str(demo), tmp_path / "out", EncodeConfig.parse(shards))
