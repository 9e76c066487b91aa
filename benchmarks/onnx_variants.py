"""What a coarser number or another graph level does to networks trained on real jets.

`python -m benchmarks.onnx_variants 'DATA/*.root' FOLDER`: trains a PFN (6 epochs), a PFN committee (8) and a
ParticleNet (1 epoch of 40,000 jets) on the jets of a source, ten minutes or so on one core, exports them, and prints
for each

- of every graph level how long loading takes, and jets per CPU second in batches of like multiplicity, the median of
  rounds in turns;
- of every variant (`jec_assets.serving.variants`) how loss and median response on the test jets change, whether it
  holds, its speed over the original's, its size.

FOLDER keeps the jets.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.beyond_the_paper import COMMITTEE, PARTICLE_NETS, Recipe, Samples, read_samples
from jec_assets.serving.export import export_onnx
from jec_assets.serving.graph_levels import LEVELS
from jec_assets.serving.runtime import JetSession, inference_session
from jec_assets.serving.variants import try_variants
from jec_assets.storage import Storage, digest_of
from jec_assets.training.config import Checkpointing, Computation, Optimization, TrainingConfig

if TYPE_CHECKING:
    from jec_assets.jets.packed import PackedJets
    from jec_assets.models.network import JetNetwork

PFN = Recipe("pfn", "pfn", Optimization("AdamW", 2e-3, "one_cycle", clip_norm=0.1), 512, 6)
TRAININGS = ((PFN, 6, None), (COMMITTEE, 8, None), (PARTICLE_NETS[1], 1, 40_000))
TIMED_JETS, ROUNDS = 2048, 5


def trained(recipe: Recipe, epochs: int, jets: int | None, samples: Samples) -> JetNetwork:
    """The recipe's network after so many epochs of so many jets, seed 0."""
    from jec_assets.training.loop import train

    network = recipe.network(seed=0)
    training = samples.training.slice(0, len(samples.training) if jets is None else jets)
    checkpoints = Checkpointing(
        Storage(str(samples.folder / "checkpoints")), recipe.name, digest_of([recipe.name, epochs, len(training)])
    )
    computation = Computation(threads=1, precision="float32")
    config = TrainingConfig(
        recipe.optimization, epochs, recipe.batch_size, 0, computation=computation, checkpoints=checkpoints
    )
    train(network, training, samples.validation, config, lambda _: None)
    return network


def levels(model: bytes, jets: PackedJets) -> list[str]:
    """A line for each graph level."""
    lines, sessions = [], {}
    for level in LEVELS:
        started = time.process_time()
        sessions[level] = inference_session(model, threads=1, level=level)
        lines.append(f"  level {level}: loaded in {1000 * (time.process_time() - started):.0f} ms")
    rates = [[len(jets) / _seconds(session, jets) for session in sessions.values()] for _ in range(ROUNDS)]
    of_levels = [statistics.median(of_level) for of_level in zip(*rates, strict=True)]
    return [f"{line}, {rate:,.0f} jets per CPU second" for line, rate in zip(lines, of_levels, strict=True)]


def _seconds(session: JetSession, jets: PackedJets) -> float:
    started = time.process_time()
    session.predict(jets)
    return time.process_time() - started


def main(source: str, folder: Path) -> None:
    """Train, export, print."""
    import torch

    torch.set_num_threads(1)
    samples = read_samples(source, folder)
    target = samples.test.labels.target
    for recipe, epochs, jets in TRAININGS:
        network = trained(recipe, epochs, jets, samples)
        model = export_onnx(network)
        print(f"{recipe.family}: {len(samples.test)} test jets, {len(model) / 1e6:.2f} MB")
        print("\n".join(levels(model, samples.test.packed.slice(0, TIMED_JETS))))
        for variant in try_variants(network, samples.test.packed, target):
            print(f"  {variant.finding}, speed {variant.speed:.2f}, {len(variant.onnx or b'') / 1e6:.2f} MB")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
