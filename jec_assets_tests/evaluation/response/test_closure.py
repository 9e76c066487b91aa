from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrated_jets import CalibratedJets
from jec_assets.evaluation.response.closure import Closure, closure, closure_failures, closure_verdicts
from jec_assets_tests.evaluation.regressions import SIGMA, perfect_regression, scaled, some
from jec_assets_tests.evaluation.synthetic import calibrated_table

JETS = perfect_regression()
DRAWS = Resampling().draws(JETS.event)


def measured(jets: CalibratedJets) -> tuple[Closure, ...]:
    return closure(jets, DRAWS)


def failing_reconstructed(jets: CalibratedJets) -> set[str]:
    return {each.abs_eta.name for each in closure_failures(measured(jets)) if each.binned == "reconstructed"}


def test_a_perfect_regression_passes_in_both_kinds_of_bins():
    (verdict,) = closure_verdicts(measured(JETS))
    assert verdict.outcome == "passed"
    assert verdict.family == "pfn"
    assert verdict.judged > 40


def test_in_generated_bins_a_perfect_regression_is_where_it_is_expected_not_at_1():
    # A spectrum that falls as 1 / pT pulls jets down by s^2 = 0.04 in the logarithm; s is the same everywhere.
    random = np.random.default_rng(5)
    gen_pt = 50 * (random.uniform(size=len(JETS)) * (60**-1.0 - 1) + 1) ** -1.0
    jet_pt = gen_pt * np.exp(random.normal(0, 0.2, len(JETS)))
    jets = replace(JETS, gen_pt=gen_pt, jet_pt=jet_pt, target=np.log(gen_pt / jet_pt))
    perfect = replace(jets, log_factors=jets.log_factors | {"pfn": np.full(len(jets), -(0.2**2))})
    inner = [
        each
        for each in measured(perfect)
        if (each.correction, each.binned, each.pt.name) == ("pfn", "generated", "150-250")
    ]
    assert len(inner) == 2
    for each in inner:
        assert each.ratio.value == pytest.approx(1.04, abs=0.015)
        assert each.expected == pytest.approx(1.04, abs=0.01)
        assert not each.failed


def test_knowing_nothing_closes_in_reconstructed_bins_and_fails_in_generated_ones():
    ignorant = np.log(300) - np.log(JETS.jet_pt)
    jets = replace(JETS, log_factors=JETS.log_factors | {"pfn": ignorant - np.median(ignorant - JETS.target)})
    failures = closure_failures(measured(jets))
    assert {each.binned for each in failures} == {"generated"}


@pytest.mark.parametrize("power", [-4.0, 1.0])
def test_a_network_trained_with_weights_is_off_by_what_they_move_the_median(power: float):
    # Of jets with equal x, weighted by pT_gen^c, the median is where it was predicted.
    target, weight = np.sort(np.random.default_rng(0).normal(0, SIGMA, 100_000)), np.ones(100_000)
    weight *= np.exp(power * target)
    learned = target[np.searchsorted(np.cumsum(weight), weight.sum() / 2)]
    ratios = [
        each.ratio.value
        for each in measured(scaled(JETS, np.exp(learned)))
        if each.gated and each.binned == "reconstructed" and each.ratio.value is not None
    ]
    assert np.median(ratios) == pytest.approx(1 - power * SIGMA**2, abs=0.004)


def test_a_bias_of_3_percent_in_one_bin_of_eta_fails_there_only():
    biased = scaled(JETS, np.where((JETS.abs_eta >= 0.8) & (JETS.abs_eta < 1.3), 1.03, 1.0))
    assert failing_reconstructed(biased) == {"0.8-1.3"}
    (verdict,) = closure_verdicts(measured(biased))
    assert verdict.outcome == "failed"
    assert verdict.failures == closure_failures(measured(biased))
    worst = max(verdict.failures, key=lambda each: abs(each.deviation))
    assert worst.ratio.value == pytest.approx(1 / 1.03, abs=4 * worst.ratio.uncertainty)
    assert worst.allowed >= 0.01


@settings(max_examples=8, deadline=None)
@given(st.floats(0.9, 1.1))
def test_scaling_the_calibrated_pt_scales_the_ratio_in_bins_of_the_true_one(factor: float):
    for before, after in zip(measured(JETS), measured(scaled(JETS, factor)), strict=True):
        if (before.correction, before.binned) == ("pfn", "generated") and before.ratio.value is not None:
            assert after.ratio.value == pytest.approx(before.ratio.value / factor)
            assert after.expected == pytest.approx(before.expected)


def test_the_standard_correction_is_shown_and_not_gated_and_neither_are_low_generated_bins():
    closures = measured(JETS)
    assert not any(each.gated for each in closures if each.correction == "standard")
    assert any(abs(each.deviation or 0) > each.allowed for each in closures if each.correction == "standard")
    low = [each for each in closures if each.binned == "generated" and each.pt.low < 50]
    assert {each.pt.name for each in low} == {"20-30", "30-40", "40-50"}
    assert not any(each.gated for each in low)


def test_few_jets_widen_what_is_allowed_and_very_few_do_not_count():
    jets = scaled(some(JETS, slice(4000)), 1.02)
    closures = closure(jets, DRAWS[:, :4000])
    (verdict,) = closure_verdicts(closures)
    assert verdict.too_few > 0
    few = [each for each in closures if 0 < each.ratio.n < 50]
    assert all(each.ratio.note == f"n = {each.ratio.n}: too few" and not each.failed for each in few)
    assert any(each.allowed == pytest.approx(3 * each.ratio.uncertainty) for each in closures if each.ratio.uncertainty)


@pytest.mark.parametrize("jets", [0, 1])
def test_hardly_any_jets_fail_nothing(jets: int):
    few = CalibratedJets.from_table(calibrated_table(10).head(jets))
    closures = closure(few, Resampling(3).draws(few.event))
    assert all(each.ratio.value is None and each.ratio.note for each in closures)
    assert [(verdict.outcome, verdict.judged) for verdict in closure_verdicts(closures)] == [("not judged", 0)] * 2
