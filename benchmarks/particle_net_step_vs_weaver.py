"""A training step of the published ParticleNet, against weaver-core's.

`python -m benchmarks.particle_net_step_vs_weaver`: 256 jets with up to 64 particles (35 on average), one thread. Ours
computes the real particles; weaver-core gets the jets padded to 64, with a mask, as its loader would give them, and
computes all slots. The head takes the jet features too, which weaver-core's does not, so on both sides it is a plain
stack of torch's layers. Both sides take a step of Adam: torch's defaults for weaver-core, what the project's training
uses for ours.

Both start from the same weights and moments. What they compute is compared in evaluation, on jets of more than k
particles: in smaller ones weaver-core's graph connects particles with padding. Its distances are in single precision,
which chooses another neighbor in a few jets of a thousand, so one jet in a hundred may differ. In training weaver-core
counts padding in the moments, so there the outputs cannot be equal.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.jets import (
    LEARNING_RATE,
    copy_weights,
    padded,
    published,
    seasoned,
    synthetic_jets,
    tensors,
    training_step,
)
from benchmarks.rounds import Arrays, Claim, Side, load_arrays, run, save_arrays

JETS, SLOTS = 256, 64
NEIGHBORS = 16  # k


def prepare(folder: Path) -> None:
    """Jets, and the weights and moments of a network that has seen some."""
    sample = partial(synthetic_jets, JETS, SLOTS)
    save_arrays(folder / "weights.npz", seasoned("particle_net", [sample(seed) for seed in range(2, 12)]))
    save_arrays(folder / "jets.npz", sample(seed=1))


def ours(folder: Path) -> Side:
    """The project's network on packed jets."""
    import torch

    from jec_assets.training.optimizers import make_optimizer

    network = published("particle_net")
    copy_weights(network, load_arrays(folder / "weights.npz"))
    jets = tensors(load_arrays(folder / "jets.npz"))
    inputs = (jets["particles"], jets["offsets"], jets["jets"])
    optimizer = make_optimizer("Adam", network.parameters(), LEARNING_RATE)
    step = training_step(network, optimizer, inputs, jets["target"])

    def work() -> int:
        network.train()
        step()
        return JETS

    def results() -> Arrays:
        with torch.no_grad():
            return {"outputs": network.eval()(*inputs)[:, 0].numpy(), "counts": jets["offsets"].diff().numpy()}

    return Side(work, results)


def peer(folder: Path) -> Side:
    """weaver-core's network on padded jets."""
    import torch

    from benchmarks.weavers_particle_net import WeaversParticleNet, in_weavers_names

    network = WeaversParticleNet()
    copy_weights(network, in_weavers_names(load_arrays(folder / "weights.npz")))
    arrays = load_arrays(folder / "jets.npz")
    jets = tensors(arrays)
    dense, real = padded(arrays, SLOTS)
    inputs = (torch.from_numpy(dense), torch.from_numpy(real), jets["jets"])
    step = training_step(network, torch.optim.Adam(network.parameters(), LEARNING_RATE), inputs, jets["target"])

    def work() -> int:
        network.train()
        step()
        return JETS

    def results() -> Arrays:
        with torch.no_grad():
            return {"outputs": network.eval()(*inputs)[:, 0].numpy()}

    return Side(work, results)


def check(ours: Arrays, peer: Arrays) -> None:
    """Outputs in evaluation: equal to 1e-5 of their spread in 99 of 100 jets of more than k particles."""
    clean = ours["counts"] > NEIGHBORS
    differences = np.abs(ours["outputs"] - peer["outputs"])[clean]
    tolerance = 1e-5 * max(1.0, float(ours["outputs"].std()))
    assert clean.sum() > 0.8 * len(clean), "too few jets to compare"
    assert np.quantile(differences, 0.99) < tolerance, f"outputs differ by {np.sort(differences)[-5:]}"


CLAIM = Claim("particle_net_step_vs_weaver", prepare, ours, peer, check, rounds=7)

if __name__ == "__main__":
    run(CLAIM)
