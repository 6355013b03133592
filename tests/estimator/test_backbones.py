"""What is unfrozen moves and what is frozen does not, down to running statistics and dropout."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from bayesfuse.errors import ConfigError
from bayesfuse.estimator.backbones import Backbones


class Tower(nn.Module):
    """Three blocks with everything that a frozen one must not do."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 4)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)) for _ in range(3)
        )
        self.head = nn.Linear(4, 2)
        self.checkpointing = False

    @property
    def blocks(self) -> list[nn.Module]:
        return list(self.layers)

    @property
    def parts(self) -> dict[str, nn.Module]:
        return {"stem": self.stem, "head": self.head}

    def enable_gradient_checkpointing(self) -> None:
        self.checkpointing = True

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def made(unfrozen: list[str], **options: object) -> tuple[Tower, Backbones]:
    tower = Tower()
    options = {"learning_rate": 0.1, "layer_decay": 0.5} | options
    return tower, Backbones({"text": tower}, {"text": unfrozen}, **options)


def moved(tower: Tower, front: Backbones) -> set[str]:
    before = copy.deepcopy(tower.state_dict())
    optimiser = torch.optim.AdamW(front.parameter_groups(), lr=9.0)
    front.train()
    for _ in range(3):
        optimiser.zero_grad()
        front({"text": torch.randn(8, 4), "image": torch.zeros(8, 1)})[
            "text"
        ].square().sum().backward()
        optimiser.step()
    return {
        name.rpartition(".")[0]
        for name, value in tower.state_dict().items()
        if not torch.equal(value, before[name])
    }


@pytest.mark.parametrize(
    ("unfrozen", "expected"),
    [
        (["1"], {"layers.2.0", "layers.2.1"}),
        (["2"], {"layers.1.0", "layers.1.1", "layers.2.0", "layers.2.1"}),
        (["0", "head"], {"head"}),
        (["1", "stem"], {"layers.2.0", "layers.2.1", "stem"}),
        (
            ["all"],
            {"stem", "head", *(f"layers.{i}.{j}" for i in range(3) for j in range(2))},
        ),
    ],
)
def test_only_what_is_unfrozen_moves(unfrozen, expected):
    assert moved(*made(unfrozen)) == expected


def test_rates_decay_downwards():
    tower, front = made(["all"])
    rates = {id(p): group["lr"] for group in front.parameter_groups() for p in group["params"]}
    found = [rates[id(next(m.parameters()))] for m in (tower.head, *tower.layers[::-1], tower.stem)]
    assert found == pytest.approx([0.1, 0.1, 0.05, 0.025, 0.0125])
    assert len(rates) == len(list(tower.parameters()))


def test_each_parameter_is_in_one_group_though_named_twice():
    _, front = made(["2", "all", "head"])
    ids = [id(p) for group in front.parameter_groups() for p in group["params"]]
    assert len(ids) == len(set(ids))


def test_frozen_blocks_have_no_dropout_and_evaluation_has_none_at_all():
    tower, front = made(["1"])
    front.train()
    assert [layer[2].training for layer in tower.layers] == [False, False, True]
    front.eval()
    assert not any(module.training for module in tower.modules())


def test_other_modalities_pass_and_checkpointing_is_passed_on():
    tower, front = made(["1"], gradient_checkpointing=True)
    image = torch.randn(3, 2)
    assert front({"image": image})["image"] is image
    assert tower.checkpointing


@pytest.mark.parametrize(
    ("unfrozen", "message"),
    [
        (["4"], r"--finetune text=4: its network has 3 blocks"),
        (["haed"], r'Unknown part of the network of text "haed".*Did you mean "head"'),
    ],
)
def test_what_is_not_there_is_told(unfrozen, message):
    with pytest.raises(ConfigError, match=message):
        made(unfrozen)
