"""Particles placed by hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from jec_assets.simulation.clustering import Jets
from jec_assets.simulation.detector import Candidates
from jec_assets.simulation.incidence import HARD, Incidence, propagate
from jec_assets.simulation.particles import Particles

MASSES = {22: 0.0, 11: 0.000511, 13: 0.10566, 211: 0.13957, 130: 0.49761, 2112: 0.93957}


def particles(pdg: ArrayLike, pt: ArrayLike, eta: ArrayLike, phi: ArrayLike = 0.0) -> Particles:
    """Particles from the beam, of one event."""
    ids, pts, etas, phis = np.broadcast_arrays(*(np.atleast_1d(column) for column in (pdg, pt, eta, phi)))
    return Particles(
        event=np.zeros(len(ids), np.int32),
        pdg=ids.astype(np.int32),
        pt=pts.astype(np.float32),
        eta=etas.astype(np.float32),
        phi=phis.astype(np.float32),
        mass=np.array([MASSES[abs(int(pdg_id))] for pdg_id in ids], np.float32),
        radius=np.zeros(len(ids), np.float32),
    )


def incidence(pdg: ArrayLike, pt: ArrayLike, eta: ArrayLike, phi: ArrayLike = 0.0, source: int = HARD) -> Incidence:
    """The same on their way through the detector."""
    return propagate(particles(pdg, pt, eta, phi), source)


def candidates(
    pdg: ArrayLike, pt: ArrayLike, eta: ArrayLike, phi: ArrayLike = 0.0, from_pv: ArrayLike = 3
) -> Candidates:
    """Massless candidates of one event."""
    columns = (np.atleast_1d(column) for column in (pdg, pt, eta, phi, from_pv))
    ids, pts, etas, phis, vertices = np.broadcast_arrays(*columns)
    return Candidates(
        event=np.zeros(len(ids), np.int32),
        pdg=ids.astype(np.int32),
        pt=pts.astype(np.float32),
        eta=etas.astype(np.float32),
        phi=phis.astype(np.float32),
        mass=np.zeros(len(ids), np.float32),
        from_pv=vertices.astype(np.int32),
    )


def jets(eta: ArrayLike, phi: ArrayLike, pt: ArrayLike = 50.0, counts: ArrayLike = 0, event: ArrayLike = 0) -> Jets:
    """Massless jets; their constituents are the rows 0, 1, ... of whatever table."""
    columns = (np.atleast_1d(column) for column in (eta, phi, pt, counts, event))
    etas, phis, pts, sizes, events = np.broadcast_arrays(*columns)
    return Jets(
        event=events.astype(np.int32),
        pt=pts.astype(np.float64),
        eta=etas.astype(np.float64),
        phi=phis.astype(np.float64),
        mass=np.zeros(len(etas)),
        constituents=np.arange(int(sizes.sum())),
        counts=sizes.astype(np.int64),
    )
