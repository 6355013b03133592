"""Text features: against single texts and sentence-transformers, windows, states, training."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from bayesfuse.encoders.base import CellProblem, Resources
from bayesfuse.encoders.text import NOT_FINITE, TransformersEncoder
from bayesfuse.encoders.text_model import POOLINGS
from bayesfuse.encoders.text_reading import UNKNOWN_SCRIPT
from bayesfuse.errors import ConfigError, FeatureError
from tests.encoders.conftest import ENGLISH

SCRIPTS = tomllib.loads((Path(__file__).parent / "scripts.toml").read_text(encoding="utf-8"))
PLOTS = [line for line in ENGLISH.splitlines() if line]
LONG = " ".join(PLOTS)  # 150 tokens or so, of which the small models read 64 at once


def _encoder(folder, **settings):
    return TransformersEncoder(str(folder), **settings).fit(PLOTS)


def _loop(folder, text, pooling, max_length):
    """Encode one text as transformers' own documentation does, without any of our code."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModel.from_pretrained(folder).eval()
    given = tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt")
    with torch.no_grad():
        output = network(input_ids=given["input_ids"], attention_mask=given["attention_mask"])
    states = output.last_hidden_state[0]
    pooled = {"cls": states[0], "mean": states.mean(0), "max": states.max(0).values,
              "pooler": output.pooler_output[0]}  # fmt: skip
    return pooled[pooling].numpy()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_vectors_are_those_of_a_plain_loop_over_single_texts(bert_folder, pooling, capfd):
    encoder = _encoder(bert_folder, pooling=pooling, long_texts="cut")
    encoder.resources = Resources(batch_size=4)
    cells = [*PLOTS, LONG, "love", None]
    features, observed = encoder.encode(cells)
    assert observed.tolist() == [True] * 8 + [False]
    assert capfd.readouterr() == ("", "")
    for text, row in zip(cells[:-1], features, strict=False):
        np.testing.assert_allclose(row, _loop(bert_folder, text, pooling, 64), atol=1e-5)


@pytest.mark.slow
def test_vectors_are_those_of_sentence_transformers(minilm_folder):
    from sentence_transformers import SentenceTransformer

    texts = [case["text"] for case in SCRIPTS["read"].values()]
    texts += [*PLOTS, LONG, LONG * 3, "  spaces around  ", "a", "A?!", "UPPER CASE", "x " * 300]
    assert len(texts) >= 30
    expected = SentenceTransformer(str(minilm_folder), device="cpu").encode(texts)
    encoder = _encoder(minilm_folder, long_texts="cut")
    features, observed = encoder.encode(texts)
    assert observed.all()
    np.testing.assert_allclose(features, expected, atol=1e-5)
    assert encoder.settings_.max_length == 256
    assert encoder.settings_.pooling == "mean"
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-6)


@pytest.mark.slow
@pytest.mark.movies
def test_the_stored_features_of_the_movies(minilm_folder, movies_path):
    import pyarrow.parquet as pq

    plots = pq.read_table(movies_path / "movies.parquet", columns=["plot"])["plot"]
    plots = plots.to_pylist()[:200]
    stored = np.load(movies_path / "features.npz")["text"][:200].astype(np.float32)
    features, _ = _encoder(minilm_folder, long_texts="cut").encode(plots)
    cosines = (features * stored).sum(1) / np.linalg.norm(stored, axis=1)
    assert cosines.min() > 0.9999
    assert (features[1:] * stored[:-1]).sum(1).max() < 0.99  # another movie's are not as near


def _windows_by_hand(tokenizer, text, size, stride):
    own = tokenizer(text, add_special_tokens=False)["input_ids"]
    starts = range(0, max(len(own) - stride, 1), size - 2 - stride)
    return [own[start : start + size - 2] for start in starts]


