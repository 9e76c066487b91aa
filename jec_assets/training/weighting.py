"""How much each training jet counts: the choice among weights, draws and neither.

Belongs here: from the configured name to arrays for the loader. Does not belong here: how spectra are made flat
(`reweighting.py`).

    none            every jet once an epoch, with weight 1
    event_weights   weights in the loss: the physical spectrum instead of the simulated one
    flat_weights    weights in the loss: flat in pT and pseudorapidity per flavor
    flat_sampling   the same by drawing jets more and less often
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jec_assets.models import group
from jec_assets.training.loader import BatchPlan, Share
from jec_assets.training.reweighting import FlatSpectrum, ReweightingError, loss_weights, probabilities

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.jets.labels import JetLabels
    from jec_assets.training.config import TrainingConfig


def batch_plan(config: TrainingConfig, labels: JetLabels) -> BatchPlan:
    """The configured batches for jets with these labels, as far as they are this process's."""
    weights = sampling = None
    if config.weighting == "event_weights":
        weights = event_weights(labels)
    elif config.weighting == "flat_weights":
        weights = loss_weights(labels, FlatSpectrum())
    elif config.weighting == "flat_sampling":
        sampling = probabilities(labels, FlatSpectrum())
    return BatchPlan(
        config.batch_size,
        config.seed,
        sampling,
        weights,
        config.computation.loading_threads,
        Share(group.rank(), group.size()),
    )


def event_weights(labels: JetLabels) -> NDArray[np.float32]:
    """The jets' event weights, divided by their mean, float32 (jets,).

    Raises ReweightingError where one is negative or not finite, or all are 0.
    """
    weights = labels.event_weight
    mean = weights.mean(dtype=np.float64)
    if not (mean > 0 and np.isfinite(mean) and weights.min() >= 0):
        raise ReweightingError("event weights must be finite, not negative and not all 0: train with weighting none")
    return np.asarray(weights / mean, np.float32)
