"""What tells quark from gluon jets: multiplicity, pT D and the minor axis of a jet's constituents.

Belongs here: these three, from constituents, for whoever has jets without them. Does not belong here: other sums over
constituents (`jec_assets.simulation.shapes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHARGED = (11, 13, 211)  # |PDG id| of the charged particle-flow hypotheses
QUALITY_ASSOCIATION = 2  # least fromPV of a charged constituent
QUALITY_NEUTRAL_PT = 1.0  # GeV, least pT of a neutral one


@dataclass(frozen=True)
class Constituents:
    """Constituents of some jets, flat: each array (constituents,).

    jet: the jet's number, 0 and up; jets: how many there are; pt: GeV; delta_eta, delta_phi: relative to the jet's
    axis; pdg_id: of the particle-flow hypothesis; from_pv: association to the primary vertex, 0 to 3
    """

    jet: NDArray[np.integer]
    jets: int
    pt: NDArray[np.floating]
    delta_eta: NDArray[np.floating]
    delta_phi: NDArray[np.floating]
    pdg_id: NDArray[np.integer]
    from_pv: NDArray[np.integer]


def quark_gluon(constituents: Constituents) -> dict[str, NDArray[Any]]:
    """QG_ptD, QG_axis2 (float32) and QG_mult (int32), each (jets,), of the constituents that pass quality cuts.

    pT D = sqrt(sum pT^2) / sum pT; sigma_2^2 is the smaller eigenvalue of the covariance of (eta, phi), weighted with
    pT^2 (CMS-PAS-JME-13-002, Section 3).
    """
    charged = np.isin(np.abs(constituents.pdg_id), CHARGED)
    good = np.where(charged, constituents.from_pv >= QUALITY_ASSOCIATION, constituents.pt > QUALITY_NEUTRAL_PT)
    pt = np.where(good, constituents.pt, 0).astype(np.float64)

    def total(values: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.bincount(constituents.jet, values, minlength=constituents.jets).astype(np.float64, copy=False)

    squared = total(pt**2)
    norm = np.maximum(squared, 1e-12)

    def mean(values: NDArray[np.floating]) -> NDArray[np.float64]:
        return total(pt**2 * values) / norm

    eta, phi = constituents.delta_eta, constituents.delta_phi
    mean_eta, mean_phi = mean(eta), mean(phi)
    var_eta, var_phi = mean(eta**2) - mean_eta**2, mean(phi**2) - mean_phi**2
    covariance = mean(eta * phi) - mean_eta * mean_phi
    minor = 0.5 * (var_eta + var_phi - np.hypot(var_eta - var_phi, 2 * covariance))
    return {
        "QG_ptD": (np.sqrt(squared) / np.maximum(total(pt), 1e-6)).astype(np.float32),
        "QG_axis2": np.sqrt(np.maximum(minor, 0)).astype(np.float32),
        "QG_mult": np.bincount(constituents.jet[good], minlength=constituents.jets).astype(np.int32),
    }
