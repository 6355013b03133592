"""The backbone as a module: timm's own embeddings, its blocks and parts, checkpointing."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bayesfuse.encoders.image_model import ImageModel, classifier_names
from bayesfuse.encoders.torchvision_operators import import_timm
from bayesfuse.errors import ConfigError, MissingExtraError

try:
    timm = import_timm()
except MissingExtraError as error:
    pytest.skip(str(error), allow_module_level=True)

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TINY = [
    "test_byobnet", "test_convnext", "test_efficientnet", "test_mambaout", "test_maxvit",
    "test_nfnet", "test_resnet", "test_vit", "test_vit2", "mobilenetv3_small_050",
]  # fmt: skip


def make(name: str, **args: object) -> ImageModel:
    return ImageModel(timm.create_model(name, **args), MEAN, STD).eval()


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randint(256, (2, 3, 160, 160), dtype=torch.uint8)


@pytest.mark.parametrize("name", TINY)
def test_vectors_are_what_timm_hands_to_the_classifier(name, pixels):
    network = timm.create_model(name, num_classes=7).eval()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    with torch.no_grad():
        maps = network.forward_features((pixels.float() / 255 - mean) / std)
        expected = network.forward_head(maps, pre_logits=True)
        vectors = ImageModel(network, MEAN, STD)(pixels)
    assert vectors.shape == (2, network.head_hidden_size)
    assert torch.equal(vectors, expected)


def test_pixels_are_bytes_or_numbers_up_to_1(pixels):
    model = make("test_resnet")
    with torch.no_grad():
        assert torch.equal(model(pixels), model(pixels.float() / 255))
        assert not torch.allclose(model(pixels), model(pixels.float()))


@pytest.mark.parametrize("name", TINY)
def test_the_classifier_is_taken_off(name):
    network = timm.create_model(name, num_classes=7)
    names = classifier_names(network)
    assert len(names) == 1
    kept = {f"network.{key}" for key in network.state_dict() if not key.startswith(f"{names[0]}.")}
    model = ImageModel(network, MEAN, STD)
    assert set(model.state_dict()) == kept
    assert classifier_names(timm.create_model(name, num_classes=0)) in ([], names)


def test_two_classifiers_are_both_taken_off():
    network = timm.create_model(
        "deit_tiny_distilled_patch16_224", embed_dim=12, num_heads=2, depth=2
    )
    assert classifier_names(network) == ["head", "head_dist"]
    assert not [key for key in ImageModel(network, MEAN, STD).state_dict() if "head" in key]


@pytest.mark.parametrize("name", TINY)
def test_blocks_and_parts_hold_every_parameter_once(name):
    model = make(name)
    parts = [*model.blocks, *model.parts.values()]
    held = [id(parameter) for part in parts for parameter in part.parameters()]
    assert len(held) == len(set(held))
    assert set(held) == {id(parameter) for parameter in model.parameters()}
    assert all(list(block.parameters()) for block in model.blocks)
    assert "stem" in model.parts


def test_blocks_go_from_the_pixels_up():
    resnet = make("test_resnet")
    network = resnet.network
    assert [id(block) for block in resnet.blocks] == [
        id(layer) for layer in (network.layer1, network.layer2, network.layer3, network.layer4)
    ]
    assert list(resnet.parts) == ["stem"]
    vit = make("test_vit")
    assert [id(block) for block in vit.blocks[:-1]] == [id(b) for b in vit.network.blocks[:-1]]
    # the norm behind the last layer belongs to it
    last = {id(parameter) for parameter in vit.blocks[-1].parameters()}
    expected = [*vit.network.blocks[-1].parameters(), *vit.network.norm.parameters()]
    assert last == {id(parameter) for parameter in expected}


def test_single_parameters_belong_to_a_part():
    vit = make("test_vit")
    stem = {id(parameter) for parameter in vit.parts["stem"].parameters()}
    assert id(vit.network.cls_token) in stem
    assert id(vit.network.pos_embed) in stem


def test_what_lies_above_the_blocks_is_the_head():
    model = make("mobilenetv3_small_050")
    head = {id(parameter) for parameter in model.parts["head"].parameters()}
    assert head == {id(parameter) for parameter in model.network.conv_head.parameters()}


def test_a_block_is_switched_as_one(pixels):
    model = make("test_efficientnet")
    last = model.blocks[-1]
    last.train()
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d) and m.training]
    assert model.network.bn2 in norms
    assert model.network.bn1 not in norms
    model.requires_grad_(False)
    last.requires_grad_(True)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model(pixels).square().sum().backward()
    trained = {id(parameter) for parameter in last.parameters()}
    for parameter in model.parameters():
        assert (parameter.grad is not None) == (id(parameter) in trained)
    moved = {
        key for key, value in model.state_dict().items() if not torch.equal(value, before[key])
    }
    assert "network.bn2.running_mean" in moved  # running statistics of what trains, of that only
    assert "network.bn1.running_mean" not in moved


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_efficientnet"])
def test_gradient_checkpointing_gives_the_same_gradients(name, pixels):
    model = make(name)
    model(pixels).square().sum().backward()
    expected = {key: parameter.grad.clone() for key, parameter in model.named_parameters()}
    model.zero_grad()
    model.enable_gradient_checkpointing()
    model.train()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eval()
    model(pixels).square().sum().backward()
    for key, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[key])


class Odd(nn.Module):
    """A model that timm says little of."""

    def get_classifier(self) -> nn.Module:
        return nn.Identity()

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        assert not enable, "gradient checkpointing not supported"


def test_a_model_of_unknown_blocks_says_so():
    model = ImageModel(Odd(), MEAN, STD)
    with pytest.raises(ConfigError, match="timm does not say what the blocks of Odd are"):
        _ = model.blocks
    with pytest.raises(ConfigError, match="Odd does not support gradient checkpointing"):
        model.enable_gradient_checkpointing()
