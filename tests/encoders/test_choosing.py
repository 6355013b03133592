"""Which encoder a modality gets, and that it is remembered."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bayesfuse.data.catalog import Catalog
from bayesfuse.data.demo import write_demo
from bayesfuse.data.features import FeatureTable
from bayesfuse.encoders.choosing import choose_encoders, kind_of, load_specs, save_specs
from bayesfuse.encoders.names import EncoderSpec
from bayesfuse.errors import ConfigError, RunFolderError, UserError


@pytest.fixture(scope="module")
def catalog(tmp_path_factory) -> Catalog:
    return Catalog.read(write_demo(tmp_path_factory.mktemp("demo") / "c", num_items=200))


def with_own(catalog: Catalog, encoders: dict, settings: dict | None = None) -> Catalog:
    return dataclasses.replace(catalog, encoders=encoders, encoder_settings=settings or {})


def test_the_catalogue_says_which(catalog):
    assert choose_encoders(catalog) == {
        "text": EncoderSpec("tfidf"),
        "image": EncoderSpec("statistics"),
    }


def test_what_is_named_counts_more_then_the_catalogue_then_what_was_before(catalog):
    before = {"text": EncoderSpec("tfidf", {"width": 5}), "image": EncoderSpec("statistics")}
    bare = with_own(catalog, {})
    assert choose_encoders(bare, before=before) == before
    assert choose_encoders(catalog, before=before)["text"] == EncoderSpec("tfidf")
    named = choose_encoders(catalog, {"text": "models/x"}, before=before)
    assert named["text"] == EncoderSpec("transformers", {"model": "models/x"})
    defaults = {"text": EncoderSpec("transformers"), "image": EncoderSpec("timm")}
    assert choose_encoders(bare) == defaults


def test_settings_belong_to_the_encoder_that_they_stand_beside(catalog):
    own = with_own(catalog, {"text": "tfidf"}, {"text": {"width": 9, "seed": 1}})
    assert choose_encoders(own)["text"].settings == {"width": 9, "seed": 1}
    given = choose_encoders(own, settings={"text": {"width": 3}})
    assert given["text"].settings == {"width": 3, "seed": 1}
    same = choose_encoders(own, {"text": "tfidf"})
    assert same["text"].settings == {"width": 9, "seed": 1}
    other = choose_encoders(own, {"text": "models/x"})
    assert other["text"].settings == {"model": "models/x"}
    without_name = with_own(catalog, {}, {"text": {"pooling": "cls"}})
    assert choose_encoders(without_name)["text"] == EncoderSpec("transformers", {"pooling": "cls"})


def test_features_are_kept_unless_an_encoder_is_named(catalog):
    table = FeatureTable.from_arrays({"text": np.zeros((len(catalog), 2))})
    with_features = dataclasses.replace(catalog, features=table)
    assert list(choose_encoders(with_features)) == ["image"]
    assert list(choose_encoders(with_features, {"text": "tfidf"})) == ["text", "image"]
    with pytest.raises(ConfigError, match=r'pooling: no effect, since the modality "text" has fea'):
        choose_encoders(with_features, settings={"text": {"pooling": "cls"}})


def test_unknown_modalities_are_told(catalog):
    for options in ({"named": {"txt": "tfidf"}}, {"settings": {"txt": {"width": 2}}}):
        with pytest.raises(ConfigError, match=r'with raw cells "txt".*Did you mean "text"'):
            choose_encoders(catalog, **options)


def test_kinds(catalog):
    assert [kind_of(cells) for cells in catalog.raw.values()] == ["text", "image"]


def test_specs_are_remembered(tmp_path):
    specs = {
        "text": EncoderSpec("transformers", {"model": "m", "languages": ("en", "de")}),
        "image": EncoderSpec("statistics"),
    }
    assert load_specs(tmp_path) == {}
    save_specs(tmp_path, specs)
    assert load_specs(tmp_path) == specs
    assert [path.name for path in tmp_path.iterdir()] == ["encoding.json"]
    with pytest.raises(UserError, match="Cannot write"):
        save_specs(tmp_path / "none", specs)


@pytest.mark.parametrize("content", ["{", "[1]", '{"text": {"encoder": "x"}}', '{"text": 3}'])
def test_a_damaged_record_is_told(tmp_path, content):
    (tmp_path / "encoding.json").write_text(content)
    with pytest.raises(RunFolderError, match=r"cannot be read .*Remove it"):
        load_specs(tmp_path)
