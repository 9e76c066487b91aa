"""The loss of a network on jets that it is not trained on.

Belongs here: the sum over the jets, slice by slice and process by process. Does not belong here: the loss itself
(`losses.py`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from jec_assets.models import group
from jec_assets.models.prediction import predict_outputs
from jec_assets.training.divergence import BadJets, fault
from jec_assets.training.faults import NotFiniteError
from jec_assets.training.losses import jet_losses

if TYPE_CHECKING:
    from collections.abc import Callable

    from jec_assets.jets.labels import LabeledJets
    from jec_assets.models.network import JetNetwork

# Jets are predicted in slices of so many batches, so that there is progress to report in between.
BATCHES_PER_SLICE = 32


def validation_loss(network: JetNetwork, jets: LabeledJets, batch_size: int, still_alive: Callable[[], None]) -> float:
    """`calibration_loss` of the predictions over all jets, in evaluation mode and float32; at least one jet.

    Each process computes its share of the jets; all get the same sum. `still_alive` is called between slices. Raises
    `NotFiniteError`, with the jets' ids, where the loss is none.
    """
    total, bad = 0.0, BadJets(np.empty(0, np.int64), np.empty(0, np.int64))
    slice_size = batch_size * BATCHES_PER_SLICE
    first, last = (len(jets) * share // group.size() for share in (group.rank(), group.rank() + 1))
    for start in range(first, last, slice_size):
        part = jets.slice(start, min(start + slice_size, last))
        outputs = torch.from_numpy(predict_outputs(network, part.packed, batch_size))
        target = torch.tensor(part.labels.target)
        total += jet_losses("absolute", outputs, target).double().sum().item()
        if not (math.isfinite(total) or len(bad.inputs) or len(bad.outputs)):
            bad = BadJets.of(target.isfinite(), outputs, np.arange(start, start + len(part)))
        still_alive()
    device = next(network.parameters()).device
    loss = _summed(total, device) / len(jets)
    if not math.isfinite(loss):
        raise NotFiniteError(f"validation loss {loss}: {fault(bad, jets.labels, device)}")
    return loss


def _summed(value: float, device: torch.device) -> float:
    return group.sum_over_processes(torch.tensor(value, dtype=torch.float64, device=device)).item()