@pytest.mark.parametrize("name", ["bert_folder", "minilm_folder"])
def test_a_long_text_is_the_mean_over_windows_made_by_hand(name, request):
    """Of MiniLM, whose vectors have length 1, so has the mean."""
    from transformers import AutoTokenizer

    folder = request.getfixturevalue(name)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoder = _encoder(folder, max_length=32)
    assert encoder.settings_.stride == 8
    by_hand = _windows_by_hand(tokenizer, LONG, 32, 8)
    assert len(by_hand) > 3
    windows, _ = encoder.encode([tokenizer.decode(window) for window in by_hand])
    expected = windows.mean(axis=0)
    if name == "minilm_folder":
        expected /= np.linalg.norm(expected)
    features, _ = encoder.encode([PLOTS[0], LONG, PLOTS[1]])
    assert encoder.remarks_ == (CellProblem(1, "longer than 32 tokens; read in windows"),)
    np.testing.assert_allclose(features[1], expected, atol=1e-5)
    cut = _encoder(folder, max_length=32, long_texts="cut")
    np.testing.assert_allclose(cut.encode([LONG])[0][0], windows[0], atol=1e-5)
    assert cut.remarks_ == (CellProblem(0, "longer than 32 tokens; cut"),)


def test_neither_order_nor_company_nor_batch_size_changes_a_vector(bert_folder):
    encoder = _encoder(bert_folder)
    cells = [*PLOTS, LONG, None, "love"]
    first, observed = encoder.encode(cells)
    again, _ = encoder.encode(cells)
    np.testing.assert_array_equal(first, again)
    for size in (1, 3, 100):
        encoder.resources = Resources(batch_size=size)
        backwards, _ = encoder.encode(cells[::-1])
        np.testing.assert_allclose(backwards[::-1], first, atol=1e-6)
    assert observed.tolist() == [True] * 7 + [False, True]


def test_what_cannot_be_read_is_unobserved_and_zero(bert_folder):
    encoder = _encoder(bert_folder)
    cells = [None, SCRIPTS["unread"]["Korean"]["text"], PLOTS[0], "\x00"]
    features, observed = encoder.encode(cells)
    assert observed.tolist() == [False, False, True, False]
    assert not features[~observed].any()
    assert [problem.row for problem in encoder.problems_] == [1, 3]
    assert encoder.problems_[0].reason == UNKNOWN_SCRIPT
    encoder.encode([PLOTS[0]])
    assert encoder.problems_ == encoder.remarks_ == ()


def test_vectors_that_are_not_finite_are_not_let_through(bert_folder):
    encoder = _encoder(bert_folder)
    weights = {name: weight.clone() for name, weight in encoder.network().state_dict().items()}
    weights["backbone.embeddings.word_embeddings.weight"][5:] = torch.inf
    encoder.replace_weights(weights)
    features, observed = encoder.encode([*PLOTS, None])
    assert not observed.any()
    assert not features.any()
    assert encoder.problems_[0] == CellProblem(0, NOT_FINITE)


def test_empty_cells_need_no_model(bert_folder, tmp_path):
    folder = shutil.copytree(bert_folder, tmp_path / "model")
    encoder = TransformersEncoder.from_state(*_encoder(folder).state())
    shutil.rmtree(folder)
    features, observed = encoder.encode([None, " "])
    assert (features.shape, observed.any()) == ((2, 24), False)
    with pytest.raises(FeatureError, match="no longer at"):
        encoder.encode(["a plot"])


def test_bfloat16_on_a_cpu_is_near_and_is_recorded(bert_folder):
    exact, _ = _encoder(bert_folder).encode(PLOTS)
    encoder = _encoder(bert_folder, precision="bfloat16")
    features, _ = encoder.encode(PLOTS)
    assert features.dtype == np.float32
    assert encoder.state()[0]["precision"] == "bfloat16"
    assert encoder.fingerprint() != _encoder(bert_folder).fingerprint()
    assert not np.array_equal(features, exact)
    np.testing.assert_allclose(features, exact, atol=0.1)


def test_precision_is_resolved_when_it_is_fitted(bert_folder):
    assert _encoder(bert_folder).settings_.precision == "float32"
    with pytest.raises(ConfigError, match="float16"):
        _encoder(bert_folder, precision="float16")
    config, arrays = _encoder(bert_folder).state()
    on_gpu = TransformersEncoder.from_state({**config, "precision": "float16"}, arrays)
    with pytest.raises(ConfigError, match="fitted with float16 needs a GPU"):
        on_gpu.encode(PLOTS)


