from __future__ import annotations

import numpy as np
import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.serving.units import ENOUGH, UnitsError, check_units

NAMES = ("log_pt", "eta", "phi", "mass")


def jets(pt: float = 80.0, eta: float = 1.0, phi: float = -2.0) -> PackedJets:
    features = np.tile(np.float32([np.log(pt), eta, phi, 10]), (5, 1))
    return PackedJets(np.zeros((5, 2), np.float32), np.arange(6), features)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"pt": 80_000.0}, r"pT of 8e\+04 or more: pT must be in GeV"),
        ({"pt": 0.08}, "pT of 0.08 or less: pT must be in GeV"),
        ({"phi": -90.0}, r"\|phi\| of 90 or more: angles must be in radians"),
        ({"eta": 45.0}, r"\|eta\| of 45 or more: pseudorapidity has no unit"),
    ],
)
def test_other_units_are_told(wrong: dict[str, float], said: str) -> None:
    with pytest.raises(UnitsError, match=said):
        check_units(jets(**wrong), NAMES)


@pytest.mark.parametrize("number", [1, ENOUGH, ENOUGH + 1, 3 * ENOUGH + 1])
def test_of_any_number_of_jets_those_are_looked_at_that_tell(number: int) -> None:
    many = jets().take(np.zeros(number, np.int64))
    check_units(many, NAMES)
    many.jets[number // 3 :, 0] = np.log(80_000)
    with pytest.raises(UnitsError, match="in GeV"):
        check_units(many, NAMES)


def test_possible_jets_and_single_odd_ones_pass() -> None:
    for possible in (jets(), jets(pt=6400), jets(pt=5, phi=6.2), jets().slice(0, 0)):
        check_units(possible, NAMES)
    odd = jets()
    odd.jets[0] = [np.log(1e6), 100, 100, 10]
    odd.jets[1, 3] = np.nan
    check_units(odd, NAMES)
    check_units(jets(pt=1e6), ("girth", "area", "rho", "mass"))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("log_relative_pt", 6.0, "403 times the pT of their jet or more: both must be in GeV"),
        ("delta_phi", -12.0, r"\|delta_phi\| of 12 or more from their jet: angles must be in radians"),
        ("delta_r", 12.0, "angles must be in radians"),
    ],
)
def test_other_units_of_particles_are_told(name: str, value: float, said: str) -> None:
    particles = np.tile(np.float32([-1, 0.1]), (5, 1))
    possible = PackedJets(particles, np.arange(6), jets().jets)
    check_units(possible, NAMES, (name, "delta_eta"))
    possible.particles[:3, 0] = value
    with pytest.raises(UnitsError, match=said):
        check_units(possible, NAMES, (name, "delta_eta"))
