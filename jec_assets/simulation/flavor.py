"""Jet flavor: what kind of parton a jet comes from.

Belongs here: the three definitions of the JetNTuple. Does not belong here: finding partons and hadrons in the event
record (`generator.py`).

Partons and heavy hadrons are clustered into the jets as ghosts: with their momenta scaled to nothing, they change no
jet, and each ends up in the one it belongs to (CMS, JINST 8 (2013) P04013; ghosts: Phys. Lett. B 659 (2008) 119).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jec_assets.simulation.clustering import pairs
from jec_assets.simulation.generator import heavy_flavor
from jec_assets.simulation.particles import wrap

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.simulation.clustering import Jets
    from jec_assets.simulation.particles import Particles

GHOST_SCALE = 1e-18
PARTON_PT_MIN = 0.5  # GeV; softer partons never decide a jet's flavor
PHYSICS_RADIUS = 0.4
GLUON = 21
LIGHT_QUARKS = (1, 2, 3)


def hadron_flavor(hadrons: Particles, jets: Jets) -> NDArray[np.int32]:
    """5 for jets with a b hadron among their ghosts, else 4 with a c hadron, else 0: int32 (jets,).

    `jets.constituents` are rows of `hadrons`.
    """
    flavor = np.zeros(len(jets), np.int32)
    np.maximum.at(flavor, jets.owner, heavy_flavor(hadrons.pdg[jets.constituents]).astype(np.int32))
    return flavor


def parton_flavor(partons: Particles, jets: Jets) -> NDArray[np.int32]:
    """PDG id of the hardest b among a jet's ghosts, else the hardest c, else the hardest parton: int32 (jets,).

    0 for jets without a ghost. `jets.constituents` are rows of `partons`.
    """
    pdg, pt = partons.pdg[jets.constituents], partons.pt[jets.constituents]
    absolute = np.abs(pdg)
    priority = np.where(np.isin(absolute, (4, 5)), absolute, 0)
    order = np.lexsort((pt, priority, jets.owner))
    flavor = np.zeros(len(jets), np.int32)
    flavor[jets.owner[order]] = pdg[order]  # a jet's last one stays
    return flavor


def physics_flavor(hard_partons: Particles, jets: Jets) -> NDArray[np.int32]:
    """PDG id of the nearest outgoing parton of the hard scatter within 0.4, 0 where there is none: int32 (jets,)."""
    jet, parton = pairs(jets.event, hard_partons.event)
    distance = np.hypot(jets.eta[jet] - hard_partons.eta[parton], wrap(jets.phi[jet] - hard_partons.phi[parton]))
    near = distance < PHYSICS_RADIUS
    jet, parton, distance = jet[near], parton[near], distance[near]
    order = np.argsort(-distance, kind="stable")
    flavor = np.zeros(len(jets), np.int32)
    flavor[jet[order]] = hard_partons.pdg[parton[order]]  # the nearest is written last
    return flavor
