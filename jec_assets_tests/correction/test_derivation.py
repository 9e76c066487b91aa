from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from jec_assets.correction import Binning, TooFewJetsError, derive
from jec_assets.correction.derivation import join_matched_jets, offset_slope, response_curve
from jec_assets_tests.correction.toy_response import OFFSET, toy_matched_jets

BINNING = Binning(response_edges=(0.0, 1.3, 3.5), offset_edges=(0.0, 1.3, 3.5))


def test_the_offset_of_the_toy_is_found() -> None:
    slopes = [derive(toy_matched_jets(40_000, seed), BINNING).offset_slopes for seed in range(10)]
    np.testing.assert_allclose(np.mean(slopes, axis=0), OFFSET, atol=0.02)


def test_the_correction_closes_on_other_jets() -> None:
    correction = derive(toy_matched_jets(40_000, seed=1), BINNING)
    jets = toy_matched_jets(40_000, seed=2)
    response = correction.factor(jets.raw_pt, jets.eta, jets.rho, jets.area) * jets.raw_pt / jets.gen_pt
    for barrel in (True, False):
        for low, high in ((50, 100), (100, 400), (400, 3000)):
            chosen = (jets.gen_pt >= low) & (jets.gen_pt < high) & ((np.abs(jets.eta) < 1.3) == barrel)
            assert np.median(response[chosen]) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("resolution", [0.0, 0.1])
def test_the_response_is_inverted_whatever_the_spectrum_and_the_resolution(resolution: float) -> None:
    """At R(g) g the factor is 1 / R(g): g comes out, also where the spectrum falls and the response rises steeply."""

    def response(gen_pt: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1 - 0.9 * gen_pt**-0.35

    jets = toy_matched_jets(400_000, falls_with=1.5)
    smear = 1 + resolution * np.random.default_rng(3).standard_normal(len(jets))
    curve = response_curve(jets.gen_pt * response(jets.gen_pt) * smear, jets.gen_pt, BINNING, "all")
    gen_pt = np.geomspace(40, 700, 50)
    pt = gen_pt * response(gen_pt)
    np.testing.assert_allclose(curve(pt) * pt, gen_pt, rtol=0.002 + 0.1 * resolution)


def test_bins_without_enough_jets_are_joined_with_their_neighbors() -> None:
    jets = toy_matched_jets(40_000)
    central = jets.take(np.abs(jets.eta) < 2.0)
    binning = Binning().joined_for(central)
    assert binning.offset_edges == (0.0, 1.3, 5.2)
    assert binning.response_edges == (0.0, 0.7, 1.3, 1.5, 1.7, 5.2)
    assert derive(central, binning).response_edges == binning.response_edges
    assert Binning().joined_for(central.take(np.arange(len(central)) < 30)).offset_edges == (0.0, 5.2)
    assert BINNING.joined_for(jets) == BINNING


def test_equal_jets_give_one_point() -> None:
    jets = toy_matched_jets(2_000)
    same = dataclasses.replace(jets, gen_pt=np.full(2_000, 60.0), raw_pt=np.full(2_000, 50.0) + 0.1 * jets.rho)
    curve = response_curve(same.raw_pt, same.gen_pt, BINNING, "all")
    assert len(curve.pts) == 1


def test_the_correction_takes_pileup_out() -> None:
    correction = derive(toy_matched_jets(40_000, seed=1), BINNING)
    jets = toy_matched_jets(40_000, seed=2)
    jets = jets.take((jets.gen_pt > 60) & (jets.gen_pt < 120))
    response = correction.factor(jets.raw_pt, jets.eta, jets.rho, jets.area) * jets.raw_pt / jets.gen_pt
    quiet, busy = np.median(response[jets.rho < 8]), np.median(response[jets.rho > 19])
    assert quiet == pytest.approx(busy, abs=0.012)
    raw = jets.raw_pt / jets.gen_pt
    assert np.median(raw[jets.rho > 19]) - np.median(raw[jets.rho < 8]) > 0.02


@pytest.mark.parametrize("rho", [0.0, 0.1])
def test_without_pileup_or_with_the_same_for_all_there_is_no_offset_to_take_out(rho: float) -> None:
    jets = toy_matched_jets(5_000)
    alike = dataclasses.replace(
        jets, rho=np.full(5_000, rho), area=np.full(5_000, 0.3), raw_pt=jets.raw_pt - OFFSET * jets.rho * jets.area
    )
    correction = derive(alike, BINNING)
    assert correction.offset_slopes == (0.0, 0.0)
    hard = alike.take(alike.gen_pt > 50)
    response = correction.factor(hard.raw_pt, hard.eta, hard.rho, hard.area) * hard.raw_pt / hard.gen_pt
    assert np.median(response) == pytest.approx(1, abs=0.01)


def test_raw_momenta_that_do_not_vary_show_no_offset() -> None:
    jets = toy_matched_jets(5_000)
    assert offset_slope(dataclasses.replace(jets, raw_pt=np.full(5_000, 50.0)), BINNING, "all") == 0


def test_the_order_of_the_jets_does_not_matter() -> None:
    jets = toy_matched_jets(3_000)
    back = jets.take(np.arange(len(jets))[::-1])
    assert derive(back, BINNING).response == derive(jets, BINNING).response


def test_merged_soft_and_distant_jets_take_no_part() -> None:
    jets = toy_matched_jets(3_000)
    far = dataclasses.replace(jets, delta_r=np.full(len(jets), 0.3), raw_pt=jets.raw_pt * 3)
    soft = dataclasses.replace(jets, raw_pt=np.full(len(jets), 15.0))
    assert derive(join_matched_jets([jets, far, soft]), BINNING) == derive(jets, BINNING)


def test_points_rise_with_the_number_of_jets_up_to_a_limit() -> None:
    def points(count: int) -> int:
        return len(derive(toy_matched_jets(count), BINNING).response[0].pts)

    assert 1 == points(1_000) < points(5_000) < points(100_000) == BINNING.points


@pytest.mark.parametrize("count", [0, 40])
def test_an_empty_bin_is_named(count: int) -> None:
    with pytest.raises(TooFewJetsError, match=r"needs \d+ jets with .*\|eta\| < 1.3, and there are \d+: give"):
        derive(toy_matched_jets(count), BINNING)
