"""Predictions of a network for any number of jets.

Belongs here: evaluation mode, batches, memory, the device. Does not belong here: what predictions mean
(`jec_assets.evaluation`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.models.outputs import uncrossed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from numpy.typing import NDArray

    from jec_assets.jets.packed import PackedJets
    from jec_assets.models.network import JetNetwork


def predict(network: JetNetwork, jets: PackedJets, batch_size: int = 1024) -> NDArray[np.float32]:
    """Predicted log(genJetPt / jetPt), float32 (jets,): the first of `predict_outputs`."""
    return np.ascontiguousarray(predict_outputs(network, jets, batch_size)[:, 0])


def predict_outputs(network: JetNetwork, jets: PackedJets, batch_size: int = 1024) -> NDArray[np.float32]:
    """All outputs of the network, float32 (jets, outputs), in the order of `jets`; quantiles don't cross.

    Memory holds one batch at a time. The network computes in evaluation mode, on the device where it is (see
    `on_best_device`), and is left in the mode it was in.
    """
    import torch

    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    predictions = np.empty((len(jets), network.outputs), np.float32)
    try:
        with torch.inference_mode():
            for start in range(0, len(jets), batch_size):
                batch = jets.slice(start, start + batch_size)
                # Copied, since arrays may be memory-mapped files, which torch takes for writable.
                tensors = (torch.tensor(array).to(device) for array in (batch.particles, batch.offsets, batch.jets))
                predictions[start : start + batch_size] = uncrossed(network(*tensors)).cpu().numpy()
    finally:
        network.train(was_training)
    return predictions


def choose_device() -> torch.device:
    """The GPU where torch has one, else the CPU."""
    import torch

    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def on_best_device(network: JetNetwork) -> Iterator[JetNetwork]:
    """The network on the GPU where there is one, brought back afterwards."""
    device = next(network.parameters()).device
    try:
        yield network.to(choose_device())
    finally:
        network.to(device)
