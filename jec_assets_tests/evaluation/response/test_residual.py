from __future__ import annotations

import json

import correctionlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrated_jets import CalibratedJets
from jec_assets.evaluation.response.closure import closure, closure_failures
from jec_assets.evaluation.response.residual import (
    JETS_PER_POINT,
    LOWEST_PT,
    MOST_POINTS,
    derive_residuals,
    with_residuals,
)
from jec_assets.evaluation.response.residual_export import residuals_json
from jec_assets.evaluation.responses import calibrated_pt
from jec_assets.settings import Settings
from jec_assets_tests.evaluation.regressions import SIGMA, perfect_regression, scaled, some
from jec_assets_tests.evaluation.synthetic import calibrated_table

VALIDATION, TEST = perfect_regression(seed=4), perfect_regression(seed=3)
DRAWS = Resampling().draws(TEST.event)


def biased(jets: CalibratedJets) -> CalibratedJets:
    return scaled(jets, 1 + 0.04 * jets.abs_eta / 2.5 - 0.02 * np.log(jets.jet_pt / 300))


def test_it_closes_what_did_not():
    before = closure(biased(TEST), DRAWS)
    residuals = derive_residuals(biased(VALIDATION))
    after = closure(with_residuals(biased(TEST), residuals), DRAWS)
    assert len(closure_failures(before)) > 10
    assert [each for each in closure_failures(after) if each.binned == "reconstructed"] == []


@settings(max_examples=5, deadline=None)
@given(st.floats(0.8, 1.25))
def test_it_undoes_a_scale(factor: float):
    (residual,) = derive_residuals(scaled(VALIDATION, factor)).values()
    cal_pt = np.array([100.0, 1000.0])
    assert residual.factor(cal_pt, np.array([0.3, 2.0])) == pytest.approx(1 / factor, rel=0.02)


def test_it_touches_neither_the_standard_correction_nor_the_jets_handed_in():
    before = TEST.log_factors["pfn"].copy()
    corrected = with_residuals(TEST, derive_residuals(biased(VALIDATION)))
    assert corrected.corrections == TEST.corrections
    np.testing.assert_array_equal(corrected.log_factors["standard"], 0)
    np.testing.assert_array_equal(TEST.log_factors["pfn"], before)
    assert np.abs(corrected.log_factors["pfn"] - before).max() > 0.01


def test_beyond_its_points_it_is_held_and_says_so():
    (residual,) = derive_residuals(VALIDATION).values()
    first, last = residual.curves[0].pts[0], residual.curves[0].pts[-1]
    pts, eta = np.array([1.0, first, 200.0, last, 6000.0, 200.0]), np.array([0.1] * 5 + [3.0])
    np.testing.assert_array_equal(residual.held(pts, eta), [True, False, False, False, True, True])
    factors = residual.factor(pts, eta)
    assert factors[0] == factors[1]
    assert factors[3] == factors[4]


def test_at_the_default_caps_its_points_cover_most_jets_and_are_sure():
    """s is 10 % here, and 12 % at most in earnest, where the points are to be known to 2 %."""
    jets = Settings().max_validation_jets or 0
    residuals = [derive_residuals(perfect_regression(jets, seed))["pfn"] for seed in range(5, 9)]
    cal_pt = calibrated_pt(TEST.jet_pt, TEST.log_factors["pfn"])
    beyond = np.array([each.held(cal_pt, TEST.abs_eta) for each in residuals])
    assert beyond[:, cal_pt >= LOWEST_PT].mean() < 0.15
    sparse = [curve.factors for each in residuals for curve in each.curves if len(curve.pts) < MOST_POINTS]
    factors = np.concatenate(sparse)
    assert len(factors) > 4 * len(residuals)
    assert np.sqrt(np.mean((factors - 1) ** 2)) < 0.02 * SIGMA / 0.12


def test_too_few_jets_correct_nothing():
    (residual,) = derive_residuals(some(VALIDATION, slice(JETS_PER_POINT))).values()
    pts = np.array([50.0, 500.0])
    np.testing.assert_array_equal(residual.factor(pts, np.array([0.1, 2.0])), 1)
    assert residual.held(pts, np.array([0.1, 2.0])).all()
    nothing = CalibratedJets.from_table(calibrated_table(5).clear())
    assert [each.curves for each in derive_residuals(nothing).values()] == [residual.curves] * 2


def test_correctionlib_gives_the_same_factors():
    residuals = derive_residuals(biased(VALIDATION))
    text = residuals_json(residuals, "a toy")
    evaluator = correctionlib.CorrectionSet.from_string(text)
    cal_pt = np.concatenate([calibrated_pt(TEST.jet_pt, TEST.log_factors["pfn"]), residuals["pfn"].curves[1].pts])
    eta = np.concatenate(
        [TEST.abs_eta * np.where(np.arange(len(TEST)) % 2, 1, -1.1), np.full(len(cal_pt) - len(TEST), 1.0)]
    )
    theirs = evaluator["pfn"].evaluate(cal_pt, eta)
    np.testing.assert_allclose(theirs, residuals["pfn"].factor(cal_pt, np.abs(eta)), rtol=1e-6)
    assert json.loads(text)["description"] == "a toy"
    assert residuals_json(residuals, "a toy") == text
