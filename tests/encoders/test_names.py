"""Encoders by name: ours, models by their names, and those of other packages."""

from __future__ import annotations

import sys

import pytest

from bayesfuse.encoders import names
from bayesfuse.encoders.names import (
    EncoderSpec,
    default_spec,
    encoder_class,
    encoder_names,
    make_encoder,
    parse_spec,
)
from bayesfuse.encoders.statistics import StatisticsEncoder
from bayesfuse.encoders.tfidf import TfidfEncoder
from bayesfuse.errors import ConfigError

PLUGIN = '''
import numpy as np
from bayesfuse.encoders.base import Encoder

class LengthEncoder(Encoder):
    """The length of a text, times a factor."""
    name, kind, width = "length", "text", 1

    def __init__(self, factor=1.0):
        self.factor = factor

    def fit(self, cells):
        return self

    def encode(self, cells):
        observed = np.array([cell is not None for cell in cells], dtype=bool)
        values = [[self.factor * len(cell or "")] for cell in cells]
        return np.array(values, dtype=np.float32).reshape(-1, 1), observed

    def state(self):
        return {"name": self.name, "factor": self.factor}, {}

    @classmethod
    def from_state(cls, config, arrays):
        return cls(config["factor"])

class NoEncoder:
    pass
'''


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install a package that adds encoders, as pip would."""
    (tmp_path / "lengths.py").write_text(PLUGIN)
    info = tmp_path / "lengths-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lengths\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[bayesfuse.encoders]\nlength = lengths:LengthEncoder\nbroken = lengths:Nothing\n"
        "wrong = lengths:NoEncoder\ntfidf = lengths:NoEncoder\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    names._plugins.cache_clear()
    yield
    names._plugins.cache_clear()
    sys.modules.pop("lengths", None)


def test_encoders_are_made_by_name_and_setting():
    assert isinstance(make_encoder("tfidf", "text"), TfidfEncoder)
    assert isinstance(make_encoder("statistics", "image"), StatisticsEncoder)
    assert make_encoder("tfidf", "text", {"width": 7}).width == 7


@pytest.mark.parametrize(
    ("name", "kind", "settings", "message"),
    [
        ("tfdif", "text", {}, r'Unknown text encoder "tfdif".*Did you mean "tfidf"'),
        ("tfidf", "image", {}, r'Unknown image encoder "tfidf"; expected one of statistics'),
        ("tfidf", "text", {"widht": 3}, r'setting of the encoder tfidf "widht".*"width"'),
        ("tfidf", "text", {"width": 0}, "width is 0; expected 1 or more"),
    ],
)
def test_wrong_names_and_settings_are_told(name, kind, settings, message):
    with pytest.raises(ConfigError, match=message):
        make_encoder(name, kind, settings)


@pytest.mark.parametrize(
    ("text", "kind", "spec"),
    [
        ("tfidf", "text", EncoderSpec("tfidf")),
        ("models/minilm", "text", EncoderSpec("transformers", {"model": "models/minilm"})),
        ("transformers:tfidf", "text", EncoderSpec("transformers", {"model": "tfidf"})),
        ("resnet50", "image", EncoderSpec("timm", {"model": "resnet50"})),
        ("timm:hf-hub:a/b", "image", EncoderSpec("timm", {"model": "hf-hub:a/b"})),
        ("tabular", "table", EncoderSpec("tabular")),
    ],
)
def test_what_a_user_calls_an_encoder(text, kind, spec):
    assert parse_spec(text, kind) == spec


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("tfdif", "text", r'Did you mean "tfidf"\? For a model of that name: transformers:tfdif'),
        ("statistics", "text", 'Unknown text encoder "statistics"'),
        ("resnet50", "table", 'Unknown table encoder "resnet50"; expected one of tabular'),
        (" ", "text", "Unknown text encoder"),
    ],
)
def test_what_is_near_a_name_is_not_taken_for_a_model(text, kind, message):
    with pytest.raises(ConfigError, match=message):
        parse_spec(text, kind)


def test_defaults_are_the_networks():
    kinds = ("text", "image", "table")
    assert [default_spec(k).name for k in kinds] == ["transformers", "timm", "tabular"]
    assert EncoderSpec("a", {"x": 1, "y": 2}).with_settings({"y": 3}).settings == {"x": 1, "y": 3}


def test_another_package_adds_an_encoder(plugin):
    assert "length" in encoder_names("text")
    made = make_encoder("length", "text", {"factor": 2.0})
    assert made.encode(["abc", None])[0].tolist() == [[6.0], [0.0]]
    assert parse_spec("length", "text") == EncoderSpec("length")
    assert encoder_class("tfidf") is TfidfEncoder  # its own names nobody takes
    with pytest.raises(ConfigError, match='"length" reads text cells, not image cells'):
        make_encoder("length", "image")
    with pytest.raises(ConfigError, match=r'"broken" \(lengths:Nothing\) cannot be loaded'):
        encoder_class("broken")
    with pytest.raises(ConfigError, match="no complete subclass"):
        encoder_class("wrong")


def test_without_the_package_there_is_none():
    with pytest.raises(ConfigError, match='Unknown encoder "length"'):
        encoder_class("length")
