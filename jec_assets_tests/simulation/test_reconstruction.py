from __future__ import annotations

import numpy as np
import pytest

from jec_assets.simulation.detector import detect
from jec_assets.simulation.generator import GeneratedEvents
from jec_assets.simulation.incidence import HARD, propagate
from jec_assets.simulation.pileup import PileupPool
from jec_assets.simulation.reconstruction import Collisions, matched_jets, reconstruct

pytestmark = pytest.mark.needs("pythia")


def test_candidates_are_ordered_and_within_acceptance(collisions: Collisions) -> None:
    candidates = collisions.candidates
    assert np.all(np.diff(candidates.event) >= 0)
    assert set(np.unique(candidates.pdg)) <= {-211, 211, -11, 11, -13, 13, 22, 130, 1, 2}
    assert set(np.unique(candidates.from_pv)) <= {0, 1, 2, 3}
    assert np.all(candidates.pt > 0)
    assert np.all(np.abs(candidates.eta) < 5.3)


def test_constituents_are_the_jets_momenta(collisions: Collisions) -> None:
    jets, candidates = collisions.jets, collisions.candidates
    members = candidates.take(jets.constituents)
    for component in (np.cos, np.sin):
        sums = np.bincount(jets.owner, members.pt * component(members.phi), minlength=len(jets))
        np.testing.assert_allclose(sums, jets.pt * component(jets.phi), rtol=1e-4, atol=1e-3)
    assert np.array_equal(candidates.event[jets.constituents], jets.event[jets.owner])
    assert not members.subtracted.any()


def test_constituents_of_particle_level_jets_are_theirs(collisions: Collisions) -> None:
    jets, stable = collisions.gen_jets, collisions.generated.stable
    sums = np.bincount(jets.owner, stable.pt[jets.constituents] * np.cos(stable.phi[jets.constituents]))
    np.testing.assert_allclose(sums, jets.pt * np.cos(jets.phi), rtol=1e-4, atol=1e-3)


def test_hard_jets_match_and_lose_a_little(collisions: Collisions) -> None:
    found = matched_jets(collisions)
    hard = found.take(found.usable & (found.gen_pt > 60) & (np.abs(found.eta) < 2.5))
    assert len(hard) > 30
    assert 0.85 < np.median(hard.raw_pt / hard.gen_pt) < 1.0


def test_areas_are_near_that_of_a_circle(collisions: Collisions) -> None:
    assert np.median(collisions.area) == pytest.approx(np.pi * 0.4**2, rel=0.1)


def test_flavors_are_known(collisions: Collisions) -> None:
    assert set(np.unique(collisions.hadron_flavor)) <= {0, 4, 5}
    hard = (collisions.match >= 0) & (collisions.jets.pt > 40)
    assert np.mean(collisions.parton_flavor[hard] != 0) > 0.9
    assert set(np.unique(np.abs(collisions.parton_flavor))) <= {0, 1, 2, 3, 4, 5, 21}


def test_ghosts_leave_the_jets_as_they_are(collisions: Collisions) -> None:
    # Mass would be the first to show a ghost of the wrong scale.
    members = collisions.candidates.take(collisions.jets.constituents)
    energy = np.hypot(members.pt * np.cosh(members.eta.astype(np.float64)), members.mass)
    owner = collisions.jets.owner
    columns = (members.pt * np.cos(members.phi), members.pt * np.sin(members.phi), members.pt * np.sinh(members.eta))
    px, py, pz, total = (np.bincount(owner, column.astype(np.float64)) for column in (*columns, energy))
    mass = np.sqrt(np.maximum(total**2 - px**2 - py**2 - pz**2, 0))
    np.testing.assert_allclose(mass, collisions.jets.mass, rtol=0.02, atol=0.3)


def test_the_same_random_numbers_give_the_same_jets(
    generated: GeneratedEvents, pool: PileupPool, collisions: Collisions
) -> None:
    again = reconstruct(generated, pool, np.random.default_rng(13))
    assert np.array_equal(again.jets.pt, collisions.jets.pt)
    assert np.array_equal(again.area, collisions.area)


def test_without_pileup_almost_all_tracks_are_the_hard_collisions(generated: GeneratedEvents) -> None:
    candidates = detect(propagate(generated.final, HARD), len(generated), np.random.default_rng(0))
    charged = np.isin(np.abs(candidates.pdg), (11, 13, 211))
    assert np.mean(candidates.from_pv[charged] > 0) > 0.99
    assert np.all(candidates.from_pv[~charged] == 1)
