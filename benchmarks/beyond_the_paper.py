"""The PFN committee against ParticleNet: `python -m benchmarks.beyond_the_paper SOURCE FOLDER MINUTES`.

Both are trained on the same jets of SOURCE with the same features, `extended`, and the same budget, MINUTES of CPU time
a training on one core, from three seeds each, and compared on the same test jets. It ends with the gain over the
standard correction of each, and `beyond_the_paper SIGMAS`: how many standard deviations of a paired bootstrap over
events the committee's loss, the mean over seeds, lies below ParticleNet's.

ParticleNet has its published hyperparameters and, of two recipes, the one that reaches the lower validation loss from
the first seed. Steps are timed first; the budget then tells how many epochs a recipe has, at least one and no more than
it can use. Seven trainings, 7 x MINUTES at most; where there is a GPU, it computes as many epochs in its own time.
FOLDER keeps jets, timings and trainings. What it has is not done again, and a training that was killed goes on.

With 90,000 training jets a budget of 30 minutes is 12 epochs for ParticleNet; the committee ends after 4.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.jets import training_step
from jec_assets.evaluation.bootstrap import Resampling, means
from jec_assets.jets.features import EXTENDED
from jec_assets.jets.identity import event_hash
from jec_assets.jets.labels import LabeledJets
from jec_assets.models.families import FAMILIES
from jec_assets.models.inputs import NetworkInputs
from jec_assets.models.network import JetNetwork
from jec_assets.search.spaces import SPACES
from jec_assets.storage import Storage, appearing, digest_of, write_atomically
from jec_assets.training.config import Checkpointing, Computation, Optimization, TrainingConfig

SEEDS = (0, 1, 2)
RESAMPLES = 1000
PARTICLES = 100  # of the jet whose multiply-accumulates are counted
TIMED_STEPS = 7


@dataclass(frozen=True)
class Recipe:
    """A family at its optimum, and how it is trained; after `most_epochs` it learns its training jets by heart."""

    name: str
    family: str
    optimization: Optimization
    batch_size: int
    most_epochs: int

    def epochs(self, minutes: float, minutes_per_epoch: float) -> int:
        """As many as fit into a budget best."""
        return min(max(1, round(minutes / minutes_per_epoch)), self.most_epochs)

    def network(self, seed: int) -> JetNetwork:
        """With fresh weights of that seed."""
        import torch

        torch.manual_seed(seed)
        return FAMILIES[self.family].optimum.build(NetworkInputs.of(EXTENDED))


COMMITTEE = Recipe("pfn_committee", "pfn_committee", SPACES["pfn_committee"].optimum, 512, 96)
PARTICLE_NETS = (
    Recipe("particle_net_published", "particle_net", SPACES["particle_net"].optimum, 500, 24),
    Recipe("particle_net_one_cycle", "particle_net", Optimization("AdamW", 5e-3, "one_cycle", clip_norm=0.1), 500, 24),
)


@dataclass(frozen=True)
class Samples:
    """The jets that everything is trained and compared on, and the folder that keeps what came of it."""

    training: LabeledJets
    validation: LabeledJets
    test: LabeledJets
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """One training: validation loss, how long it was, and predictions of the test jets' targets, float32 (jets,)."""

    validation_loss: float
    epochs: int
    best_epoch: int
    seconds: float
    predictions: NDArray[np.float32]


def read_samples(source: str, folder: Path) -> Samples:
    """The splits of the jets of a source, all of them, in the cache that trainings read."""
    from jec_assets.jets.cache import cache_split, open_cache
    from jec_assets.jets.filtering import Recipe as Filter
    from jec_assets.jets.manifest import update_manifest
    from jec_assets.jets.selection import Selection
    from jec_assets.jets.sources import list_files
    from jec_assets.jets.splits import SHARES, publish_split

    storage, recipe = Storage(str(folder / "storage")), Filter(EXTENDED.name, Selection(20.0, 2.5))
    with ProcessPoolExecutor(1) as pool:
        update_manifest(storage, list_files(source), recipe, pool, lambda *_: None)
    for name in SHARES:
        publish_split(storage, name, None)
    caches = {name: open_cache(cache_split(storage, name, folder / "cache").folder) for name in SHARES}
    return Samples(caches["train"], caches["validation"], caches["test"], folder)


def minutes_per_epoch(recipe: Recipe, samples: Samples) -> float:
    """CPU minutes of one epoch on one core: the median of a few steps, times the steps. Kept in the folder."""
    place = samples.folder / f"{recipe.name}.minutes.json"
    if not place.exists():
        write_atomically(place, json.dumps(_timed(recipe, samples)).encode())
    minutes: float = json.loads(place.read_text())
    return minutes


