from __future__ import annotations

import numpy as np
import pytest

from jec_assets.correction import StandardCorrection
from jec_assets.simulation.reconstruction import Collisions
from jec_assets.simulation.selection import SelectedJets, select

pytestmark = pytest.mark.needs("pythia")


@pytest.fixture(scope="module")
def selected(collisions: Collisions, correction: StandardCorrection) -> SelectedJets:
    return select(collisions, correction)


def test_chosen_jets_pass_the_cuts(collisions: Collisions, selected: SelectedJets) -> None:
    assert len(selected) > 50
    assert np.all(selected.factor * collisions.jets.pt[selected.row] > 30)
    assert np.all(np.abs(collisions.jets.eta[selected.row]) < 2.5)


def test_both_leading_jets_of_an_event_are_chosen(collisions: Collisions, selected: SelectedJets) -> None:
    event = collisions.jets.event[selected.row]
    for number in np.unique(event):
        ranks = selected.rank[event == number]
        assert ranks[:2].tolist() == [0, 1]
        assert np.all(np.diff(ranks) > 0)
        assert set(selected.multiplicity[event == number]) == {len(ranks)}


def test_events_without_two_good_leading_jets_are_dropped(
    collisions: Collisions, correction: StandardCorrection, selected: SelectedJets
) -> None:
    rho = collisions.densities.all[collisions.jets.event]
    pt = correction.factor(collisions.jets.pt, collisions.jets.eta, rho, collisions.area) * collisions.jets.pt
    good = (pt > 30) & (np.abs(collisions.jets.eta) < 2.5)
    expected = set()
    for number in range(len(collisions.generated)):
        rows = np.flatnonzero(collisions.jets.event == number)
        leading = rows[np.argsort(-pt[rows])][:2]
        if len(leading) == 2 and good[leading].all():
            expected.add(number)
    assert set(collisions.jets.event[selected.row].tolist()) == expected
    assert len(expected) < len(collisions.generated)


def test_alpha_is_the_third_jets_share(collisions: Collisions, selected: SelectedJets) -> None:
    pt = selected.factor * collisions.jets.pt[selected.row]
    event = collisions.jets.event[selected.row]
    thirds = np.flatnonzero(selected.rank == 2)
    assert len(thirds) > 5
    for row in thirds:
        leading = pt[(event == event[row]) & (selected.rank < 2)]
        assert selected.alpha[row] == pytest.approx(pt[row] / leading.mean(), rel=1e-5)
    assert selected.alpha.min() >= 0
    assert selected.alpha.max() <= 1


def test_the_leading_jets_are_back_to_back(selected: SelectedJets) -> None:
    quiet = selected.alpha < 0.15
    assert np.median(np.abs(selected.delta_phi[quiet])) > 2.9
