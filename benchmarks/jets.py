"""Jets that the claims on networks are timed on, and the step that is timed: the same for both sides of a claim.

Belongs here: jets with realistic multiplicities, their padded form, one training step. Does not belong here: networks.

Features are those of the published study, standardized: 6 per particle, of which the third and fourth span the plane
in which neighbors are searched, and 8 per jet. Multiplicities are log-normal with a mean of 35 and a spread of 16, as
of jets with pileup at the LHC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, log
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from jec_assets.models.network import JetNetwork

PARTICLE_FEATURES, JET_FEATURES = 6, 8
POINTS = (2, 3)
LEARNING_RATE = 1e-4


def synthetic_jets(jets: int, longest: int, seed: int) -> dict[str, NDArray[Any]]:
    """Packed jets of at most `longest` particles, the longest among them that long: see `jec_assets.jets.packed`.

    particles: float32 (particles, 6), offsets: int64 (jets + 1,), jets: float32 (jets, 8), target: float32 (jets,).
    """
    random = np.random.default_rng(seed)
    quantiles = [exp(log(32) + 0.44 * NormalDist().inv_cdf((jet + 0.5) / jets)) for jet in range(jets)]
    counts = random.permutation(np.rint(quantiles).astype(np.int64).clip(3, longest))
    counts[counts.argmax()] = longest
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return {
        "particles": random.normal(size=(offsets[-1], PARTICLE_FEATURES)).astype(np.float32),
        "offsets": offsets,
        "jets": random.normal(size=(jets, JET_FEATURES)).astype(np.float32),
        "target": random.normal(0, 0.1, jets).astype(np.float32),
    }


def padded(jets: dict[str, NDArray[Any]], slots: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Particles as (jets, 6, slots), zeros behind each jet's last, and the mask of real ones, (jets, 1, slots)."""
    real = np.arange(slots) < np.diff(jets["offsets"])[:, None]
    dense = np.zeros((*real.shape, PARTICLE_FEATURES), np.float32)
    dense[real] = jets["particles"]
    return np.ascontiguousarray(dense.transpose(0, 2, 1)), real[:, None]


def published(family: str) -> JetNetwork:
    """Our network of that family with the published hyperparameters and fresh weights."""
    from jec_assets.jets.features import PAPER
    from jec_assets.models.families import FAMILIES
    from jec_assets.models.inputs import NetworkInputs

    return FAMILIES[family].optimum.build(NetworkInputs.of(PAPER))


def seasoned(family: str, batches: Sequence[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    """Weights and moments, by name, of our network of that family after it has seen some batches, seed 1."""
    import torch

    torch.manual_seed(1)
    network = published(family).train()
    with torch.no_grad():
        for seen in map(tensors, batches):
            network(seen["particles"], seen["offsets"], seen["jets"])
    return {name: value.numpy() for name, value in network.state_dict().items()}


def training_step(
    network: nn.Module, optimizer: torch.optim.Optimizer, inputs: Sequence[Tensor], target: Tensor
) -> Callable[[], None]:
    """Forward, mean absolute error of the first output, backward, the optimizer's step."""

    def step() -> None:
        optimizer.zero_grad()
        (network(*inputs)[:, 0] - target).abs().mean().backward()
        optimizer.step()

    return step


def gradients(network: nn.Module, inputs: Sequence[Tensor], target: Tensor) -> dict[str, NDArray[np.float32]]:
    """Gradient of each weight after the same forward and backward, by name; none is left behind."""
    (network(*inputs)[:, 0] - target).abs().mean().backward()
    found = {name: weight.grad.numpy().copy() for name, weight in network.named_parameters() if weight.grad is not None}
    network.zero_grad()
    return found


def copy_weights(network: nn.Module, weights: dict[str, NDArray[Any]]) -> None:
    """Take over parameters and buffers by name, reshaped where only dimensions of 1 differ."""
    import torch

    state = network.state_dict()
    network.load_state_dict({name: torch.from_numpy(weights[name]).reshape(state[name].shape) for name in state})


def tensors(jets: dict[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    """The same arrays as tensors."""
    import torch

    return {name: torch.from_numpy(array) for name, array in jets.items()}
