"""A claim for the tests of `benchmarks.rounds`: sums, by NumPy and by hand; a bias makes the second one wrong."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.rounds import Arrays, Claim, Side, Together, load_arrays, run, save_arrays


def prepare(folder: Path) -> None:
    save_arrays(folder / "numbers.npz", {"some.numbers": np.arange(200_000.0)})


def ours(folder: Path) -> Side:
    sys.stdout.write("a library that prints must not disturb the referee\n")
    numbers = load_arrays(folder / "numbers.npz")["some.numbers"]

    def work() -> int:
        numbers.sum()
        return len(numbers)

    return Side(work, lambda: {"sum": numbers.sum()})


def peer(folder: Path) -> Side:
    numbers = load_arrays(folder / "numbers.npz")["some.numbers"]

    def work() -> int:
        sum(numbers.tolist())
        return len(numbers)

    return Side(work, lambda: {"sum": np.array(sum(numbers.tolist()))})


def check(ours: Arrays, peer: Arrays) -> None:
    np.testing.assert_allclose(ours["sum"], peer["sum"], rtol=1e-12)


CLAIM = Claim("sums", prepare, ours, peer, check, unit="numbers", rounds=3)

if __name__ == "__main__":
    run(CLAIM, Together("both", (replace(CLAIM, name="first"), replace(CLAIM, name="second"))))
