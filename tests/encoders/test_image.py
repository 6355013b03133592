"""The timm encoder: timm's own features, every kind of picture, state, training, the movies."""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save, save_file

from bayesfuse.encoders import decoding
from bayesfuse.encoders.base import CellProblem, Resources
from bayesfuse.encoders.image import NOT_FINITE, TimmEncoder
from bayesfuse.encoders.torchvision_operators import import_timm
from bayesfuse.errors import ConfigError, FeatureError, MissingExtraError

try:
    timm = import_timm()
except MissingExtraError as error:
    pytest.skip(str(error), allow_module_level=True)

NAME = "test_resnet"
SMALL = {"input_size": 64}


def make_weights(name: str = NAME, seed: int = 0, **args: object) -> dict[str, torch.Tensor]:
    """Random weights under which pictures differ, running statistics included."""
    torch.manual_seed(seed)
    network = timm.create_model(name, **args)
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # the statistics of the one batch that follows
    with torch.no_grad():
        network(torch.randn(8, 3, 160, 160))
    return network.state_dict()


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet.safetensors"
    save_file(make_weights(), path)
    return path


def picture(seed: int, width: int = 90, height: int = 120) -> Image.Image:
    """Smooth, as photographs are."""
    rng = np.random.default_rng(seed)
    rough = Image.fromarray(rng.integers(256, size=(5, 4, 3), dtype=np.uint8))
    return rough.resize((width, height), Image.Resampling.BICUBIC)


