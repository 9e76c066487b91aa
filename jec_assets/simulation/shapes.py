"""What a jet's constituents add up to: multiplicities, widths, identification.

Belongs here: every branch that is a sum over constituents. Does not belong here: the constituents themselves
(`ntuple.py`) and clustering (`clustering.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jec_assets.jets.quark_gluon import CHARGED, Constituents, quark_gluon
from jec_assets.simulation.particles import wrap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.simulation.clustering import Jets
    from jec_assets.simulation.detector import Candidates

Columns = dict[str, "NDArray[Any]"]

_NEUTRAL_HADRONS = (130, 1)
_PHOTONS = (22, 2)
_TRACKER_ETA = 2.4  # where identification looks at charged particles
NOT_COMPUTED = -1.0


@dataclass(frozen=True)
class _Members:
    """Constituents of some jets, flat, with their jets: every array is (constituents,)."""

    jet: NDArray[np.int64]
    jets: int
    candidates: Candidates
    delta_eta: NDArray[np.floating]
    delta_phi: NDArray[np.floating]

    def sum(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.bincount(self.jet, values, minlength=self.jets).astype(np.float64, copy=False)

    def count(self, chosen: NDArray[np.bool_]) -> NDArray[np.int32]:
        return np.bincount(self.jet[chosen], minlength=self.jets).astype(np.int32)


def shapes(candidates: Candidates, jets: Jets) -> Columns:
    """Branches by name, each (jets,); girth is relative to the raw pT. `jets.constituents` are rows of `candidates`."""
    members = candidates.take(jets.constituents)
    owner = jets.owner
    flat = _Members(owner, len(jets), members, members.eta - jets.eta[owner], wrap(members.phi - jets.phi[owner]))
    return {**_multiplicities(flat), **_identification(flat, jets), **_girth(flat, jets), **_quark_gluon(flat)}


def _multiplicities(members: _Members) -> Columns:
    pdg = np.abs(members.candidates.pdg)
    charged = np.isin(pdg, CHARGED)
    return {
        "jetChargedHadronMult": members.count(pdg == 211),
        "jetNeutralHadronMult": members.count(np.isin(pdg, _NEUTRAL_HADRONS)),
        "jetChargedMult": members.count(charged),
        "jetNeutralMult": members.count(~charged),
        "jetMult": members.count(np.ones(len(pdg), bool)),
    }


def _identification(members: _Members, jets: Jets) -> Columns:
    """Loose and tight identification of particle-flow jets for |eta| < 2.7 (CMS-PAS-JME-16-003, Table 1)."""
    candidates = members.candidates
    pdg = np.abs(candidates.pdg)
    energy = np.hypot(candidates.pt * np.cosh(candidates.eta), candidates.mass)
    total = members.sum(energy)

    def fraction(*kinds: int) -> NDArray[np.float64]:
        return members.sum(energy * np.isin(pdg, kinds)) / total

    neutral_hadrons, photons = fraction(*_NEUTRAL_HADRONS), fraction(*_PHOTONS)
    charged = members.count(np.isin(pdg, CHARGED)) > 0
    in_tracker = (fraction(211) > 0) & charged & (fraction(11) < 0.99)
    sound = (in_tracker | (np.abs(jets.eta) > _TRACKER_ETA)) & (jets.counts > 1)
    return {
        "jetLooseID": (sound & (neutral_hadrons < 0.99) & (photons < 0.99)).astype(np.int32),
        "jetTightID": (sound & (neutral_hadrons < 0.90) & (photons < 0.90)).astype(np.int32),
    }


def _girth(members: _Members, jets: Jets) -> Columns:
    """sum pT sqrt(dy^2 + dphi^2) / pT,jet, with rapidities y."""
    candidates = members.candidates
    rapidity = _rapidity(candidates.pt, candidates.eta, candidates.mass)
    axis = _rapidity(jets.pt, jets.eta, jets.mass)[members.jet]
    moment = members.sum(candidates.pt * np.hypot(rapidity - axis, members.delta_phi))
    return {"jetGirth": (moment / jets.pt).astype(np.float32)}


def _rapidity(pt: NDArray[np.floating], eta: NDArray[np.floating], mass: NDArray[np.floating]) -> NDArray[np.floating]:
    """y = asinh(pz / sqrt(pT^2 + m^2))."""
    rapidity: NDArray[np.floating] = np.arcsinh(pt * np.sinh(eta) / np.hypot(pt, mass))
    return rapidity


def _quark_gluon(members: _Members) -> Columns:
    candidates = members.candidates
    constituents = Constituents(
        members.jet,
        members.jets,
        candidates.pt,
        members.delta_eta,
        members.delta_phi,
        candidates.pdg,
        candidates.from_pv,
    )
    # CMS trains its likelihood on samples of its own; like there, -1 says that it was not computed.
    return {**quark_gluon(constituents), "jetQGl": np.full(members.jets, NOT_COMPUTED, np.float32)}
