"""Batches: the jets as they are, in one order for any number of threads and processes, in bounded memory."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jec_assets.jets.labels import LabeledJets
from jec_assets.jets.packed import PackedJets
from jec_assets.training.faults import TooFewJetsError
from jec_assets.training.loader import Batch, BatchPlan, BatchPlanError, Share, ShuffledBatches
from jec_assets_tests.training.samples import labeled, learnable_jets

CPU = torch.device("cpu")
JETS = learnable_jets(1500)
TENSORS = ("particles", "offsets", "jets", "target", "weight")
# Of 140 kB: windows of one or two blocks of 256 jets.
SMALL_WINDOW = 70_000


def epoch_of(jets: LabeledJets, plan: BatchPlan, epoch: int = 1, first_step: int = 0) -> list[Batch]:
    return list(ShuffledBatches(jets, plan, CPU).epoch(epoch, first_step))


def same(batches: list[Batch], others: list[Batch]) -> bool:
    return all(
        np.array_equal(batch.indices, other.indices)
        and batch.jets_in_step == other.jets_in_step
        and all(torch.equal(getattr(batch, name), getattr(other, name)) for name in TENSORS)
        for batch, other in zip(batches, others, strict=True)
    )


@pytest.mark.parametrize("window_bytes", [SMALL_WINDOW, 1 << 30])
@pytest.mark.parametrize("workers", [0, 3])
def test_a_batch_is_what_a_plain_loop_gathers(window_bytes: int, workers: int) -> None:
    weights = np.linspace(0.5, 2, len(JETS))
    plan = BatchPlan(64, seed=5, weights=weights, workers=workers, window_bytes=window_bytes)
    batches = epoch_of(JETS, plan)
    assert np.array_equal(np.sort(np.concatenate([batch.indices for batch in batches])), np.arange(len(JETS)))
    particles = np.split(JETS.packed.particles, JETS.packed.offsets[1:-1])
    for batch in batches:
        chosen = [particles[index] for index in batch.indices]
        assert np.array_equal(batch.particles.numpy(), np.concatenate(chosen))
        assert batch.offsets.tolist() == [0, *np.cumsum([len(part) for part in chosen])]
        assert np.array_equal(batch.jets.numpy(), JETS.packed.jets[batch.indices])
        assert np.array_equal(batch.target.numpy(), JETS.labels.target[batch.indices])
        assert np.array_equal(batch.weight.numpy(), weights[batch.indices].astype(np.float32))
        assert batch.jets_in_step == len(batch) == len(batch.target)
        assert batch.offsets.dtype == torch.int64
        assert batch.weight.dtype == batch.particles.dtype == torch.float32


def test_workers_do_not_change_the_order() -> None:
    for window_bytes in (SMALL_WINDOW, 1 << 30):
        plan = BatchPlan(50, seed=2, window_bytes=window_bytes, sampling=np.full(len(JETS), 0.8))
        alone = epoch_of(JETS, plan)
        for workers in (1, 2, 5):
            assert same(alone, epoch_of(JETS, dataclasses.replace(plan, workers=workers)))


@settings(max_examples=20)
@given(batch_size=st.integers(1, 200), size=st.integers(1, 4), sampled=st.booleans())
def test_the_parts_of_the_processes_are_the_batches_of_one(batch_size: int, size: int, sampled: bool) -> None:
    sampling = np.linspace(0.1, 1, len(JETS)) if sampled else None
    parts = []
    for rank in range(size):
        plan = BatchPlan(batch_size, 7, sampling=sampling, share=Share(rank, size), window_bytes=SMALL_WINDOW)
        batches = ShuffledBatches(JETS, plan, CPU)
        parts.append(list(batches.epoch(3)))
        assert len(parts[-1]) == batches.steps(3)
    steps = list(zip(*parts, strict=True))
    for step in steps:
        assert min(map(len, step)) >= 1
        assert {batch.jets_in_step for batch in step} == {sum(map(len, step))}
    plan = BatchPlan(max(batch_size, 1), 7, sampling=sampling, window_bytes=SMALL_WINDOW)
    whole = np.concatenate([batch.indices for batch in epoch_of(JETS, plan, epoch=3)])
    assert np.array_equal(np.concatenate([batch.indices for step in steps for batch in step]), whole)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_epoch_is_the_tail_of_the_whole(workers: int) -> None:
    plan = BatchPlan(64, seed=1, workers=workers, window_bytes=SMALL_WINDOW)
    whole = epoch_of(JETS, plan, epoch=4)
    for first in (0, 1, 11, len(whole) - 1, len(whole)):
        assert same(whole[first:], epoch_of(JETS, plan, epoch=4, first_step=first))


def test_an_epoch_that_is_left_ends_its_threads() -> None:
    batches = ShuffledBatches(JETS, BatchPlan(16, seed=1, workers=3), CPU).epoch(1)
    next(batches)
    batches.close()
    assert [batch.jets_in_step for batch in batches] == []


def test_jets_without_constituents_are_batched_like_others() -> None:
    counts = np.array([0, 3, 0, 0, 2])
    offsets = np.concatenate([[0], np.cumsum(counts)])
    number = np.arange(5, dtype=np.float32)
    particles = np.arange(10, dtype=np.float32).reshape(5, 2)
    jets = labeled(PackedJets(particles, offsets, number[:, None]), number)
    for batch in epoch_of(jets, BatchPlan(2, seed=3)):
        assert torch.diff(batch.offsets).tolist() == counts[batch.indices].tolist()
        assert batch.offsets[-1] == len(batch.particles)
    bare = labeled(PackedJets(particles[:0], np.zeros(6, np.int64), number[:, None]), number)
    assert [tuple(batch.particles.shape) for batch in epoch_of(bare, BatchPlan(5, seed=0))] == [(0, 2)]


def test_too_few_jets_are_named() -> None:
    for jets in (0, 1):
        batches = ShuffledBatches(JETS.slice(0, jets), BatchPlan(8, seed=0), CPU)
        with pytest.raises(TooFewJetsError, match=f"at least two jets, got {jets}"):
            batches.steps(1)
        with pytest.raises(TooFewJetsError):
            next(batches.epoch(1))
    with pytest.raises(TooFewJetsError, match=r"got 0.*draw more"):
        ShuffledBatches(JETS, BatchPlan(8, seed=0, sampling=np.zeros(len(JETS))), CPU).steps(1)


@pytest.mark.parametrize("name", ["sampling", "weights"])
def test_numbers_of_other_jets_are_refused(name: str) -> None:
    plan = BatchPlan(8, seed=0, **{name: np.ones(3)})
    with pytest.raises(BatchPlanError, match=rf"{name} has the shape \(3,\), and there are 1500 jets"):
        ShuffledBatches(JETS, plan, CPU)


@pytest.mark.parametrize(("name", "wrong"), [("sampling", 1.5), ("sampling", np.nan), ("weights", np.inf)])
def test_probabilities_and_weights_that_are_none_are_refused(name: str, wrong: float) -> None:
    values = np.ones(len(JETS))
    values[7] = wrong
    with pytest.raises(BatchPlanError, match=f"{name} must be from 0 to"):
        ShuffledBatches(JETS, BatchPlan(8, seed=0, **{name: values}), CPU)


def test_impossible_plans_are_refused() -> None:
    with pytest.raises(BatchPlanError, match="batch_size is 0"):
        BatchPlan(0, seed=0)
    with pytest.raises(BatchPlanError, match="rank 2 is not one of 2"):
        Share(2, 2)


LARGE_EPOCH = """
import json, sys
from pathlib import Path
import torch
from jec_assets.jets.cache import open_cache
from jec_assets.training.loader import BatchPlan, ShuffledBatches