def as_file(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def fitted(weights: Path, model: str = NAME, workers: int = 0, **settings: object) -> TimmEncoder:
    encoder = TimmEncoder(model, str(weights), **settings)
    encoder.resources = Resources(batch_size=8, workers=workers)
    return encoder.fit([])


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_efficientnet"])
@pytest.mark.parametrize("preprocessing", [{}, {"crop_mode": "squash", "crop_pct": 1, "std": 0.5}])
def test_features_are_those_of_timm_done_the_plain_way(name, preprocessing, tmp_path):
    from timm.data import create_transform, resolve_model_data_config

    state = make_weights(name)
    save_file(state, tmp_path / "w.safetensors")
    images = [picture(seed, *size) for seed, size in enumerate([(90, 120), (300, 200), (160, 160)])]
    features, observed = fitted(
        tmp_path / "w.safetensors", name, preprocessing=preprocessing
    ).encode([as_file(image) for image in images])

    network = timm.create_model(name).eval()
    network.load_state_dict(state)
    config = {**resolve_model_data_config(network), **preprocessing}
    config["std"] = (0.5,) * 3 if "std" in preprocessing else config["std"]
    transform = create_transform(**config, is_training=False)
    with torch.no_grad():
        batch = torch.stack([transform(image) for image in images])
        expected = network.forward_head(network.forward_features(batch), pre_logits=True).numpy()
    assert observed.all()
    assert features.shape == expected.shape
    assert np.abs(expected[0] - expected[1]).max() > 0.05
    np.testing.assert_allclose(features, expected, rtol=0, atol=1e-5)


def test_pictures_of_every_kind(weights):
    """Each is the same picture; a palette and JPEG change it a little, and grey is another."""
    image = picture(1)
    exif = Image.Exif()
    exif[0x0112] = 6
    opaque = image.convert("RGBA")
    blue = Image.new("RGB", image.size, "blue")
    grey = image.convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    cells = {
        "PNG": as_file(image),
        "BMP": as_file(image, "BMP"),
        "TIFF": as_file(image, "TIFF"),
        "WebP": as_file(image, "WEBP", lossless=True),
        "alpha": as_file(opaque),
        "EXIF": as_file(image.rotate(90, expand=True), "PNG", exif=exif),
        "animation": as_file(image, "WEBP", lossless=True, save_all=True, append_images=[blue]),
        "JPEG": as_file(image, "JPEG", quality=98, subsampling=0),
        "CMYK": as_file(image.convert("CMYK"), "JPEG", quality=98, subsampling=0),
        "palette": as_file(image.quantize(256)),
        "GIF": as_file(image.quantize(256), "GIF"),
        "grey": as_file(grey),
        "16 bits": as_file(deep),
        "1 bit": as_file(image.convert("1")),
    }
    features, observed = fitted(weights).encode(list(cells.values()))
    assert observed.all()
    found = dict(zip(cells, features, strict=True))
    for kind in ("BMP", "TIFF", "WebP", "alpha", "EXIF", "animation"):
        np.testing.assert_allclose(found[kind], found["PNG"], atol=1e-5, err_msg=kind)
    np.testing.assert_allclose(found["16 bits"], found["grey"], atol=1e-5)
    far = {kind: np.linalg.norm(vector - found["PNG"]) for kind, vector in found.items()}
    for kind in ("JPEG", "CMYK", "palette", "GIF"):
        assert 0 < far[kind] < 0.5 * min(far["grey"], far["1 bit"]), kind


def test_what_cannot_be_read_is_unobserved_and_told(weights, tmp_path):
    good = as_file(picture(1))
    cells = [None, good, good[:900], b"", "nowhere.png", b"%PDF", as_file(picture(0, 3000, 2))]
    encoder = fitted(weights)
    features, observed = encoder.encode(cells)
    assert observed.tolist() == [False, True, False, False, False, False, False]
    assert features.dtype == np.float32
    assert not features[~observed].any()
    assert encoder.problems_ == (
        CellProblem(2, "the file is truncated"),
        CellProblem(3, "the file is empty"),
        CellProblem(4, "the file does not exist"),
        CellProblem(5, "no picture in a known format"),
        CellProblem(6, "more than 100 times as long as wide"),
    )
    (tmp_path / "a.png").write_bytes(good)
    again, _ = encoder.encode([tmp_path / "a.png", str(tmp_path / "a.png")])
    np.testing.assert_array_equal(again, features[[1, 1]])
    assert encoder.problems_ == ()


def test_nothing_to_encode(weights):
    encoder = fitted(weights)
    for cells in ([], [None, None]):
        features, observed = encoder.encode(cells)
        assert features.shape == (len(cells), encoder.width) == (len(cells), 96)
        assert not observed.any()


def test_a_cell_of_another_type_is_named(weights):
    with pytest.raises(FeatureError, match="Row 1: A picture is int"):
        fitted(weights).encode([None, 3])


def test_vectors_that_are_not_finite_are_unobserved(tmp_path):
    state = make_weights()
    state["layer4.0.bn2.weight"][3] = torch.nan
    save_file(state, tmp_path / "w.safetensors")
    encoder = fitted(tmp_path / "w.safetensors", preprocessing=SMALL)
    features, observed = encoder.encode([None, as_file(picture(1)), b"x"])
    assert not observed.any()
    assert not features.any()
    assert encoder.problems_[0] == CellProblem(1, NOT_FINITE)


def test_workers_and_batches_change_nothing(weights, monkeypatch):
    monkeypatch.setattr(decoding, "_FEW", 10)
    cells = [as_file(picture(seed)) for seed in range(30)]
    cells[7] = b"broken"
    encoder = fitted(weights, preprocessing=SMALL)
    expected, observed = encoder.encode(cells)
    encoder.resources = Resources(batch_size=7, workers=2)
    features, again = encoder.encode(cells)
    assert encoder._decoder is not None
    assert len(encoder._decoder._idle) == 2
    np.testing.assert_array_equal(again, observed)
    np.testing.assert_allclose(features, expected, atol=1e-5)
    assert [problem.row for problem in encoder.problems_] == [7]
    twin = copy.deepcopy(encoder)  # without the processes
    np.testing.assert_allclose(twin.encode(cells[:3])[0], expected[:3], atol=1e-5)
    encoder.resources = Resources(workers=0)
    encoder.encode(cells[:2])
    assert not encoder._decoder._idle


def test_the_state_brings_the_same_bits(weights):
    cells = [as_file(picture(seed)) for seed in range(5)]
    encoder = fitted(weights, preprocessing={"crop_mode": "squash", "mean": 0.5})
    features, _ = encoder.encode(cells)
    config, arrays = encoder.state()
    assert arrays == {}
    assert config["weights"] == str(weights)
    assert len(config["weights_sha256"]) == 64
    assert config["preprocessing"]["mean"] == [0.5, 0.5, 0.5]
    assert config["preprocessing"]["input_size"] == [3, 160, 160]
    assert (config["precision"], config["width"]) == ("float32", 96)
    assert config["timm"] == timm.__version__
    config = json.loads(json.dumps(config))
    again = TimmEncoder.from_state(config, {})
    assert again.width == 96
    assert again.fingerprint() == encoder.fingerprint()
    assert again.state() == (config, {})
    again.resources = Resources(batch_size=8, workers=0)
    np.testing.assert_array_equal(again.encode(cells)[0], features)


def test_a_state_is_rebuilt_without_reading_the_weights(weights, tmp_path):
    copied = tmp_path / "w.safetensors"
    copied.write_bytes(weights.read_bytes())
    config, _ = fitted(copied).state()
    copied.unlink()
    encoder = TimmEncoder.from_state(config, {})
    assert not encoder.encode([None])[1].any()
    cells = [as_file(picture(1))]
    with pytest.raises(FeatureError, match=r"no longer at .*w\.safetensors"):
        encoder.encode(cells)
    encoder.move_to(str(weights))
    expected, _ = fitted(weights).encode(cells)
    encoder.resources = Resources(batch_size=8, workers=0)
    np.testing.assert_array_equal(encoder.encode(cells)[0], expected)
    save_file(make_weights(seed=1), copied)
    with pytest.raises(FeatureError, match="are others than"):
        encoder.move_to(str(copied))


def test_an_incomplete_state_is_refused(weights):
    config, _ = fitted(weights).state()
    for key in ("architecture", "weights", "weights_sha256", "preprocessing", "width", "precision"):
        less = {name: value for name, value in config.items() if name != key}
        with pytest.raises(FeatureError, match=f"state of the timm encoder is incomplete.*{key}"):
            TimmEncoder.from_state(less, {})
    with pytest.raises(FeatureError, match="incomplete"):
        TimmEncoder.from_state({**config, "preprocessing": {"mean": 3}}, {})


def test_the_fingerprint_is_of_what_changes_features(weights, tmp_path):
    torch.save(make_weights(), tmp_path / "the same.pth")
    save_file(make_weights(seed=1), tmp_path / "others.safetensors")
    own = fitted(weights).fingerprint()
    assert len(own) == 32
    assert fitted(tmp_path / "the same.pth").fingerprint() == own
    assert fitted(weights, f"{NAME}.r160_in1k").fingerprint() == own
    others = [
        fitted(tmp_path / "others.safetensors"),
        fitted(weights, preprocessing={"mean": 0.4}),
        fitted(weights, model_args={"output_stride": 16}),
        fitted(weights, precision="bfloat16"),
    ]
    assert len({own, *(other.fingerprint() for other in others)}) == 5


def test_without_a_file_the_weights_are_the_hubs(hub):
    commit = hub.add(f"timm/{NAME}.r160_in1k", {"model.safetensors": save(make_weights())})
    told: list[str] = []
    encoder = TimmEncoder(NAME)
    encoder.resources = Resources(workers=0, tell=told.append)
    encoder.fit([])
    config, _ = encoder.state()
    assert (config["weights"], config["revision"]) == (f"timm/{NAME}.r160_in1k", commit)
    assert len(told) == 1
    hub.stop()
    again = TimmEncoder.from_state(config, {})
    cells = [as_file(picture(1))]
    np.testing.assert_array_equal(again.encode(cells)[0], encoder.encode(cells)[0])
    assert again.fingerprint() == encoder.fingerprint()


def test_half_precision_is_near(weights):
    cells = [as_file(picture(seed)) for seed in range(3)]
    single, _ = fitted(weights).encode(cells)
    half, _ = fitted(weights, precision="bfloat16").encode(cells)
    assert half.dtype == np.float32
    error = np.linalg.norm(half - single) / np.linalg.norm(single)
    assert 0 < error < 0.03
    with pytest.raises(ConfigError, match="float16, which a CPU does not reckon in"):
        fitted(weights, precision="float16")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": "double"}, 'Unknown precision "double"'),
        ({"preprocessing": {"crop_pctt": 1}}, 'Did you mean "crop_pct"'),
        ({"preprocessing": {"input_size": "large"}}, "input_size is 'large'; expected 3"),
        ({"model_args": {"pretrained": True}}, "pretrained cannot be given"),
    ],
)
def test_wrong_settings_are_told_at_once(settings, message):
    with pytest.raises(ConfigError, match=message):
        TimmEncoder(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "test_resnett"}, 'Did you mean "test_resnet"'),
        ({"model_args": {"num_clases": 3}}, "timm cannot build .*num_clases"),
        ({"model": "test_vit"}, "are not those of test_vit"),
        ({"model_args": {"global_pool": ""}}, "makes .* numbers of a picture; expected one vector"),
    ],
)
def test_wrong_settings_are_told_when_the_network_is_loaded(settings, message, weights):
    with pytest.raises((ConfigError, FeatureError), match=message):
        TimmEncoder(**{"model": NAME, "weights": str(weights), **settings}).fit([])


