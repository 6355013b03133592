"""A backbone of timm as one module: pixels in, one vector a picture out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from bayesfuse.errors import ConfigError

_NO_PARAMETER = "?"  # a name that no pattern of timm matches, as those of the head are not


class ImageModel(nn.Module):
    r"""One vector a picture: what the backbone hands to its classifier, which is taken off.

    With x the pixels in [0, 1], the vector is that of :math:`(x - m) / s` by `forward_features` and
    `forward_head(pre_logits=True)`, which is what timm calls an embedding.

    Args:
        network: A model of timm; changed in place.
        mean: m, of red, green and blue.
        std: s.

    Attributes:
        network: The model without its classifier.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        for name in classifier_names(network):
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, nn.Identity())
        # settings rather than weights: not in the state dict
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the vectors of pictures.

        Args:
            pixels: Items x 3 x height x width: uint8, or float in [0, 1].

        Returns:
            float32, items x features.
        """
        network: Any = self.network
        vectors: Tensor = network.forward_head(self._maps(pixels), pre_logits=True)
        return vectors.float()  # of half precision under autocast

    def grid(self, pixels: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Return the vectors of a picture's places, row by row, before they are pooled.

        Args:
            pixels: See `forward`.
            size: Rows and columns into which places are averaged; as many as there are if None.

        Returns:
            float32, items x places x features; class tokens are left out.

        Raises:
            ConfigError: If the network has no map of places, or none of rows and columns where a
                size is asked for.
        """
        network: Any = self.network
        maps = self._maps(pixels).float()
        if maps.ndim == 3:
            maps = maps[:, getattr(network, "num_prefix_tokens", 0) :]
            places = maps.shape[1]
            known = getattr(getattr(network, "patch_embed", None), "grid_size", None)
            rows, columns = known or (round(places**0.5), round(places**0.5))
            if size is not None and rows * columns != places:
                raise ConfigError(
                    f"{type(network).__name__} has {places} places, which are no rows and columns; "
                    "leave the grid out."
                )
            if size is None:
                return maps
            maps = maps.reshape(len(maps), rows, columns, -1)
        elif maps.ndim != 4:
            raise ConfigError(
                f"{type(network).__name__} has no map of places, so there are no steps to keep; "
                "take another image model, or leave --keep-sequence image out."
            )
        elif maps.shape[1] == network.num_features:  # most have features first
            maps = maps.movedim(1, -1)
        if size is not None:
            pooled = nn.functional.adaptive_avg_pool2d(maps.movedim(-1, 1), size)
            maps = pooled.movedim(1, -1)
        return maps.flatten(1, 2)

    def _maps(self, pixels: Tensor) -> Tensor:
        """Return the last features of pictures, before they are pooled."""
        if pixels.dtype == torch.uint8:
            pixels = pixels.float() / 255
        network: Any = self.network
        maps: Tensor = network.forward_features((pixels - self.mean) / self.std)
        return maps

    @property
    def blocks(self) -> list[nn.Module]:
        """The blocks of the backbone, from the one next to the pixels up to the last.

        A block is what timm takes for a layer when learning rates decay by layers: a transformer's
        layer, a residual block, a convolution of VGG. Norms and convolutions behind the last block
        belong to it.

        Raises:
            ConfigError: If timm does not say what the model's blocks are.
        """
        groups = self._groups()
        return [self._part(names) for names in groups[1:-1]]

    @property
    def parts(self) -> dict[str, nn.Module]:
        """What the backbone has below its blocks (`stem`) and above them (`head`), if anything.

        Raises:
            ConfigError: If timm does not say what the model's blocks are.
        """
        groups = self._groups()
        found = {"stem": groups[0], "head": groups[-1]}
        return {name: self._part(names) for name, names in found.items() if names}

    def enable_gradient_checkpointing(self) -> None:
        """Keep less for the backward pass and compute it anew; for less memory in training.

        Raises:
            ConfigError: If the model does not support it.
        """
        network: Any = self.network
        try:
            network.set_grad_checkpointing(True)
        except (AttributeError, AssertionError, NotImplementedError) as error:
            raise ConfigError(
                f"{type(network).__name__} does not support gradient checkpointing; train without "
                "it, in smaller batches if memory does not suffice."
            ) from error

    def _groups(self) -> list[list[str]]:
        """Return the names of parameters: the stem's, each block's, and the head's."""
        from timm.models import group_parameters

        network: Any = self.network
        if not hasattr(network, "group_matcher"):
            raise ConfigError(
                f"timm does not say what the blocks of {type(network).__name__} are, so single "
                "blocks of it cannot be named. Take another model, such as one of ResNet's, "
                "EfficientNet's or ViT's kind."
            )
        names = [name for name, _ in network.named_parameters()]
        named = [(name, None) for name in [*names, _NO_PARAMETER]]
        stand_in = SimpleNamespace(named_parameters=lambda: named)
        layers = group_parameters(stand_in, network.group_matcher(), reverse=True)
        groups: list[list[str]] = [[] for _ in range(max(layers.values()) + 1)]
        for name in names:
            groups[layers[name]].append(name)
        return groups

    def _part(self, names: Sequence[str]) -> nn.Module:
        """Return what holds these parameters and no others."""
        wanted = set(names)
        modules = list(_largest_within(self.network, "", wanted))
        single = [self.network.get_parameter(name) for name in names if name in wanted]
        return modules[0] if len(modules) == 1 and not single else _Part(modules, single)


class _Part(nn.Module):
    """Some modules and single parameters of a network, to be named and switched as one."""

    def __init__(self, modules: Sequence[nn.Module], parameters: Sequence[nn.Parameter]) -> None:
        super().__init__()
        self.members = nn.ModuleList(modules)
        self.single = nn.ParameterList(parameters)


def classifier_names(network: Any) -> list[str]:
    """Return the names of the modules that make logits of a vector; there may be none or two."""
    found = network.get_classifier()
    layers = found if isinstance(found, tuple | list) else [found]
    # of some models it is the whole head, in which the classifier is `fc`
    ids = {id(getattr(layer, "fc", layer)) for layer in layers if isinstance(layer, nn.Module)}
    return [name for name, module in network.named_modules() if name and id(module) in ids]


def _largest_within(module: nn.Module, prefix: str, wanted: set[str]) -> Iterator[nn.Module]:
    """Yield the largest modules whose parameters are all wanted, and take these off the set."""
    for name, child in module.named_children():
        held = {f"{prefix}{name}.{parameter}" for parameter, _ in child.named_parameters()}
        if held and held <= wanted:
            wanted -= held
            yield child
        elif held & wanted:
            yield from _largest_within(child, f"{prefix}{name}.", wanted)
