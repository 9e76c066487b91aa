"""A training step of the published Particle Transformer, against weaver-core's.

`python -m benchmarks.part_step_vs_weaver`: 64 jets with up to 100 particles (35 on average), one thread, dropout as
published. Ours computes real particles and pairs; weaver-core gets the jets padded to 100, with a mask, as its loader
would give them: it computes all slots, and embeds real pairs only. Its option `trim` is off: in training it drops
particles at random. The head takes the jet features too, which weaver-core's does not, so on both sides it is a plain
stack of torch's layers.

Both start from the same weights and moments. What they compute is compared in evaluation and in double precision: in
single precision weaver-core's mass of a pair is a difference of rounded numbers, and its outputs move by 1e-3. In
training weaver-core counts padding in the moments of the particles' features, so there the outputs cannot be equal.
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

JETS, SLOTS = 64, 100
LOG_PT = 0
WIDTH, HEAD, DROPOUT = 128, (200, 200, 200), 0.1
TOLERANCE = 1e-9


def prepare(folder: Path) -> None:
    """Jets, and the weights and moments of a network that has seen some."""
    sample = partial(synthetic_jets, JETS, SLOTS)
    save_arrays(folder / "weights.npz", seasoned("particle_transformer", [sample(seed) for seed in range(2, 6)]))
    save_arrays(folder / "jets.npz", sample(seed=1))


def ours(folder: Path) -> Side:
    """The project's network on packed jets."""
    import torch

    from jec_assets.training.optimizers import make_optimizer

    network = published("particle_transformer")
    copy_weights(network, load_arrays(folder / "weights.npz"))
    jets = tensors(load_arrays(folder / "jets.npz"))
    inputs = (jets["particles"], jets["offsets"], jets["jets"])
    optimizer = make_optimizer("Adam", network.parameters(), LEARNING_RATE)
    step = training_step(network, optimizer, inputs, jets["target"])

    def work() -> int:
        network.float().train()
        step()
        return JETS

    def results() -> Arrays:
        with torch.no_grad():
            outputs = network.double().eval()(inputs[0].double(), inputs[1], inputs[2].double())
            return {"outputs": outputs[:, 0].numpy()}

    return Side(work, results)


def peer(folder: Path) -> Side:
    """weaver-core's network on padded jets."""
    import torch

    from benchmarks.weavers_part import WeaversParT, in_weavers_names, momenta

    network = WeaversParT(dropout=DROPOUT)
    copy_weights(network, in_weavers_names(load_arrays(folder / "weights.npz")))
    arrays = load_arrays(folder / "jets.npz")
    jets = tensors(arrays)
    dense, real = padded(arrays, SLOTS)
    vectors = torch.from_numpy(momenta(dense) * real)
    particles, mask = torch.from_numpy(dense), torch.from_numpy(real)
    inputs = (particles, vectors.float(), mask, jets["jets"])
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    step = training_step(network, optimizer, inputs, jets["target"])

    def work() -> int:
        network.float().train()
        step()
        return JETS

    def results() -> Arrays:
        with torch.no_grad():
            outputs = network.double().eval()(particles.double(), vectors, mask, jets["jets"].double())
            return {"outputs": outputs[:, 0].numpy()}

    return Side(work, results)


def check(ours: Arrays, peer: Arrays) -> None:
    """Outputs in evaluation, in double precision, are equal to TOLERANCE."""
    difference = float(np.abs(ours["outputs"] - peer["outputs"]).max())
    assert difference < TOLERANCE, f"outputs differ by {difference}"
    assert ours["outputs"].std() > 1e3 * TOLERANCE, "outputs that are all the same prove nothing"


CLAIM = Claim("part_step_vs_weaver", prepare, ours, peer, check, rounds=7)

if __name__ == "__main__":
    run(CLAIM)
