"""How far a training step is from what the machine can do: `python -m benchmarks.machine_limits`.

One thread, single precision, CPU time, medians. First the limits: the rate of matrix products, of large square ones and
in the networks' shapes, and the bandwidth of memory and of a core's cache. Then every family's published network on 256
jets with up to 100 particles: the multiply-accumulates that its step does in matrix products, counted as they are
called, and their share of what the machine does in the same time on large ones. The rest goes into moving numbers.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.jets import (
    LEARNING_RATE,
    published,
    synthetic_jets,
    tensors,
    training_step,
)
from benchmarks.rounds import ENVIRONMENT
from jec_assets.models.families import FAMILIES
from jec_assets.training.optimizers import make_optimizer

JETS, LONGEST = 256, 100
# Rows, inner dimension and columns of the products.
SHAPES = {
    "large and square": (1024, 1024, 1024),
    "a chunk of particles or edges": (2620, 50, 50),
    "the derivative by its weights": (50, 2620, 50),
    "the PFN's head": (256, 400, 400),
}
ROUNDS = 15


def seconds(work: Callable[[], object], at_least: float = 0.05) -> float:
    """CPU time of the work done once: the median over rounds of so many seconds each."""
    work()
    started = time.process_time()
    work()
    repeats = max(1, round(at_least / max(time.process_time() - started, 1e-7)))
    rounds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(repeats):
            work()
        rounds.append((time.process_time() - started) / repeats)
    return statistics.median(rounds)


def product_rate(rows: int, inner: int, columns: int) -> float:
    """Multiply-accumulates per second."""
    left, right = torch.randn(rows, inner), torch.randn(inner, columns)
    result = torch.empty(rows, columns)
    return rows * inner * columns / seconds(lambda: torch.mm(left, right, out=result))


def bandwidth(numbers: int) -> float:
    """Bytes read and written per second by copying so many numbers."""
    source, target = torch.ones(numbers), torch.ones(numbers)
    return 8 * numbers / seconds(lambda: target.copy_(source))


class ProductCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the multiply-accumulates of the matrix products that are called inside its context."""

    found = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__.rstrip("_")
        if name in ("mm", "bmm", "addmm"):
            left, right = args[-2:]
            self.found += left.numel() * right.shape[-1]
        return function(*args, **(kwargs or {}))


def steps() -> dict[str, Callable[[], None]]:
    """A training step of each family's published network."""
    jets = tensors(synthetic_jets(JETS, LONGEST, seed=1))
    found = {}
    for name in FAMILIES:
        torch.manual_seed(1)
        network = published(name).train()
        optimizer = make_optimizer("Adam", network.parameters(), LEARNING_RATE)
        inputs = (jets["particles"], jets["offsets"], jets["jets"])
        found[name] = training_step(network, optimizer, inputs, jets["target"])
    return found


def main() -> None:
    """Measure and print."""
    rates = {name: product_rate(*shape) for name, shape in SHAPES.items()}
    for name, shape in SHAPES.items():
        print(f"matrix product, {name}, {shape}: {rates[name] / 1e9:.0f} GMAC per CPU second")
    print(f"copying 512 MB: {bandwidth(1 << 26) / 1e9:.1f} GB/s, 1 MB: {bandwidth(1 << 17) / 1e9:.1f} GB/s")
    for name, step in steps().items():
        with ProductCounter() as counter:
            step()
        taken = seconds(step)
        print(f"{name}: {counter.found / 1e9:.2f} GMAC in {1e3 * taken:.1f} ms")
        print(f"{name}_share_of_matrix_product_rate {counter.found / taken / rates['large and square']:.2f}")


if __name__ == "__main__":
    if ENVIRONMENT.items() <= os.environ.items():
        main()
    else:
        command = [sys.executable, "-m", "benchmarks.machine_limits"]
        subprocess.run(command, env=os.environ | ENVIRONMENT, check=True)
