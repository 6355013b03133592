"""MulT in numpy: cross-modal transformers and self-attention, item by item, without padding."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.models.fusion.conftest import softmax

Weights = Mapping[str, np.ndarray]


def norm(x: np.ndarray) -> np.ndarray:
    """Return rows of mean 0 and variance 1."""
    found: np.ndarray = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    return found


def linear(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    """Return what the linear layer of this name makes of rows."""
    found: np.ndarray = x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
    return found


def layer(w: Weights, name: str, target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Equations 4 and 5 of Tsai et al., before the norms, with one head."""
    q, k, v = np.split(w[f"{name}.attention.in_proj_weight"], 3)
    bq, bk, bv = np.split(w[f"{name}.attention.in_proj_bias"], 3)
    asked, told = norm(target), norm(source)
    scores = (asked @ q.T + bq) @ (told @ k.T + bk).T / np.sqrt(len(bq))
    heard = softmax(scores, axis=1) @ (told @ v.T + bv)
    target = target + linear(w, f"{name}.attention.out_proj", heard)
    units = np.maximum(linear(w, f"{name}.up", norm(target)), 0)
    found: np.ndarray = target + linear(w, f"{name}.down", units)
    return found


def last_elements(
    w: Weights, steps: Mapping[str, np.ndarray], layers: int
) -> dict[str, np.ndarray]:
    """Return each sequence's last element, once it has heard the others and then itself.

    Args:
        w: Parameter to value.
        steps: Sequence to the steps of one item, `steps x features`; of no step if it lacks it.
        layers: Layers of each transformer.
    """
    z = {}
    for name, x in steps.items():
        a = linear(w, name, x) if len(x) else w[f"absent.{name}"][None]
        hidden = a.shape[1]
        angles = np.arange(len(a))[:, None] / 10_000 ** (np.arange(hidden // 2) / (hidden // 2))
        z[name] = np.sqrt(hidden) * a + np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    found = {}
    for target in steps:
        heard = []
        for source in steps:
            if source != target:
                one = z[target]
                for i in range(layers):
                    one = layer(w, f"fused.cross.{target}.{source}.{i}", one, z[source])
                heard.append(norm(one))
        own = np.concatenate(heard, axis=1)
        for i in range(layers):
            own = layer(w, f"fused.own.{target}.{i}", own, own)
        found[target] = norm(own)[-1]
    return found
