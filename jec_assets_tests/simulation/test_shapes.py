from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jec_assets.simulation.shapes import shapes
from jec_assets_tests.simulation.builders import candidates, jets

MIXED = candidates([211, -211, 22, 130, 11, -13], [20, 10, 8, 5, 4, 3], [0.1, 0, -0.1, 0.05, 0, 0], 0.0)


def test_multiplicities_add_up() -> None:
    found = shapes(MIXED, jets(0.0, 0.0, counts=6))
    counted = {name: int(values[0]) for name, values in found.items() if name.endswith("Mult")}
    assert counted == {
        "jetChargedHadronMult": 2,
        "jetNeutralHadronMult": 1,
        "jetChargedMult": 4,
        "jetNeutralMult": 2,
        "jetMult": 6,
    }


@given(st.floats(0.1, 100))
def test_shapes_do_not_depend_on_the_scale_of_hard_jets(scale: float) -> None:
    pt = np.array([20.0, 10.0, 8.0, 5.0]) * 20
    one, other = (
        shapes(
            candidates([211, 211, 22, 130], pt * factor, [0.1, 0, -0.1, 0.2], [0, 0.2, 0.1, 0]),
            jets(0, 0, 860 * factor, 4),
        )
        for factor in (1, scale)
    )
    for name in ("QG_ptD", "QG_axis2", "jetGirth"):
        assert one[name][0] == pytest.approx(other[name][0], rel=1e-3)


def test_a_single_constituent_is_a_point() -> None:
    found = shapes(candidates(211, 50.0, 0.0), jets(0.0, 0.0, counts=1))
    assert found["QG_ptD"][0] == pytest.approx(1)
    assert found["QG_axis2"][0] == found["jetGirth"][0] == 0
    assert found["jetLooseID"][0] == 0


def test_constituents_on_a_line_have_no_minor_axis() -> None:
    eta = np.array([-0.2, -0.1, 0.1, 0.2])
    found = shapes(candidates(np.full(4, 211), 10.0, eta, 2 * eta / 3), jets(0.0, 0.0, counts=4))
    assert found["QG_axis2"][0] == pytest.approx(0, abs=1e-3)


def test_the_minor_axis_of_a_cross_is_its_shorter_arm() -> None:
    found = shapes(candidates(np.full(4, 211), 10.0, [0.3, -0.3, 0, 0], [0, 0, 0.1, -0.1]), jets(0.0, 0.0, counts=4))
    assert found["QG_axis2"][0] == pytest.approx(0.1 / np.sqrt(2), rel=1e-5)


def test_quark_gluon_variables_leave_out_pileup_and_soft_neutrals() -> None:
    everything = candidates([211, 211, 22, 22], [10, 10, 2, 0.9], 0.0, 0.0, [3, 1, 1, 1])
    found = shapes(everything, jets(0.0, 0.0, counts=4))
    assert found["QG_mult"][0] == 2
    assert found["QG_ptD"][0] == pytest.approx(np.sqrt(104) / 12)


def test_a_jet_of_soft_neutrals_only_has_finite_shapes() -> None:
    found = shapes(candidates([22, 22], 0.5, 0.0), jets(0.0, 0.0, counts=2))
    assert all(np.all(np.isfinite(values)) for values in found.values())


@pytest.mark.parametrize(
    ("pdg", "loose", "tight"),
    [([211, 22, 130], 1, 1), ([22, 22, 22], 0, 0), ([130, 130, 130], 0, 0), ([11, 11, 11], 0, 0)],
)
def test_identification(pdg: list[int], loose: int, tight: int) -> None:
    found = shapes(candidates(pdg, 20.0, 0.0), jets(0.0, 0.0, counts=3))
    assert (found["jetLooseID"][0], found["jetTightID"][0]) == (loose, tight)