def test_pictures_of_a_size_that_the_network_does_not_read(tmp_path):
    save_file(make_weights("test_vit"), tmp_path / "w.safetensors")
    with pytest.raises(ConfigError, match=r"cannot read pictures of 90 x 64 pixels .* img_size"):
        fitted(tmp_path / "w.safetensors", "test_vit", preprocessing={"input_size": (90, 64)})
    encoder = fitted(
        tmp_path / "w.safetensors",
        "test_vit",
        preprocessing={"input_size": (96, 64)},
        model_args={"img_size": (96, 64), "dynamic_img_size": False},
    )
    config, _ = encoder.state()
    again = TimmEncoder.from_state(json.loads(json.dumps(config)), {})
    assert again.encode([as_file(picture(1))])[1].all()


def test_an_encoder_that_is_not_fitted():
    for use in (
        lambda encoder: encoder.encode([]),
        lambda encoder: encoder.state(),
        lambda encoder: encoder.network(),
        lambda encoder: encoder.pixel_reader(),
        lambda encoder: encoder.replace_weights({}),
    ):
        with pytest.raises(FeatureError, match="not fitted"):
            use(TimmEncoder(NAME))


def test_the_network_is_what_encodes_and_is_the_callers_own(weights):
    cells = [as_file(picture(seed)) for seed in range(3)]
    encoder = fitted(weights)
    features, _ = encoder.encode(cells)
    network = encoder.network()
    read = encoder.pixel_reader()
    pixels = torch.from_numpy(np.stack([read(cell, 0) for cell in cells]))
    with torch.inference_mode():
        np.testing.assert_array_equal(network(pixels).numpy(), features)
        for parameter in network.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(encoder.encode(cells)[0], features)


