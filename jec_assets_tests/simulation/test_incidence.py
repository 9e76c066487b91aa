from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.simulation.incidence import (
    CALORIMETER_RADIUS,
    CHARGED_HADRON,
    ELECTRON,
    FIELD,
    MUON,
    NEUTRAL_HADRON,
    PHOTON,
    helix_end,
)
from jec_assets_tests.simulation.builders import incidence


@given(st.floats(0.1, 1000), st.floats(-5, 5), st.floats(-3, 3))
def test_neutral_particles_fly_straight(pt: float, eta: float, phi: float) -> None:
    photon = incidence(22, pt, eta, phi)
    assert photon.hits_calorimeter[0]
    assert photon.calo_eta[0] == pytest.approx(eta, abs=1e-3)
    assert photon.calo_phi[0] == pytest.approx(phi, abs=1e-3)


@given(st.floats(0.8, 1000), st.floats(-4, 4))
def test_charges_bend_to_opposite_sides_and_back_to_the_same_place_along_the_beam(pt: float, eta: float) -> None:
    pts, etas = np.full(2, pt, np.float32), np.full(2, eta, np.float32)
    calo_eta, turn, _ = helix_end(pts, etas, np.array([1, -1], np.int8))
    assert calo_eta[0] == calo_eta[1]
    assert turn[0] == -turn[1] < 0


@given(st.floats(1.0, 500), st.floats(1.05, 3))
def test_softer_particles_bend_more(pt: float, ratio: float) -> None:
    pts = np.array([pt, pt * ratio], np.float32)
    _, turn, hits = helix_end(pts, np.zeros(2, np.float32), np.ones(2, np.int8))
    assert hits.all()
    assert abs(turn[0]) > abs(turn[1])


def test_the_turn_in_the_barrel_is_that_of_the_chord() -> None:
    radius = 5.0 / (0.3 * FIELD)
    expected = np.arcsin(CALORIMETER_RADIUS / (2 * radius))
    _, turn, _ = helix_end(np.array([5.0], np.float32), np.zeros(1, np.float32), np.ones(1, np.int8))
    assert turn[0] == pytest.approx(-expected, rel=1e-5)


def test_a_soft_central_particle_never_arrives() -> None:
    assert incidence([211, 211], [0.5, 2.0], 0.1).hits_calorimeter.tolist() == [False, True]


def test_what_is_too_far_forward_is_left_out() -> None:
    assert len(incidence(22, 5.0, [0.0, 5.1, 5.3, -5.3])) == 2


def test_kinds() -> None:
    found = incidence([211, -211, 130, 2112, 22, 11, -13], 10.0, 0.0)
    assert found.kind.tolist() == [
        CHARGED_HADRON,
        CHARGED_HADRON,
        NEUTRAL_HADRON,
        NEUTRAL_HADRON,
        PHOTON,
        ELECTRON,
        MUON,
    ]
    assert found.charge.tolist() == [1, -1, 0, 0, 0, -1, 1]