def test_the_state_is_json_and_gives_the_very_same_bits(bert_folder):
    encoder = _encoder(bert_folder, languages=("en",), max_length=32, pooling="max")
    config, arrays = encoder.state()
    assert arrays == {}
    again = TransformersEncoder.from_state(json.loads(json.dumps(config)), arrays)
    for first, second in zip(
        encoder.encode([*PLOTS, LONG]), again.encode([*PLOTS, LONG]), strict=True
    ):
        np.testing.assert_array_equal(first, second)
    assert again.state()[0] == config
    assert (again.width, again.languages) == (24, ("en",))
    assert again.problems_ == encoder.problems_


def test_the_fingerprint_is_of_the_model_and_not_of_its_place(bert_folder, tmp_path, hub):
    encoder = _encoder(bert_folder)
    copied = _encoder(shutil.copytree(bert_folder, tmp_path / "elsewhere"))
    hub.add("maker/model", bert_folder)
    told = []
    of_hub = TransformersEncoder("maker/model")
    of_hub.resources = Resources(tell=told.append)
    of_hub.fit(PLOTS)
    assert "Downloading the text model maker/model" in told[0]
    assert encoder.fingerprint() == copied.fingerprint() == of_hub.fingerprint()
    assert of_hub.state()[0]["model"] == "maker/model"
    for other in (
        _encoder(bert_folder, pooling="cls"),
        _encoder(bert_folder, max_length=32),
        _encoder(bert_folder, long_texts="cut"),
        _encoder(bert_folder, languages=("en",)),
    ):
        assert other.fingerprint() != encoder.fingerprint()


def test_other_weights_in_the_same_place_are_refused(make_text_folder, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(make_text_folder(), folder)
    state = _encoder(folder).state()
    shutil.copy(make_text_folder(seed=1) / "model.safetensors", folder)
    with pytest.raises(FeatureError, match="another weights than the encoder was fitted with"):
        TransformersEncoder.from_state(*state).encode(PLOTS)


def test_a_model_that_was_moved(bert_folder, make_text_folder, tmp_path):
    folder = shutil.copytree(bert_folder, tmp_path / "model")
    encoder = _encoder(folder)
    again = TransformersEncoder.from_state(*encoder.state())
    folder.rename(tmp_path / "moved")
    with pytest.raises(FeatureError, match="another weights"):
        again.move_to(str(make_text_folder(seed=1)))
    again.move_to(str(tmp_path / "moved"))
    np.testing.assert_array_equal(again.encode(PLOTS)[0], encoder.encode(PLOTS)[0])


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"pooling": "median"}, 'Unknown pooling "median"; expected one of cls, max, mean, pooler'),
        ({"long_texts": "window"}, 'Did you mean "windows"'),
        ({"precision": "float64"}, 'Unknown precision "float64"'),
    ],
)
def test_settings_that_are_none_are_refused_at_once(settings, named):
    with pytest.raises(ConfigError, match=named):
        TransformersEncoder(**settings)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"max_length": 65}, "max_length is 65; the text model takes 3 to 64"),
        ({"languages": "en,xy"}, 'languages has "xy"'),
    ],
)
def test_settings_that_do_not_suit_the_model_are_refused_when_it_is_fitted(
    bert_folder, settings, named
):
    with pytest.raises(ConfigError, match=named):
        _encoder(bert_folder, **settings)


def test_before_fitting(bert_folder):
    encoder = TransformersEncoder(str(bert_folder))
    for call in (
        encoder.state,
        encoder.network,
        lambda: encoder.encode(["a"]),
        lambda: encoder.tokens(["a"], 8),
        lambda: encoder.replace_weights({}),
        lambda: encoder.move_to("a"),
    ):
        with pytest.raises(FeatureError, match="not fitted"):
            call()
    with pytest.raises(FeatureError, match="Row 0 is bytes"):
        encoder.fit([]).encode([b"a"])