def _timed(recipe: Recipe, samples: Samples) -> float:
    import torch

    from jec_assets.models.inputs import Standardization
    from jec_assets.training.optimizers import make_optimizer

    torch.set_num_threads(1)
    sample = samples.training.slice(0, recipe.batch_size)
    jets = sample.packed
    network = recipe.network(seed=0).train()
    network.set_standardization(Standardization.fit(jets))
    optimizer = make_optimizer(recipe.optimization.optimizer, network.parameters(), 1e-4)
    inputs = [torch.tensor(array) for array in (jets.particles, jets.offsets, jets.jets)]
    step = training_step(network, optimizer, inputs, torch.tensor(sample.labels.target))
    seconds = []
    for _ in range(TIMED_STEPS):
        started = time.process_time()
        step()
        seconds.append(time.process_time() - started)
    return statistics.median(seconds) / 60 * len(samples.training) / recipe.batch_size


def outcome(recipe: Recipe, seed: int, epochs: int, samples: Samples) -> Outcome:
    """The training with that recipe and seed, carried out now unless the folder has it."""
    record, predictions = (samples.folder / f"{recipe.name}_{epochs}_epochs_{seed}.{kind}" for kind in ("json", "npy"))
    if not record.exists():
        result = _train(recipe, seed, epochs, samples)
        with appearing(predictions) as stream:
            np.save(stream, result.predictions, allow_pickle=False)
        figures = {name: value for name, value in vars(result).items() if name != "predictions"}
        write_atomically(record, json.dumps(figures).encode())
    return Outcome(**json.loads(record.read_text()), predictions=np.load(predictions, allow_pickle=False))


def _train(recipe: Recipe, seed: int, epochs: int, samples: Samples) -> Outcome:
    from jec_assets.models.prediction import on_best_device, predict
    from jec_assets.training.loop import train

    network = recipe.network(seed)
    digest = digest_of([recipe.name, seed, epochs, len(samples.training)])
    config = TrainingConfig(
        recipe.optimization,
        epochs,
        recipe.batch_size,
        seed,
        computation=Computation(threads=1, precision="float32"),
        checkpoints=Checkpointing(Storage(str(samples.folder / "checkpoints")), f"{recipe.name}_{seed}", digest),
    )
    result = train(network, samples.training, samples.validation, config, lambda _: None)
    with on_best_device(network):
        predictions = predict(network, samples.test.packed)
    return Outcome(result.best_validation_loss, epochs, result.best_epoch, result.seconds, predictions)


def _losses(recipe: Recipe, outcomes: list[Outcome], test: LabeledJets) -> NDArray[np.float64]:
    """Each test jet's loss, the mean over the outcomes, float64 (jets,); prints what a physicist asks first."""
    target = test.labels.target.astype(np.float64)
    counts = np.abs(target) < 1
    each = [np.abs(target - outcome.predictions) * counts for outcome in outcomes]
    standard = (np.abs(target) * counts).mean()
    macs = FAMILIES[recipe.family].optimum.macs(NetworkInputs.of(EXTENDED), PARTICLES)
    gains = ", ".join(f"{100 * (standard / loss.mean() - 1):.2f} %" for loss in each)
    medians = ", ".join(f"{np.median(np.exp(outcome.predictions - target)):.4f}" for outcome in outcomes)
    print(f"{recipe.name}: gain {gains}; {outcomes[0].epochs} epochs; {macs:,} multiply-accumulates a jet")
    print(f"  median response {medians}", flush=True)
    return np.asarray(np.mean(each, axis=0), np.float64)


def compare(committee: NDArray[np.float64], other: NDArray[np.float64], test: LabeledJets) -> float:
    """How many standard deviations of its bootstrap the mean of other - committee lies above 0."""
    event = event_hash(test.labels.run, test.labels.lumi, test.labels.event)
    differences = means(other - committee, Resampling(RESAMPLES, seed=1).draws(event))
    return float(differences[0] / np.std(differences[1:], ddof=1))


def main(source: str, folder: Path, minutes: float) -> None:
    """Train what is missing, compare, print."""
    samples = read_samples(source, folder)

    def trained(recipe: Recipe, seed: int) -> Outcome:
        cost = minutes_per_epoch(recipe, samples)
        epochs = recipe.epochs(minutes, cost)
        print(f"{recipe.name}, seed {seed}: {epochs} epochs of {cost:.3f} CPU minutes", flush=True)
        return outcome(recipe, seed, epochs, samples)

    ours = [trained(COMMITTEE, seed) for seed in SEEDS]
    better = min(PARTICLE_NETS, key=lambda recipe: trained(recipe, SEEDS[0]).validation_loss)
    theirs = [trained(better, seed) for seed in SEEDS]
    losses = [_losses(COMMITTEE, ours, samples.test), _losses(better, theirs, samples.test)]
    print(f"{len(samples.training)} training jets, {len(samples.test)} test jets, {minutes:g} CPU minutes a training")
    print(f"beyond_the_paper {compare(losses[0], losses[1], samples.test):.1f}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
