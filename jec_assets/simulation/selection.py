"""The cuts of the JetNTuple, on jets after the standard correction.

Belongs here: correcting a batch's jets, ranking them in their events, and choosing events and jets. Does not belong
here: the correction itself (`jec_assets.correction`) and the branches (`ntuple.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.simulation.particles import wrap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.correction import AppliedCorrection
    from jec_assets.simulation.reconstruction import Collisions

PT_MIN = 30.0  # GeV, corrected
ETA_MAX = 2.5


@dataclass(frozen=True)
class SelectedJets:
    """Chosen jets of a batch, by event and falling corrected pT; every array is (jets,).

    row: int64, in the batch's jets; factor: float64, standard correction; rank: int32, in the event, from 0
    delta_phi, delta_eta: float32, first minus second jet of the event; alpha: float32, pT of the third jet over the
    mean of the leading two; multiplicity: int32, chosen jets of the event
    """

    row: NDArray[np.int64]
    factor: NDArray[np.float64]
    rank: NDArray[np.int32]
    delta_phi: NDArray[np.float32]
    delta_eta: NDArray[np.float32]
    alpha: NDArray[np.float32]
    multiplicity: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.row)


def select(collisions: Collisions, correction: AppliedCorrection) -> SelectedJets:
    """Jets above 30 GeV in |eta| < 2.5 of events whose leading two jets are both such jets."""
    jets = collisions.jets
    rho = collisions.densities.all[jets.event]
    factor = correction.factor(jets.pt, jets.eta, rho, collisions.area)
    pt = factor * jets.pt
    order = np.lexsort((-pt, jets.event))
    event, pt, eta, phi = jets.event[order], pt[order], jets.eta[order], jets.phi[order]
    counts = np.bincount(event, minlength=len(collisions.generated))
    first = np.cumsum(counts) - counts
    rank = np.arange(len(event)) - first[event]
    passes = (pt > PT_MIN) & (np.abs(eta) < ETA_MAX)
    event_passes = (counts >= 2) & (np.bincount(event, passes & (rank < 2), minlength=len(counts)) == 2)
    chosen = np.flatnonzero(passes & event_passes[event])
    # The first, second and third jet of each chosen jet's event; the third may not be there.
    one = first[event[chosen]]
    two, three = one + 1, np.minimum(one + 2, len(pt) - 1)
    third = np.where(counts[event[chosen]] > 2, pt[three], 0)
    return SelectedJets(
        row=order[chosen],
        factor=factor[order[chosen]],
        rank=rank[chosen].astype(np.int32),
        delta_phi=wrap(phi[one] - phi[two]).astype(np.float32),
        delta_eta=(eta[one] - eta[two]).astype(np.float32),
        alpha=(2 * third / (pt[one] + pt[two])).astype(np.float32),
        multiplicity=np.bincount(event[chosen], minlength=len(counts))[event[chosen]].astype(np.int32),
    )
