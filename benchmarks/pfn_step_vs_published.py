"""A training step of the published PFN, against the same network on padded jets.

`python -m benchmarks.pfn_step_vs_published`: 256 jets, one thread. The study pads every jet to 100 particles and masks;
the peer here does just that, in plain torch, with phi as linear layers on all slots. (The field's examples have
one-wide convolutions instead, which take a third longer.) Both sides take a step of Adam: torch's defaults for the
peer, what the project's training uses for ours.

Weights and jets are the same, and outputs and gradients are compared before anything is timed. The same against padding
to 64, for jets of at most 64 particles, is printed first.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.jets import (
    JET_FEATURES,
    LEARNING_RATE,
    PARTICLE_FEATURES,
    copy_weights,
    gradients,
    padded,
    published,
    synthetic_jets,
    tensors,
    training_step,
)
from benchmarks.rounds import Arrays, Claim, Side, load_arrays, run, save_arrays

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Tensor, nn


JETS, STEPS = 256, 8
PHI, HEAD, DROPOUT = (50,) * 5, (400,) * 3, 0.00945


def prepare(folder: Path, slots: int) -> None:
    """Jets and fresh weights."""
    import torch

    torch.manual_seed(1)
    save_arrays(folder / "weights.npz", {name: value.numpy() for name, value in published("pfn").state_dict().items()})
    save_arrays(folder / "jets.npz", synthetic_jets(JETS, slots, seed=1))


def ours(folder: Path) -> Side:
    """The project's network on packed jets."""
    from jec_assets.training.optimizers import make_optimizer

    network = published("pfn")
    copy_weights(network, load_arrays(folder / "weights.npz"))
    jets = tensors(load_arrays(folder / "jets.npz"))
    optimizer = make_optimizer("Adam", network.parameters(), LEARNING_RATE)
    return _side(network, optimizer, (jets["particles"], jets["offsets"], jets["jets"]), jets["target"])


def peer(folder: Path, slots: int) -> Side:
    """The same network on padded jets, in plain torch."""
    import torch
    from torch import nn

    class Padded(nn.Module):
        """phi on every slot, the sum over real ones, the head on it and the jet's features."""

        def __init__(self) -> None:
            super().__init__()
            phi: list[nn.Module] = []
            for width, units in zip((PARTICLE_FEATURES, *PHI), PHI, strict=False):
                phi += [nn.Linear(width, units), nn.ReLU()]
            head: list[nn.Module] = []
            for width, units in zip((PHI[-1] + JET_FEATURES, *HEAD), HEAD, strict=False):
                head += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(DROPOUT)]
            self.phi = nn.Sequential(*phi)
            self.head = nn.Sequential(*head, nn.Linear(HEAD[-1], 1))

        def forward(self, particles: Tensor, mask: Tensor, jets: Tensor) -> Tensor:
            """(jets, 1) from (jets, slots, features), (jets, slots, 1) and (jets, jet features)."""
            sums = (self.phi(particles) * mask).sum(dim=1)
            output: Tensor = self.head(torch.cat([sums, jets], dim=1))
            return output

    network = Padded()
    copy_weights(network, load_arrays(folder / "weights.npz"))
    arrays = load_arrays(folder / "jets.npz")
    dense, real = (torch.from_numpy(array).transpose(1, 2).contiguous() for array in padded(arrays, slots))
    jets = tensors(arrays)
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    return _side(network, optimizer, (dense, real.float(), jets["jets"]), jets["target"])


def check(ours: Arrays, peer: Arrays) -> None:
    """Outputs, and the gradient of every weight relative to its largest element, are equal to 1e-5."""
    assert set(ours) == set(peer)
    for name, values in peer.items():
        np.testing.assert_allclose(ours[name], values, rtol=0, atol=1e-5 * np.abs(values).max(), err_msg=name)


def _side(network: nn.Module, optimizer: torch.optim.Optimizer, inputs: Sequence[Tensor], target: Tensor) -> Side:
    step = training_step(network, optimizer, inputs, target)

    def work() -> int:
        network.train()
        for _ in range(STEPS):
            step()
        return STEPS * JETS

    def results() -> Arrays:
        network.eval()  # without dropout, which would differ
        outputs = network(*inputs)[:, 0].detach().numpy()
        return {"outputs": outputs, **gradients(network, inputs, target)}

    return Side(work, results)


def _claim(name: str, slots: int) -> Claim:
    return Claim(name, partial(prepare, slots=slots), ours, partial(peer, slots=slots), check, rounds=15)


if __name__ == "__main__":
    run(_claim("pfn_step_vs_padded_to_64", 64), _claim("pfn_step_vs_published", 100))
