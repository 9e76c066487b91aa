"""Predictions of a network for any number of jets.

Belongs here: evaluation mode, batches, memory. Does not belong here: what predictions mean (`jec_assets.evaluation`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.jets.packed import PackedJets
    from jec_assets.models.network import JetNetwork


def predict(network: JetNetwork, jets: PackedJets, batch_size: int = 1024) -> NDArray[np.float32]:
    """Predicted log(genJetPt / jetPt), float32 (jets,), in the order of `jets`.

    Memory holds one batch at a time. The network computes in evaluation mode, on the device where it is, and is left in
    the mode it was in.
    """
    import torch

    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    predictions = np.empty(len(jets), np.float32)
    try:
        with torch.inference_mode():
            for start in range(0, len(jets), batch_size):
                batch = jets.slice(start, start + batch_size)
                arrays = (batch.particles, batch.offsets, batch.jets)
                tensors = (torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays)
                predictions[start : start + batch_size] = network(*tensors)[:, 0].cpu().numpy()
    finally:
        network.train(was_training)
    return predictions
