from __future__ import annotations

import numpy as np

from jec_assets.simulation.flavor import hadron_flavor, parton_flavor, physics_flavor
from jec_assets.simulation.generator import heavy_flavor
from jec_assets.simulation.particles import Particles
from jec_assets_tests.simulation.builders import jets


def ghosts(pdg: list[int], pt: list[float]) -> Particles:
    zeros = np.zeros(len(pdg), np.float32)
    return Particles(
        zeros.astype(np.int32), np.array(pdg, np.int32), np.array(pt, np.float32), zeros, zeros, zeros, zeros
    )


def test_heavy_flavor_of_hadrons() -> None:
    pdg = np.array([511, -521, 5122, 411, -4122, 431, 443, 553, 211, 3122, 5, -4, 21, 2101, 4101], np.int32)
    assert heavy_flavor(pdg).tolist() == [5, 5, 5, 4, 4, 4, 4, 5, 0, 0, 0, 0, 0, 0, 0]


def test_a_b_hadron_outranks_c_hadrons() -> None:
    found = hadron_flavor(ghosts([411, 511, 421, 431], [50, 5, 9, 9]), jets([0, 1, 2], 0.0, counts=[2, 2, 0]))
    assert found.tolist() == [5, 4, 0]


def test_the_hardest_heavy_quark_else_the_hardest_parton_decides() -> None:
    partons = ghosts([21, -5, 5, 21, 4, 1, 21, -2], [90, 3, 4, 90, 3, 40, 30, 50])
    found = parton_flavor(partons, jets([0, 1, 2, 3], 0.0, counts=[3, 2, 3, 0]))
    assert found.tolist() == [5, 4, -2, 0]


def test_the_nearest_parton_of_the_hard_scatter_counts() -> None:
    zeros = np.zeros(2, np.float32)
    partons = Particles(
        np.zeros(2, np.int32),
        np.array([21, -3], np.int32),
        np.full(2, 80, np.float32),
        np.array([0.0, 0.3], np.float32),
        zeros,
        zeros,
        zeros,
    )
    assert physics_flavor(partons, jets([0.05, 0.2, 0.9], 0.0)).tolist() == [21, -3, 0]
