from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bayesfuse.data.features import FeatureTable
from bayesfuse.estimator import shares
from bayesfuse.estimator.shares import by_share
from bayesfuse.inference import distributed
from bayesfuse.inference.distributed import Processes


@pytest.mark.parametrize("count", [1, 16, 45, 400])
@pytest.mark.parametrize("axis", [0, 1])
def test_the_shares_are_put_together_again(
    count: int, axis: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = FeatureTable.from_arrays({"text": np.arange(1.0, count + 1)[:, None]})
    asked: list[int] = []

    def predict(some: FeatureTable) -> NDArray[Any]:
        asked.append(len(some))
        values = some.batch(slice(None))[0]["text"]
        return values if axis == 0 else np.stack([values, -values])

    whole = by_share(predict, table, axis)
    monkeypatch.setattr(shares, "gathered", lambda part, *_: part)
    parts = []
    for rank in range(3):
        monkeypatch.setattr(distributed, "_now", Processes(rank, 3))
        parts.append(by_share(predict, table, axis))
    np.testing.assert_array_equal(np.concatenate(parts, axis=axis), whole)
    assert asked[0] == count
    assert max(asked[1:]) <= -(-count // 48) * 16
