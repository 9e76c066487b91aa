from __future__ import annotations

import os

import pytest

from benchmarks.sustained_load import Memory


def test_growth_is_that_of_a_straight_line_after_the_start() -> None:
    memory = Memory(os.getpid())
    memory.measured = [(second, 100 + 0.5 * second) for second in range(100)]
    memory.measured[:20] = [(second, 0.0) for second in range(20)]
    assert memory.growth == pytest.approx(0.5 * 79)
    memory.measured = [(second, 80.0) for second in range(100)]
    assert memory.growth == pytest.approx(0)
