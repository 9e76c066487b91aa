from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrated_jets import STANDARD, CalibratedJets
from jec_assets.evaluation.loss import compare_losses, jet_losses, losses_in_intervals
from jec_assets.evaluation.number import Number
from jec_assets_tests.evaluation.synthetic import calibrated_table

TARGET = np.array([0.1, -0.2, 1.0, -1.5, 0.4])
PREDICTION = np.array([0.2, -0.2, 0.5, 0.0, 0.1])
ONCE = Resampling(10, 1).draws(np.arange(5, dtype=np.uint64))


def test_jets_outside_carry_no_loss_and_count_in_the_mean():
    np.testing.assert_allclose(jet_losses(TARGET, PREDICTION), [0.1, 0.0, 0.0, 0.0, 0.3])
    (comparison,) = compare_losses(TARGET, {"pfn": PREDICTION}, (), ONCE)
    assert comparison.loss.value == pytest.approx(0.4 / 5)


@settings(deadline=None)
@given(
    arrays(np.float32, 20, elements=st.floats(-1.5, 1.5, width=32)),
    arrays(np.float32, 20, elements=st.floats(-1, 1, width=32)),
)
def test_the_loss_is_the_one_that_networks_are_trained_with(target: np.ndarray, prediction: np.ndarray):
    import torch

    from jec_assets.training.losses import calibration_loss

    trained = calibration_loss(torch.from_numpy(prediction), torch.from_numpy(target)).item()
    assert jet_losses(target, prediction).mean() == pytest.approx(trained, abs=1e-6)


def test_gain_and_below_are_relative_to_model_and_baseline():
    factors = {"standard": np.zeros(5), "pfn": PREDICTION}
    standard, network = compare_losses(TARGET, factors, ("standard",), ONCE)
    assert standard.loss.value == pytest.approx(0.7 / 5)
    assert network.gain["standard"].value == pytest.approx((0.7 - 0.4) / 0.4)
    assert network.below["standard"].value == pytest.approx((0.7 - 0.4) / 0.7)
    assert standard.gain["standard"].value == 0
    assert standard.below["standard"] == Number(0.0, 0.0, 5)


def test_perfect_predictions_have_no_gain_in_numbers():
    factors = {"standard": np.zeros(5), "pfn": TARGET}
    _, network = compare_losses(TARGET, factors, ("standard",), ONCE)
    assert network.loss.value == 0
    assert network.gain["standard"].value is None
    assert network.below["standard"].value == pytest.approx(1)


def test_no_jets():
    nothing = np.zeros(0)
    draws = Resampling().draws(nothing.astype(np.uint64))
    (comparison,) = compare_losses(nothing, {"standard": nothing}, ("standard",), draws)
    assert comparison.loss.note == comparison.gain["standard"].note == comparison.below["standard"].note == "no jets"


def test_weights_count_jets_as_often():
    factors = {"standard": np.zeros(5), "pfn": PREDICTION}
    weight = np.array([2.0, 1, 0, 0, 1])
    standard, network = compare_losses(TARGET, factors, ("standard",), ONCE, weight)
    assert standard.loss.value == pytest.approx((2 * 0.1 + 0.2 + 0.4) / 4)
    assert network.loss.value == pytest.approx((2 * 0.1 + 0.0 + 0.3) / 4)
    assert standard.effective_jets == pytest.approx(16 / 6)
    assert compare_losses(TARGET, factors, ("standard",), ONCE)[0].effective_jets == 5


def test_losses_of_intervals_add_up_to_that_of_their_jets():
    jets = CalibratedJets.from_table(calibrated_table(3000))
    draws = Resampling(3).draws(jets.event)
    results = losses_in_intervals(jets, jets.log_factors, (STANDARD,), draws)
    assert len(results) == 2 * 5
    for group in results:
        chosen = group.region.contains(jets.abs_gen_eta) & group.interval.contains(jets.gen_pt)
        expected = jet_losses(jets.target[chosen], jets.log_factors["pfn"][chosen]).mean()
        (pfn,) = (each for each in group.losses if each.correction == "pfn")
        assert pfn.loss.value == pytest.approx(expected)
        assert pfn.loss.n == chosen.sum()
    by_name = {(group.region.name, group.interval.name): group.losses[1].loss.n for group in results}
    assert by_name["barrel", ">30"] == sum(n for (region, name), n in by_name.items() if region == "barrel") / 2


def test_weights_count_in_the_losses_of_intervals():
    jets = CalibratedJets.from_table(calibrated_table(3000))
    draws = Resampling(3).draws(jets.event)
    plain, weighted = (
        losses_in_intervals(each, jets.log_factors, (STANDARD,), draws) for each in (jets, jets.weighted_by_event())
    )
    for group, before in zip(weighted, plain, strict=True):
        chosen = group.region.contains(jets.abs_gen_eta) & group.interval.contains(jets.gen_pt)
        lost = jet_losses(jets.target[chosen], jets.log_factors["pfn"][chosen])
        pfn = group.losses[1]
        assert pfn.loss.value == pytest.approx(np.average(lost, weights=jets.event_weight[chosen]))
        assert pfn.loss.value != before.losses[1].loss.value
        assert pfn.gain[STANDARD].value == pytest.approx(group.losses[0].loss.value / pfn.loss.value - 1)
        assert pfn.effective_jets < before.losses[1].effective_jets == chosen.sum()


def test_an_interval_without_jets_says_so():
    jets = CalibratedJets.from_table(calibrated_table(40).filter(pl.col("genJetPt") < 30))
    results = losses_in_intervals(jets, jets.log_factors, (STANDARD,), Resampling(3).draws(jets.event))
    assert {each.loss.note for group in results for each in group.losses} == {"no jets"}
    assert {each.gain[STANDARD].note for group in results for each in group.losses} == {"no jets"}
