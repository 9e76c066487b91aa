"""How large a network is, beside how good it is.

Belongs here: the rows of the paper's Table 3, and what a network really costs. Does not belong here: counting in the
paper's convention (`jec_assets.models.complexity`), counting and timing while it runs (`footprint.py`,
`throughput.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.evaluation.networks.footprint import Footprint
    from jec_assets.evaluation.networks.throughput import Throughput
    from jec_assets.models.saving import NetworkDescription

PUBLISHED_PARTICLES = 100  # particles per jet in the published count of multiply-accumulates


@dataclass(frozen=True)
class Complexity:
    """One network, with what it costs when it runs: counted, the same everywhere, and timed on one machine.

    macs: multiply-accumulates per jet of 100 particles in the published convention
    mean_macs: the same convention for the particles that jets have, the mean over the jets
    """

    family: str
    loss: float
    parameters: int
    macs: int
    mean_macs: float
    footprint: Footprint
    throughput: Throughput


def complexity(
    description: NetworkDescription,
    loss: float,
    parameters: int,
    constituents: NDArray[np.integer],
    footprint: Footprint,
    throughput: Throughput,
) -> Complexity:
    """A network's row.

    parameters: its trainable ones; loss: the one on the test set; constituents: particles of each test jet, int
    (jets,), at least one jet.
    """
    hyperparameters, inputs = description.hyperparameters, description.inputs
    particles, jets = np.unique(constituents, return_counts=True)
    macs = [hyperparameters.macs(inputs, int(each)) for each in particles]
    return Complexity(
        description.family,
        loss,
        parameters,
        hyperparameters.macs(inputs, PUBLISHED_PARTICLES),
        float(np.average(macs, weights=jets)),
        footprint,
        throughput,
    )