def test_trained_weights_are_kept_in_the_state(weights, tmp_path):
    cells = [as_file(picture(seed)) for seed in range(4)]
    copied = tmp_path / "w.safetensors"
    copied.write_bytes(weights.read_bytes())
    encoder = fitted(copied, preprocessing=SMALL)
    before, own = encoder.encode(cells)[0], encoder.fingerprint()
    network = encoder.network().train()
    read = encoder.pixel_reader({})
    pixels = torch.from_numpy(np.stack([read(cell, seed) for seed, cell in enumerate(cells)]))
    optimiser = torch.optim.SGD(network.blocks[-1].parameters(), lr=0.1)
    network(pixels).square().mean().backward()
    optimiser.step()
    encoder.replace_weights(network.state_dict())
    after, _ = encoder.encode(cells)
    assert np.abs(after - before).max() > 1e-3
    with torch.inference_mode():
        plain = torch.from_numpy(np.stack([encoder.pixel_reader()(cell, 0) for cell in cells]))
        np.testing.assert_array_equal(network.eval()(plain).numpy(), after)

    config, arrays = encoder.state()
    assert config["weights"] is None
    assert encoder.fingerprint() != own
    assert not [key for key in arrays if key.startswith("fc.")]
    copied.unlink()  # nobody needs it any more
    again = TimmEncoder.from_state(json.loads(json.dumps(config)), arrays)
    again.resources = encoder.resources
    np.testing.assert_array_equal(again.encode(cells)[0], after)
    assert again.fingerprint() == encoder.fingerprint()
    with pytest.raises(FeatureError, match=r"are not those of test_resnet: .*missing"):
        encoder.replace_weights({"network.conv1.0.weight": torch.zeros(16, 3, 3, 3)})
    np.testing.assert_array_equal(encoder.encode(cells)[0], after)