def test_tokens_for_training_are_those_that_encode_reads(bert_folder):
    encoder = _encoder(bert_folder, long_texts="cut", max_length=32)
    cells = [*PLOTS, None, LONG, SCRIPTS["unread"]["Korean"]["text"]]
    tokens, observed = encoder.tokens(cells, 32)
    features, seen = encoder.encode(cells)
    assert (tokens.shape, tokens.dtype) == ((9, 32), np.int64)
    assert observed.tolist() == seen.tolist() == [True] * 6 + [False, True, False]
    network = encoder.network()
    with torch.no_grad():
        vectors = network(torch.from_numpy(tokens)).numpy()
    np.testing.assert_allclose(vectors[observed], features[observed], atol=1e-6)
    assert np.isfinite(vectors).all()
    short, _ = encoder.tokens(["love", "love love", None], 32)
    assert short.shape[1] < 8
    assert encoder.pad == short[0, -1] == 0
    with pytest.raises(ConfigError, match="max_length is 65"):
        encoder.tokens(cells, 65)


def test_a_network_given_away_is_not_the_encoder_s_own(bert_folder):
    encoder = _encoder(bert_folder)
    before, _ = encoder.encode(PLOTS)
    network = encoder.network()
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
    np.testing.assert_array_equal(encoder.encode(PLOTS)[0], before)


def _trained(encoder):
    network = encoder.network().train()
    tokens, _ = encoder.tokens(PLOTS, 32)
    optimiser = torch.optim.AdamW(network.blocks[-1].parameters(), lr=1e-2)
    for _ in range(3):
        optimiser.zero_grad()
        network(torch.from_numpy(tokens)).square().mean().backward()
        optimiser.step()
    return network.eval()


@pytest.mark.parametrize("settings", [{}, {"pooling": "pooler"}])
def test_trained_weights_are_kept_whole_without_the_folder(bert_folder, tmp_path, settings):
    folder = shutil.copytree(bert_folder, tmp_path / "model")
    encoder = _encoder(folder, **settings)
    before, print_before = encoder.encode(PLOTS)[0], encoder.fingerprint()
    network = _trained(encoder)
    encoder.replace_weights(network.state_dict())
    shutil.rmtree(folder)
    features, _ = encoder.encode([*PLOTS, LONG])
    assert np.abs(features[:6] - before).max() > 1e-3
    with torch.no_grad():
        tokens, _ = encoder.tokens(PLOTS, 64)
        vectors = network(torch.from_numpy(tokens)).numpy()
    np.testing.assert_allclose(features[:6], vectors, atol=1e-6)
    assert encoder.fingerprint() != print_before

    config, arrays = encoder.state()
    assert set(arrays) == set(network.state_dict())
    text = json.dumps(config)
    with torch.no_grad():
        next(network.parameters()).zero_()  # what was given is a copy
    again = TransformersEncoder.from_state(json.loads(text), arrays)
    np.testing.assert_array_equal(again.encode([*PLOTS, LONG])[0], features)
    assert again.fingerprint() == encoder.fingerprint()
    again.replace_weights(again.network().state_dict())
    np.testing.assert_array_equal(again.encode([*PLOTS, LONG])[0], features)


def test_weights_of_another_network_are_refused(bert_folder, make_text_folder):
    encoder = _encoder(bert_folder)
    other = _encoder(make_text_folder(hidden_size=32)).network()
    with pytest.raises(FeatureError, match="cannot be rebuilt"):
        encoder.replace_weights(other.state_dict())


@pytest.mark.parametrize("lost", ["weights_sha256", "revision", "pooling", "model"])
def test_a_damaged_state_is_refused(bert_folder, lost):
    config, arrays = _encoder(bert_folder).state()
    del config[lost]
    with pytest.raises(FeatureError, match=lost):
        TransformersEncoder.from_state(config, arrays)


def test_a_damaged_state_of_trained_weights_is_refused(bert_folder):
    encoder = _encoder(bert_folder)
    encoder.replace_weights(encoder.network().state_dict())
    config, arrays = encoder.state()
    for key, change in (("tokenizer", None), ("network", {"model_type": "gpt2"}), ("width", 25)):
        with pytest.raises(FeatureError, match="state of the t"):
            TransformersEncoder.from_state({**config, key: change}, arrays).encode(PLOTS)
    del arrays[next(iter(arrays))]
    with pytest.raises(FeatureError, match="cannot be rebuilt"):
        TransformersEncoder.from_state(config, arrays).encode(PLOTS)