def status(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))

torch.set_num_threads(1)
jets = open_cache(Path(sys.argv[1]))
plan = BatchPlan(512, seed=1, workers=2, window_bytes=int(sys.argv[2]))
batches = ShuffledBatches(jets, plan, torch.device("cpu"))
Path("/proc/self/clear_refs").write_text("5")  # forget the peak of the imports
before, seen, total = status("VmRSS"), 0, 0.0
for batch in batches.epoch(1):
    seen += len(batch)
    total += float(batch.target.double().sum())
print(json.dumps({"grown": status("VmHWM") - before, "jets": seen, "sum": total}))
"""


def write_large_cache(folder: Path, jets: int, particles: int, features: int) -> None:
    """A cache in the form of `jec_assets.jets.cache`, written in pieces."""
    from jec_assets.jets.arrays import array_file

    one_jet = np.ones((particles, features), np.float32)
    with array_file(folder / "particles.npy", one_jet.dtype, (jets * particles, features)) as append:
        for _ in range(0, jets, 500):
            append(np.concatenate([one_jet] * 500))
    np.save(folder / "offsets.npy", np.arange(jets + 1) * particles)
    np.save(folder / "jets.npy", np.ones((jets, 9), np.float32))
    for name in ("target", "gen_pt", "gen_eta", "event_weight"):
        np.save(folder / f"{name}.npy", np.arange(jets, dtype=np.float32))
    for name in ("run", "lumi", "event", "flavor"):
        np.save(folder / f"{name}.npy", np.zeros(jets, np.int32))


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_memory_is_bounded_by_the_window_whatever_the_size_of_the_data_set(tmp_path: Path) -> None:
    jets, particles, features, window = 150_000, 36, 14, 32 << 20
    write_large_cache(tmp_path, jets, particles, features)
    assert (tmp_path / "particles.npy").stat().st_size > 9 * window

    def grown(window_bytes: int) -> int:
        command = [sys.executable, "-c", LARGE_EPOCH, str(tmp_path), str(window_bytes)]
        result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        assert result["jets"] == jets
        assert result["sum"] == jets * (jets - 1) / 2
        return int(result["grown"])

    # Beside the window: neighbors of its pages that the system maps with them, and the batches on their way.
    assert grown(window) < 2.5 * window
    # The same measure sees the whole data set where a window may hold it.
    assert grown(1 << 30) > 8 * window
