from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrated_jets import CalibratedJets
from jec_assets.evaluation.response.tails import GAUSSIAN_SHARE, Tails, tails
from jec_assets_tests.evaluation.regressions import perfect_regression, scaled
from jec_assets_tests.evaluation.synthetic import calibrated_table

EDGES = (60.0, 2000.0)
JETS = perfect_regression()
DRAWS = Resampling().draws(JETS.event)


def barrel(jets: CalibratedJets) -> Tails:
    return next(each for each in tails(jets, DRAWS, EDGES) if each.correction == "pfn")


def test_shares_by_hand():
    each = barrel(JETS)
    responses = JETS.responses("pfn")[(JETS.abs_gen_eta < 1.3) & (JETS.gen_pt >= 60) & (JETS.gen_pt < 2000)]
    assert each.below.value == pytest.approx(np.mean(responses < 0.7))
    assert each.above.value == pytest.approx(np.mean(responses > 1.3))
    assert each.below.n == len(responses)
    assert each.above.uncertainty == pytest.approx(np.sqrt(each.above.value / len(responses)), rel=0.5)


def test_a_gaussian_logarithm_has_few_jets_beyond_three_widths():
    each = barrel(JETS)
    assert GAUSSIAN_SHARE / 2 < each.far.value < 3 * GAUSSIAN_SHARE


@settings(max_examples=8, deadline=None)
@given(st.floats(0.8, 1.2))
def test_scaling_moves_jets_across_fixed_limits_and_not_across_relative_ones(factor: float):
    before, after = barrel(JETS), barrel(scaled(JETS, factor))
    assert after.far.value == pytest.approx(before.far.value, abs=2 / before.far.n)
    assert (after.above.value >= before.above.value) == (factor >= 1) or after.above.value == before.above.value


@pytest.mark.parametrize(("jets", "note"), [(0, "no jets"), (1, "n = 1")])
def test_hardly_any_jets_are_told(jets: int, note: str):
    table = calibrated_table(200).filter((np.abs(calibrated_table(200)["genJetEta"].to_numpy()) < 1.3).tolist())
    few = CalibratedJets.from_table(table.head(jets))
    each = tails(few, Resampling(3).draws(few.event), (20.0, 6500.0))[0]
    assert (each.below.note, each.far.note) == (note, note)


def test_equal_responses_have_no_width():
    same = replace(JETS, jet_pt=JETS.gen_pt, log_factors={"standard": np.zeros(len(JETS)), "pfn": np.zeros(len(JETS))})
    each = barrel(same)
    assert each.below.value == each.above.value == 0
    assert (each.below.uncertainty, each.below.note) == (None, f"0 of {each.below.n}")
    assert each.far.note == "the width is 0"