def test_pixels_for_training(weights):
    encoder = fitted(weights, preprocessing=SMALL)
    cell = as_file(picture(1))
    plain, changed = encoder.pixel_reader(), encoder.pixel_reader({"crop": 0.5})
    assert plain(cell, 0).shape == changed(cell, 0).shape == (3, 64, 64)
    np.testing.assert_array_equal(plain(cell, 0), plain(cell, 1))
    np.testing.assert_array_equal(changed(cell, 5), changed(cell, 5))
    assert np.abs(changed(cell, 5).astype(int) - changed(cell, 6)).mean() > 2
    for read in (plain, changed):
        for nothing in (None, b"broken"):
            assert not read(nothing, 0).any()
        with pytest.raises(FeatureError, match="A picture is int"):
            read(3, 0)
    with pytest.raises(ConfigError, match='Did you mean "flip"'):
        encoder.pixel_reader({"flipp": 1})


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_nearly_the_same(weights):
    cells = [as_file(picture(seed)) for seed in range(20)]
    expected, _ = fitted(weights).encode(cells)
    for precision, error in (("float32", 1e-3), ("auto", 0.03), ("float16", 0.01)):
        encoder = TimmEncoder(NAME, str(weights), precision=precision)
        encoder.resources = Resources("cuda", 8, 0)
        features, observed = encoder.fit([]).encode(cells)
        assert observed.all()
        assert np.linalg.norm(features - expected) / np.linalg.norm(expected) < error


def cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return (first * second).sum(axis=1) / lengths


@pytest.mark.slow
@pytest.mark.movies
def test_stored_features_of_posters_are_reproduced(movies_path):
    import pyarrow.parquet as pq

    posters = pq.read_table(movies_path / "posters.parquet")["jpeg"].slice(0, 100).to_pylist()
    with np.load(movies_path / "features.npz") as stored:
        expected = stored["image"][:100].astype(np.float32)

    def encode(preprocessing: dict[str, object]) -> np.ndarray:
        encoder = fitted(
            movies_path / "weights" / "mobilenetv2_100_imagenet.pth",
            "mobilenetv2_100",
            model_args={"num_classes": 1001, "pad_type": "same"},
            preprocessing=preprocessing,
        )
        features, observed = encoder.encode(posters)
        assert observed.all()
        return features

    theirs = {"input_size": (3, 320, 224), "crop_mode": "squash", "crop_pct": 1, "mean": 0.5,
              "std": 0.5, "interpolation": "bicubic"}  # fmt: skip
    assert cosines(encode(theirs), expected).min() > 0.99999  # stored as float16
    # timm's own for this name: the middle 224 x 224, normalised by ImageNet's mean and deviation
    assert 0.6 < cosines(encode({}), expected).mean() < 0.8
