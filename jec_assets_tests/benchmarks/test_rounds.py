"""The referee: both sides work, are compared, and their rounds become one ratio."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.rounds import BenchmarkError, Cost, measure, ratio
from jec_assets_tests.benchmarks.claim_of_sums import CLAIM

MODULE = "jec_assets_tests.benchmarks.claim_of_sums"


@pytest.fixture(autouse=True)
def _this_python_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEC_PEER_PYTHON", sys.executable)


def test_claims_end_with_their_names_and_a_ratio_and_several_with_the_mean() -> None:
    ended = subprocess.run([sys.executable, "-m", MODULE], capture_output=True, text=True, check=True, env=os.environ)
    lines = [line.split() for line in ended.stdout.splitlines() if not line.startswith(" ") and "," not in line]
    assert [name for name, _ in lines] == ["sums", "first", "second", "both"]
    assert all(float(value) > 0 for _, value in lines)
    of_claims, together = [float(value) for _, value in lines[1:3]], float(lines[3][1])
    assert together == pytest.approx(np.sqrt(np.prod(of_claims)), rel=0.02, abs=0.01)
    assert "must not disturb" not in ended.stdout


def test_every_round_has_both_sides() -> None:
    costs = measure(CLAIM, MODULE)
    assert {side: len(rounds) for side, rounds in costs.items()} == {"ours": 3, "peer": 3}
    assert all(cost.amount == 200_000 and cost.cpu > 0 for rounds in costs.values() for cost in rounds)


def test_sides_that_computed_different_things_are_refused() -> None:
    def never_equal(ours: object, peer: object) -> None:
        raise AssertionError("not equal")

    with pytest.raises(AssertionError, match="not equal"):
        measure(replace(CLAIM, check=never_equal), MODULE)


def test_a_side_that_fails_is_named() -> None:
    with pytest.raises(BenchmarkError, match=r"ours .* ended when asked for results"):
        measure(replace(CLAIM, prepare=Path.touch), MODULE)


def test_a_missing_environment_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEC_PEER_PYTHON", "/nowhere/python")
    with pytest.raises(BenchmarkError, match="make bench"):
        measure(CLAIM, MODULE)


def test_the_ratio_is_the_median_of_rates_by_round() -> None:
    ours = [Cost(100, 1.0, 2.0), Cost(100, 2.0, 2.0), Cost(100, 1.0, 2.0)]
    peer = [Cost(50, 2.0, 1.0), Cost(50, 2.0, 1.0), Cost(50, 4.0, 1.0)]
    assert ratio({"ours": ours, "peer": peer}) == pytest.approx(np.median([4.0, 2.0, 8.0]))
    assert ratio({"ours": ours, "peer": peer}, "wall") == pytest.approx(1.0)
