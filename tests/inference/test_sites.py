from __future__ import annotations

import pytest
import torch
from torch import nn

from bayesfuse.errors import ConfigError
from bayesfuse.inference.sites import fan_in, find_sites
from bayesfuse.models import FUSIONS, FusionNetwork


def nested() -> nn.Module:
    return nn.ModuleDict(
        {
            "encoder": nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)),
            "head": nn.Linear(2, 1),
            "header": nn.Linear(2, 1),
        }
    )


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        (["head"], ["head.weight", "head.bias"]),
        (["head.bias", "head"], ["head.weight", "head.bias"]),
        (["encoder.*.weight"], ["encoder.0.weight", "encoder.1.weight", "encoder.2.weight"]),
        (["header.bias", "encoder.2"], ["encoder.2.weight", "encoder.2.bias", "header.bias"]),
        (["*"], [name for name, _ in nested().named_parameters()]),
    ],
)
def test_parts_are_modules_parameters_and_patterns(parts: list[str], names: list[str]) -> None:
    sites = find_sites(nested(), parts)
    assert [site.name for site in sites] == names
    for site in sites:
        assert site.shape == nested().get_parameter(site.name).shape


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("haed", r'No parameters in the part "haed" of ModuleDict.*Did you mean "head"\?'),
        ("head.wieght", r'Did you mean "head.weight"\?'),
        ("hea", r'No parameters in the part "hea"'),
        ("", r'No parameters in the part ""'),
        ("decoder.*", r"for example encoder, encoder.0"),
    ],
)
def test_a_part_that_names_nothing_is_told_what_there_is(part: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_sites(nested(), ["head", part])


def test_no_part_at_all_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r'expected at least one.*the ELBO "none"'):
        find_sites(nested(), [])


def test_a_module_without_parameters_is_no_part() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    with pytest.raises(ConfigError, match='"1" of Sequential'):
        find_sites(network, ["1"])


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Linear(7, 3), {"weight": 7, "bias": 7}),
        (nn.Conv2d(2, 5, kernel_size=3), {"weight": 18, "bias": 18}),
        (nn.Conv1d(4, 6, 5, groups=2), {"weight": 10, "bias": 10}),
        (nn.BatchNorm1d(3), {"weight": 1, "bias": 1}),
        (nn.LayerNorm(3), {"weight": 1, "bias": 1}),
        (
            nn.LSTM(3, 4),
            {"weight_ih_l0": 3, "weight_hh_l0": 4, "bias_ih_l0": 3, "bias_hh_l0": 4},
        ),
        (
            nn.MultiheadAttention(6, 2),
            {"in_proj_weight": 6, "in_proj_bias": 6, "out_proj.weight": 6, "out_proj.bias": 6},
        ),
    ],
)
def test_fan_in_is_what_feeds_a_unit(module: nn.Module, expected: dict[str, int]) -> None:
    assert {name: fan_in(module, name) for name, _ in module.named_parameters()} == expected
    assert {site.name: site.fan_in for site in find_sites(module, ["*"])} == expected


class Tied(nn.Module):
    """An embedding whose matrix is also the weight of the layer after it."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.output = nn.Linear(3, 5)
        self.output.weight = self.embedding.weight

    def forward(self, index: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.output(self.embedding(index))
        return logits


@pytest.mark.parametrize("part", ["embedding", "output.weight", "embedding.weight", "*.weight"])
def test_a_shared_parameter_is_one_site_whatever_it_is_called(part: str) -> None:
    assert [site.name for site in find_sites(Tied(), [part])] == ["embedding.weight"]


def test_a_part_has_its_shared_parameters_too() -> None:
    assert [site.name for site in find_sites(Tied(), ["output"])] == [
        "embedding.weight",
        "output.bias",
    ]


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_fusion_of_every_rule_is_a_part(fusion: str) -> None:
    network = FusionNetwork({"text": 3, "image": 2}, 4, fusion=fusion, hidden=5)
    sites = find_sites(network, ["fusion"])
    assert sites
    assert {site.name for site in sites} == {
        f"fusion.{name}" for name, _ in network.fusion.named_parameters()
    }
    by_name = {site.name: site for site in sites}
    assert by_name["fusion.text.weight"].fan_in == 3
    assert by_name["fusion.image.bias"].fan_in == 2
