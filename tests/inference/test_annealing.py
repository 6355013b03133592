from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesfuse.errors import ConfigError
from bayesfuse.inference.annealing import SCHEDULES, AnnealingSchedule

names = st.sampled_from(sorted(SCHEDULES))
weights = st.floats(0, 5)
ends = st.floats(0.01, 5)
lengths = st.floats(0.1, 50)


@given(name=names, start=weights, end=ends, epochs=lengths, cycles=st.integers(1, 6))
def test_starts_at_start_and_ends_exactly_at_end(
    name: str, start: float, end: float, epochs: float, cycles: int
) -> None:
    schedule = AnnealingSchedule(name, start, end, epochs, cycles)
    assert schedule(0) == pytest.approx(start, abs=1e-12)
    for late in (epochs, epochs + 0.1, 10 * epochs):
        assert schedule(late) == end
        assert schedule.has_ended(late)
    assert not schedule.has_ended(0.999 * epochs)
    found = [schedule(epoch) for epoch in np.linspace(0, epochs, 97)]
    low, high = min(start, end), max(start, end)
    assert all(low - 1e-12 <= beta <= high + 1e-12 for beta in found)
    if name != "cyclical":
        steps = np.diff(found) * (1 if end >= start else -1)
        assert (steps >= -1e-12).all()


@pytest.mark.parametrize("name", sorted(set(SCHEDULES) - {"cyclical"}))
def test_arrives_without_a_jump(name: str) -> None:
    schedule = AnnealingSchedule(name, 0.2, 1.0, 10)
    assert schedule(10 - 1e-9) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("cycles", [1, 3, 4])
def test_cyclical_rises_as_often_as_it_has_cycles(cycles: int) -> None:
    schedule = AnnealingSchedule("cyclical", 0.1, 0.9, epochs=12, cycles=cycles)
    found = np.array([schedule(epoch) for epoch in np.linspace(0, 12, 1200, endpoint=False)])
    falls = int((np.diff(found) < -0.5).sum())
    assert falls == cycles - 1
    # half of each cycle at the end, the other half on a line through the middle
    assert np.isclose(found, 0.9, rtol=1e-9).mean() == pytest.approx(0.5, abs=0.01)
    assert schedule(0.25 * 12 / cycles) == pytest.approx(0.5)


def test_middles_and_shapes_are_those_of_the_equations() -> None:
    at = {name: AnnealingSchedule(name, 0.0, 1.0, 1.0) for name in SCHEDULES}
    for name in ("linear", "cosine", "sigmoid"):
        assert at[name](0.5) == pytest.approx(0.5)
    assert at["linear"](0.3) == pytest.approx(0.3)
    assert at["cosine"](0.25) == pytest.approx(0.5 - math.sqrt(2) / 4)
    # the logistic function, stretched so that it begins at 0: slow, then steep
    low = 1 / (1 + math.exp(6))
    expected = (1 / (1 + math.exp(3)) - low) / (1 - 2 * low)
    assert at["sigmoid"](0.25) == pytest.approx(expected)


def test_no_annealing_is_the_end_from_the_first_step() -> None:
    schedule = AnnealingSchedule("linear", 0.2, 0.7, epochs=0)
    assert schedule(0) == 0.7
    assert schedule.has_ended(0)


def test_a_start_above_the_end_falls() -> None:
    schedule = AnnealingSchedule("linear", 2.0, 1.0, 4)
    assert [schedule(epoch) for epoch in (0, 2, 4)] == [2.0, 1.5, 1.0]


def test_wrong_settings_say_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r'"liner".*Did you mean "linear"'):
        AnnealingSchedule("liner")
    with pytest.raises(ConfigError, match=r"β = -1; expected a number ≥ 0"):
        AnnealingSchedule(start=-1)
    for end in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ConfigError, match=r"temperature.*expected a number > 0"):
            AnnealingSchedule(end=end)
    for wrong in ({"epochs": -1.0}, {"epochs": math.nan}, {"cycles": 0}):
        with pytest.raises(ConfigError, match="at least 1 cycle"):
            AnnealingSchedule(**wrong)
