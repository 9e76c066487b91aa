"""How fast training data is written and read, beside what memory allows: `python -m benchmarks.loading`.

The training split of the JetNTuple files in JEC_SOURCE, or of 120,000 toy jets, with the feature set `extended`, one
thread, batches of 512. Rates are jets per CPU second, medians: `cache` writes the memory-mapped arrays from the
filtered files, `packed` and `padded` are epochs of shuffled batches, and `copy` copies the same arrays batch by batch
as they lie, which is what the memory of the machine allows.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jec_assets.storage import Storage

EPOCHS, BATCH_SIZE, TOY_EVENTS = 7, 512, 20_000


def main() -> None:
    """Filter, split, write, read and print."""
    import torch

    from jec_assets.jets.cache import cache_split, open_cache
    from jec_assets.jets.packed import PackedJets
    from jec_assets.storage import Storage
    from jec_assets.training.loader import BatchPlan, ShuffledBatches

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        storage = Storage(str(folder / "storage"))
        _materialize(storage, os.environ.get("JEC_SOURCE") or _toy_source(folder / "source"))
        roots = [folder / f"cache_{number}" for number in range(3)]
        writing = _rates([partial(_write, storage, root) for root in roots])
        jets = open_cache(cache_split(storage, "train", roots[0]).folder)
        batches = ShuffledBatches(jets, BatchPlan(BATCH_SIZE, seed=1), torch.device("cpu"))

        def padded() -> int:
            for batch in batches.epoch(1):
                arrays = (batch.particles, batch.offsets, batch.jets)
                PackedJets(*(tensor.numpy() for tensor in arrays)).padded()
            return len(jets)

        def copy() -> int:
            for start in range(0, len(jets), BATCH_SIZE):
                part = jets.slice(start, start + BATCH_SIZE)
                for array in (part.packed.particles, part.packed.jets, part.labels.target):
                    np.array(array)
            return len(jets)

        packed = _rates([lambda: sum(len(batch) for batch in batches.epoch(1))] * EPOCHS)
        particles = len(jets.packed.particles) / len(jets)
        print(f"{len(jets)} jets of {particles:.1f} particles with {jets.packed.particles.shape[1]} features")
        for what, rate in (
            ("cache", writing),
            ("packed", packed),
            ("padded", _rates([padded] * EPOCHS)),
            ("copy", _rates([copy] * EPOCHS)),
        ):
            print(f"loading_{what}_jets_per_cpu_second {rate:.0f}")


def _write(storage: Storage, root: Path) -> int:
    from jec_assets.jets.cache import cache_split

    return cache_split(storage, "train", root).split.jets


def _rates(works: Sequence[Callable[[], int]]) -> float:
    """The median over the works of jets per CPU second; the first of several pays for what later ones find ready."""
    rates = []
    for work in works:
        started = time.process_time()
        jets = work()
        rates.append(jets / (time.process_time() - started))
    return statistics.median(rates[1:])


def _materialize(storage: Storage, source: str) -> None:
    from jec_assets.jets.filtering import Recipe
    from jec_assets.jets.manifest import update_manifest
    from jec_assets.jets.selection import Selection
    from jec_assets.jets.sources import list_files
    from jec_assets.jets.splits import publish_split

    with ThreadPoolExecutor(1) as executor:
        update_manifest(storage, list_files(source), Recipe("extended", Selection()), executor, lambda *_: None)
    publish_split(storage, "train", None)


def _toy_source(folder: Path) -> str:
    from jec_assets_tests.toy_jets import toy_jets, write_jet_file

    for seed in range(3):
        write_jet_file(folder / f"toy_{seed}.root", toy_jets(TOY_EVENTS, seed))
    return str(folder)


if __name__ == "__main__":
    main()
