from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from jec_assets.simulation.particles import charge_of, ranges, wrap
from jec_assets_tests.simulation.builders import particles

ANGLES = npst.arrays(np.float64, st.integers(1, 20), elements=st.floats(-50, 50))


@pytest.mark.needs("pythia")
def test_charges_are_those_of_the_particle_data_group() -> None:
    from particle import Particle

    stable = [11, 12, 13, 22, 130, 211, 310, 321, 2112, 2212, 3112, 3122, 3222, 3312, 3322, 3334]
    signed = np.array([sign * pdg for pdg in stable for sign in (1, -1) if sign == 1 or pdg not in (22, 130, 310)])
    expected = [Particle.from_pdgid(int(pdg)).charge for pdg in signed]
    assert charge_of(signed.astype(np.int32)).tolist() == expected


def test_unknown_heavy_ids_are_neutral() -> None:
    assert charge_of(np.array([3335, 1_000_010_020, -999_999], np.int32)).tolist() == [0, 0, 0]


@given(ANGLES)
def test_wrapped_angles_are_the_same_directions(angles: np.ndarray) -> None:
    wrapped = wrap(angles)
    assert np.all(np.abs(wrapped) <= np.pi + 1e-12)
    np.testing.assert_allclose(np.cos(wrapped), np.cos(angles), atol=1e-9)
    np.testing.assert_allclose(np.sin(wrapped), np.sin(angles), atol=1e-9)


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 5)), max_size=20))
def test_ranges_are_those_of_a_loop(spans: list[tuple[int, int]]) -> None:
    starts, counts = np.array([start for start, _ in spans], int), np.array([count for _, count in spans], int)
    expected = [position for start, count in spans for position in range(start, start + count)]
    assert ranges(starts, counts).tolist() == expected


def test_energy_is_that_of_the_four_momentum() -> None:
    pion = particles(211, 10.0, 1.5)
    expected = np.sqrt((10 * np.cosh(1.5)) ** 2 + 0.13957**2)
    assert pion.energy[0] == pytest.approx(expected, rel=1e-6)
