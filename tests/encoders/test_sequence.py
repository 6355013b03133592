"""Token vectors and grids of patches: what the libraries say of each step, kept and found again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bayesfuse.data.catalog import Catalog
from bayesfuse.data.demo import write_demo
from bayesfuse.data.raw import RawColumn
from bayesfuse.encoders.base import Resources
from bayesfuse.encoders.catalogues import Running, apply_encoders, run_encoders
from bayesfuse.encoders.image import TimmEncoder
from bayesfuse.encoders.names import make_encoder
from bayesfuse.encoders.reports import EMPTY
from bayesfuse.encoders.saving import load_encoders
from bayesfuse.encoders.sequence import NOT_FINITE, SequenceEncoder
from bayesfuse.encoders.text import TransformersEncoder
from bayesfuse.encoders.tfidf import TfidfEncoder
from bayesfuse.encoders.transformers_library import import_transformers
from bayesfuse.errors import ConfigError, FeatureError
from tests.encoders.test_image import as_file, make_weights, picture

TEXTS = [
    "A man falls in love.",
    None,
    "two brothers rob a bank in a small town and flee",
    " ",
    "bank",
]
EVERYTHING = slice(None)


@pytest.fixture(scope="module")
def text_encoder(bert_folder) -> SequenceEncoder:
    made = make_encoder("transformers", "text", {"model": str(bert_folder), "keep_sequence": True})
    assert isinstance(made, SequenceEncoder)
    return made.fit(TEXTS)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    save_file(make_weights("test_resnet"), path)
    return path


def image_encoder(weights, **settings) -> SequenceEncoder:
    made = SequenceEncoder.around(TimmEncoder, {"model": "test_resnet", "weights": str(weights)},
                                  settings.get("grid"))  # fmt: skip
    made.resources = Resources(batch_size=2, workers=0)
    return made.fit([])


def test_a_text_is_its_tokens_last_hidden_states(text_encoder, bert_folder):
    steps, observed = text_encoder.encode_steps(TEXTS)
    assert observed.tolist() == [True, False, True, False, True]
    assert (text_encoder.width, text_encoder.steps, steps.dtype) == (24, 64, np.float16)
    transformers = import_transformers()
    network = transformers.AutoModel.from_pretrained(bert_folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(bert_folder)
    for row in np.flatnonzero(observed).tolist():
        tokens = tokenizer(TEXTS[row], return_tensors="pt")
        with torch.no_grad():
            expected = network(**tokens).last_hidden_state[0].numpy()
        own = slice(steps.starts[row], steps.starts[row] + steps.lengths[row])
        np.testing.assert_allclose(steps.flat[own], expected, atol=2e-3)
    assert len(set(steps.lengths[observed].tolist())) == 3


def test_the_mean_over_steps_is_what_mean_pooling_says(text_encoder, bert_folder):
    plain = TransformersEncoder(str(bert_folder), pooling="mean").fit([])
    expected, seen = plain.encode(TEXTS)
    found, observed = text_encoder.encode(TEXTS)
    np.testing.assert_array_equal(observed, seen)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_long_texts_are_cut_and_told(bert_folder):
    settings = {"model": str(bert_folder), "keep_sequence": True, "max_length": 6}
    made = make_encoder("transformers", "text", settings).fit([])
    steps, _ = made.encode_steps(TEXTS)
    assert steps.lengths.max() == made.steps == 6
    assert {remark.reason for remark in made.remarks_} == {"longer than 6 tokens; cut"}


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
@pytest.mark.parametrize("grid", [None, (2, 3)])
def test_a_picture_is_its_places_row_by_row(name, grid, tmp_path):
    state = make_weights(name)
    save_file(state, tmp_path / "w.safetensors")
    settings = {"model": name, "weights": str(tmp_path / "w.safetensors"), "keep_sequence": True}
    made = make_encoder("timm", "image", settings | ({} if grid is None else {"grid": grid}))
    made.resources = Resources(batch_size=2, workers=0)
    made.fit([])
    cells = [as_file(picture(1)), None, b"no picture", as_file(picture(2, 160, 160))]
    steps, observed = made.encode_steps(cells)
    assert observed.tolist() == [True, False, False, True]
    assert [problem.row for problem in made.problems_] == [2]
    places = 25 if grid is None and name == "test_resnet" else 100 if grid is None else 6
    assert steps.lengths[observed].tolist() == [places] * 2 == [made.steps] * 2
    inner = TimmEncoder(name, settings["weights"])
    inner.resources = made.resources
    inner.fit([])
    network = inner.ready().network
    read = inner.pixel_reader()
    with torch.no_grad():
        pixels = torch.from_numpy(read(cells[3], 0))[None].float() / 255
        maps = network.forward_features((pixels - inner.ready().mean) / inner.ready().std)
        if name == "test_vit":
            maps = maps[:, network.num_prefix_tokens :].movedim(1, 2).unflatten(2, (10, 10))
        if grid is not None:
            maps = torch.nn.functional.adaptive_avg_pool2d(maps, grid)
        expected = maps[0].flatten(1).T.numpy()
    np.testing.assert_allclose(steps[:][3], expected, atol=5e-3, rtol=5e-3)


def test_what_is_not_finite_in_float16_is_unobserved(weights, monkeypatch):
    made = image_encoder(weights)
    plain = made._look
    monkeypatch.setattr(made, "_look", lambda model, pixels: plain(model, pixels) * 1e9)
    cells = [as_file(picture(1))]
    _, observed = made.encode_steps(cells)
    assert not observed.any()
    assert [problem.reason for problem in made.problems_] == [NOT_FINITE]


def test_state_gives_the_very_same_steps(text_encoder, weights):
    pairs = [(text_encoder, TEXTS), (image_encoder(weights, grid=2), [as_file(picture(3))])]
    for made, cells in pairs:
        again = SequenceEncoder.from_state(*made.state())
        again.resources = made.resources
        assert again.fingerprint() == made.fingerprint()
        assert (again.width, again.steps, again.kind) == (made.width, made.steps, made.kind)
        np.testing.assert_array_equal(
            again.encode_steps(cells)[0][:], made.encode_steps(cells)[0][:]
        )
    assert made.fingerprint() not in (
        made.inner.fingerprint(),
        image_encoder(weights).fingerprint(),
    )


def test_a_state_that_is_incomplete_is_told(text_encoder):
    config, arrays = text_encoder.state()
    for key in ("inner", "steps", "grid"):
        with pytest.raises(FeatureError, match="incomplete"):
            SequenceEncoder.from_state({k: v for k, v in config.items() if k != key}, arrays)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"pooling": "cls"}, "pooling is cls, which is for one vector a text"),
        ({"long_texts": "windows"}, "long_texts is windows.*--max-length"),
        ({"grid": 3}, "grid is 3; expected rows and columns of a picture's"),
        ({"keep_sequence": "yes"}, "expected true or false"),
        ({"keep_sequence": False, "grid": 3}, "no effect without --keep-sequence"),
    ],
)
def test_settings_that_do_not_go_together_are_told(settings, words):
    with pytest.raises(ConfigError, match=words):
        make_encoder("transformers", "text", {"keep_sequence": True, **settings})


def test_an_encoder_without_steps_is_refused():
    with pytest.raises(ConfigError, match="tfidf makes one vector of a cell"):
        make_encoder("tfidf", "text", {"keep_sequence": True})
    with pytest.raises(FeatureError, match="tfidf makes one vector"):
        TfidfEncoder().encode_steps(["a"])


@pytest.fixture(scope="module")
def catalog(tmp_path_factory) -> Catalog:
    folder = write_demo(tmp_path_factory.mktemp("sequence") / "demo", num_items=60)
    found = Catalog.read(folder)
    column = found.raw["text"]
    cells = [cell and cell[: 10 + 2 * row] for row, cell in enumerate(column)]  # of many lengths
    text = RawColumn("text", "text", column.observed, lambda: cells)
    return dataclasses.replace(found, raw={"text": text}, encoders={})


def test_a_catalogue_is_kept_found_again_and_applied_to_new_items(
    catalog, bert_folder, tmp_path, text_encoder
):
    told: list[str] = []
    running = Running(Resources(tell=told.append), folder=tmp_path / "e")
    given = {"text": {"keep_sequence": True, "max_length": 40}}
    done = run_encoders(catalog, {"text": str(bert_folder)}, settings=given, running=running)
    assert any("sequences of at most 40 steps x 24 features" in line for line in told)
    features = done.catalog.features
    assert features.is_sequence("text")
    steps, used = features.sequences(EVERYTHING)
    assert steps["text"].shape[2] == 24
    assert used["text"].any(axis=1).tolist() == features.observed[:, 0].tolist()
    assert len(set(used["text"].sum(axis=1).tolist())) > 2

    again = run_encoders(catalog, running=running)  # as in the last run, from the cache
    cases = again.runs["text"].cases  # what could not be encoded is tried again
    unread = sum(c.outcome == "unobserved" and c.reason != EMPTY for c in cases)
    assert again.runs["text"].num_new == unread < 3
    np.testing.assert_array_equal(
        again.catalog.features.sequences(EVERYTHING)[0]["text"], steps["text"]
    )

    fitted = load_encoders(tmp_path / "e")
    rows = np.arange(0, len(catalog), 7)
    new = catalog.raw["text"].take(rows)
    few = dataclasses.replace(
        catalog, ids=catalog.ids[rows], raw={"text": new}, labels=catalog.labels[rows],
        features=catalog.features.take(rows).select([]),
    )  # fmt: skip
    found = apply_encoders(few, fitted).features.sequences(EVERYTHING)[0]["text"]
    expected = steps["text"][rows][:, : found.shape[1]]
    np.testing.assert_allclose(found, expected, atol=4e-3)  # padding rounds otherwise
