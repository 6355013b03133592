from __future__ import annotations

import subprocess
import sys

import torch

from bayesfuse.data.blocks import Blocks
from bayesfuse.graph.attention_graph import AttentionGraph


def test_all_of_it_moves() -> None:
    graph = AttentionGraph([0, 2], [0, 1], 2)
    blocks = Blocks({"image": torch.ones(1, 3)}, torch.ones(1, 1, dtype=torch.bool), (graph,))
    moved = blocks.to("meta")
    assert {moved.inputs["image"].device, moved.observed.device, moved.graphs[0].device} == {
        torch.device("meta")
    }
    assert moved.graphs[0].num_columns == 2


def test_features_can_be_read_without_torch() -> None:
    code = "import sys, bayesfuse.data.features as f; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
