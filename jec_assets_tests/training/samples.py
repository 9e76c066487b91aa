"""Jets and a network small enough to train in a test, with a target that can be learned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jec_assets.jets.labels import JetLabels, LabeledJets
from jec_assets.jets.packed import PackedJets
from jec_assets.models.hyperparameters import Hyperparameters, ParticleNetHyperparameters, PFNHyperparameters
from jec_assets.models.inputs import NetworkInputs
from jec_assets.models.network import JetNetwork
from jec_assets.training.reproducible import seeded

INPUTS = NetworkInputs(particle_features=4, jet_features=2, points=(0, 1))
SMALL_PFN = PFNHyperparameters(phi_layers=2, phi_units=8, head_layers=1, head_units=8, dropout=0.1)
SMALL_PARTICLE_NET = ParticleNetHyperparameters(
    blocks=2, neighbors=4, layers=2, units=8, head_layers=1, head_units=8, dropout=0.1
)


def learnable_jets(jets: int, seed: int = 0) -> LabeledJets:
    """Jets of 1 to 9 particles whose target follows from their features."""
    generator = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(generator.integers(1, 10, jets))]).astype(np.int64)
    particles = generator.normal(5.0, 2.0, (offsets[-1], 4)).astype(np.float32)
    features = generator.normal(-3.0, 4.0, (jets, 2)).astype(np.float32)
    sums = np.add.reduceat(particles[:, 2] - 5.0, offsets[:-1])
    target = np.tanh(0.1 * sums + 0.05 * (features[:, 1] + 3.0)).astype(np.float32)
    return labeled(PackedJets(particles, offsets, features), target)


def labeled(jets: PackedJets, target: NDArray[np.float32]) -> LabeledJets:
    """The jets with labels: that target, two jets an event, all flavors, gen pT and eta of a falling spectrum."""
    generator = np.random.default_rng(len(jets))
    number = np.arange(len(jets))
    ids = (np.ones(len(jets), np.int32), np.ones(len(jets), np.int32), (number // 2).astype(np.uint64))
    flavor = generator.choice([0, 1, 2, 3, 4, 5, 21], len(jets)).astype(np.int32)
    numbers = (
        20 + generator.exponential(60, len(jets)),
        generator.uniform(-2.5, 2.5, len(jets)),
        generator.uniform(0.1, 1, len(jets)),
    )
    return LabeledJets(jets, JetLabels(*ids, flavor, *(values.astype(np.float32) for values in numbers), target))


def small_network(seed: int = 0, hyperparameters: Hyperparameters = SMALL_PFN, outputs: int = 1) -> JetNetwork:
    """A network with fresh weights."""
    with seeded(seed):
        return hyperparameters.build(INPUTS, outputs)
