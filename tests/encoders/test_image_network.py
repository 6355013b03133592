"""timm's networks: names, arguments, and weights that fit or do not."""

from __future__ import annotations

import pytest
import torch

from bayesfuse.encoders.image_network import (
    build_network,
    check_model_args,
    check_timm_name,
    is_timm_name,
    load_weights,
)
from bayesfuse.encoders.torchvision_operators import import_timm
from bayesfuse.errors import ConfigError, FeatureError, MissingExtraError

try:
    timm = import_timm()
except MissingExtraError as error:
    pytest.skip(str(error), allow_module_level=True)

NAME = "test_resnet"


def states_equal(network, state) -> bool:
    """Whether a ResNet has these weights but for those of its classifier."""
    own = network.state_dict()
    return all(torch.equal(own[key], state[key]) for key in own if not key.startswith("fc."))


def test_names_are_timms():
    for name in (NAME, "test_resnet.r160_in1k", "efficientnet_b4", "resnet50.a1_in1k"):
        assert is_timm_name(name)
        check_timm_name(name)
    assert not is_timm_name("timm/resnet50.a1_in1k")
    assert not is_timm_name("bert-base-uncased")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("efficentnet_b4", 'Did you mean "efficientnet_b4"'),
        ("efficentnet_b4.ra2_in1k", 'Did you mean "efficientnet_b4"'),
        ("no such thing", "timm has no model of that name, and there is no such folder"),
        ("test_resnet.r160_in2k", r'expected one of test_resnet.r160_in1k\..*Did you mean "test'),
    ],
)
def test_a_wrong_name_is_told(name, message):
    with pytest.raises(ConfigError, match=message):
        check_timm_name(name)


def test_arguments_go_to_the_network():
    network = build_network(NAME, {"num_classes": 7, "drop_rate": 0.1})
    assert network.num_classes == 7
    assert not network.training


def test_building_a_network_moves_no_generator():
    state = torch.get_rng_state()
    build_network(NAME, {})
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"num_clases": 7}, r"timm cannot build .*\(model_args: num_clases=7\).*num_clases"),
        ({"num_classes": "many"}, "timm cannot build"),
    ],
)
def test_arguments_that_the_network_does_not_take(args, message):
    check_model_args(args)
    with pytest.raises(ConfigError, match=message):
        build_network(NAME, args)


@pytest.mark.parametrize(
    "key", ["checkpoint_path", "pretrained", "pretrained_cfg", "features_only"]
)
def test_arguments_that_are_not_the_users(key):
    with pytest.raises(ConfigError, match=f"model_args: {key} cannot be given"):
        check_model_args({key: "file.pth"})


def test_pictures_have_three_colours():
    check_model_args({"in_chans": 3})
    with pytest.raises(ConfigError, match="in_chans is 1; expected 3"):
        check_model_args({"in_chans": 1})


def test_a_configuration_takes_the_place_of_timms():
    config = {"num_classes": 5, "input_size": (3, 64, 64), "what a later timm may say": 1}
    network = build_network(NAME, {}, config)
    assert network.num_classes == 5
    assert network.pretrained_cfg["input_size"] == (3, 64, 64)


def test_weights_of_any_classifier_fit():
    source = timm.create_model(NAME, num_classes=1000)
    state = source.state_dict()
    for num_classes in (1000, 7, 0):
        network = build_network(NAME, {"num_classes": num_classes})
        load_weights(network, NAME, state, "a.pth")
        assert states_equal(network, state)
    bare = {key: value for key, value in state.items() if not key.startswith("fc.")}
    network = build_network(NAME, {})
    load_weights(network, NAME, bare, "a.pth")
    assert states_equal(network, state)


def test_what_training_puts_around_weights_is_taken_off():
    state = timm.create_model(NAME).state_dict()
    old = {f"module.{k}": v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    network = build_network(NAME, {})
    load_weights(network, NAME, old, "a.pth")
    assert states_equal(network, state)


@pytest.mark.parametrize("with_head", [True, False])
def test_weights_of_a_swin_fit_with_and_without_their_classifier(with_head):
    """timm takes them for the authors' old format if there is no classifier."""
    name = "swin_tiny_patch4_window7_224"
    args = {"embed_dim": 12, "depths": (1, 1), "num_heads": (1, 2), "img_size": 56}
    torch.manual_seed(1)
    state = timm.create_model(name, **args).state_dict()
    given = {k: v for k, v in state.items() if with_head or not k.startswith("head.fc.")}
    network = build_network(name, args)
    load_weights(network, name, given, "a.pth")
    assert torch.equal(
        network.layers[1].blocks[0].mlp.fc1.weight, state["layers.1.blocks.0.mlp.fc1.weight"]
    )


def test_weights_of_the_original_authors_are_converted_where_timm_can():
    """Here those of a ViT for larger pictures: its positions are interpolated."""
    torch.manual_seed(1)
    state = timm.create_model("test_vit", img_size=224).state_dict()
    network = build_network("test_vit", {"img_size": 160})
    load_weights(network, "test_vit", state, "a.pth")
    assert network.pos_embed.shape == (1, 101, 64)
    assert torch.equal(network.blocks[0].mlp.fc1.weight, state["blocks.0.mlp.fc1.weight"])


def test_half_precision_is_loaded_as_single():
    state = {k: v.half() if v.is_floating_point() else v
             for k, v in timm.create_model(NAME).state_dict().items()}  # fmt: skip
    network = build_network(NAME, {})
    load_weights(network, NAME, state, "a.pth")
    assert network.conv1[0].weight.dtype == torch.float32
    assert torch.equal(network.conv1[0].weight, state["conv1.0.weight"].float())


def test_weights_that_do_not_fit_are_told():
    state = timm.create_model(NAME).state_dict()
    missing = {k: v for k, v in state.items() if not k.startswith("layer4.")}
    cases = [
        (missing, r"\d+ missing \(layer4.0.bn1.bias, layer4.0.bn1.running_mean, .*, \.\.\.\)"),
        ({**state, "layer5.weight": torch.zeros(1)}, r"1 unexpected \(layer5.weight\)"),
        (
            {**state, "conv1.0.weight": torch.zeros(24, 3, 5, 5)},
            r"1 of another shape \(conv1.0.weight 24x3x5x5 in place of 16x3x3x3\)",
        ),
        (timm.create_model("test_vit").state_dict(), r"missing .* unexpected"),
        ({"a": torch.zeros(1)}, "1 unexpected"),
    ]
    for given, message in cases:
        network = build_network(NAME, {})
        before = {key: value.clone() for key, value in network.state_dict().items()}
        with pytest.raises(FeatureError, match=rf"in a\.pth are not those of {NAME}: .*{message}"):
            load_weights(network, NAME, given, "a.pth")
        assert states_equal(network, before)


def test_weights_that_timm_cannot_make_sense_of_are_told_too():
    from timm.models.vision_transformer import checkpoint_filter_fn

    network = build_network("test_vit", {})
    odd = {"pos_embed": torch.zeros(3), "patch_embed.proj.weight": torch.zeros(5)}
    with pytest.raises(IndexError):
        checkpoint_filter_fn(dict(odd), network)
    with pytest.raises(FeatureError, match=r"missing .*2 of another shape"):
        load_weights(network, "test_vit", odd, "a.pth")
