from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jec_assets.evaluation.bootstrap import (
    Resampling,
    WeightError,
    effective_number,
    improvement,
    means,
    quantiles,
    quotient,
    share,
)
from jec_assets.evaluation.number import Number
from jec_assets.evaluation.responses import median_response

VALUES = arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e3, 1e3))


def alone(jets: int) -> np.ndarray:
    return np.arange(jets, dtype=np.uint64)


def told_by(draws: np.ndarray) -> int:
    """How many rows tell something: the first alone where no resample tells one jet from another."""
    return 1 if (draws == draws[:, :1]).all() else len(draws)


def test_the_first_row_is_the_sample_itself():
    draws = Resampling(5, 3).draws(alone(100))
    assert draws.shape == (6, 100)
    assert (draws[0] == 1).all()
    assert (draws[1:].sum(axis=1) == 100).all()


def test_jets_of_an_event_are_drawn_together():
    events = np.repeat(alone(50), 3)
    draws = Resampling(10, 1).draws(events)
    assert (draws.reshape(11, 50, 3) == draws[:, ::3, None]).all()


def test_the_draw_depends_on_seed_and_events_not_on_the_order_of_jets():
    events = np.array([7, 3, 3, 9, 1], np.uint64)
    order = np.array([4, 2, 0, 3, 1])
    drawn = Resampling(20, 1).draws(events)
    assert (Resampling(20, 1).draws(events) == drawn).all()
    assert (Resampling(20, 1).draws(events[order]) == drawn[:, order]).all()
    assert (Resampling(20, 2).draws(events) != drawn).any()


@settings(deadline=None)
@given(VALUES, st.integers(0, 100))
def test_quantiles_and_means_are_those_of_the_resample_written_out(values: np.ndarray, seed: int):
    draws = Resampling(4, seed).draws(alone(len(values)) // np.uint64(2))
    probabilities = (0.0, 0.25, 0.5, 0.9, 1.0)
    found = quantiles(values, draws, probabilities)
    told = told_by(draws)
    for row, mean, counts in zip(found[:told], means(values, draws)[:told], draws, strict=False):
        written_out = np.repeat(values, counts)
        if len(written_out):
            np.testing.assert_allclose(row, np.quantile(written_out, probabilities), rtol=1e-12, atol=1e-9)
            np.testing.assert_allclose(mean, written_out.mean(), rtol=1e-12, atol=1e-9)
        else:
            assert np.isnan(row).all()
            assert np.isnan(mean)


@settings(deadline=None)
@given(st.floats(0.1, 10), st.integers(2, 200))
def test_bootstrap_of_a_constant_is_0(constant: float, jets: int):
    number = median_response(np.full(jets, constant), Resampling().draws(alone(jets)))
    assert number.value == constant
    assert number.uncertainty == pytest.approx(0, abs=1e-14)


@settings(deadline=None)
@given(arrays(np.float64, st.integers(2, 9), elements=st.floats(0.5, 2)), st.booleans())
def test_jets_of_one_event_have_no_uncertainty_whatever_their_number(values: np.ndarray, weighted: bool):
    events = np.concatenate([np.zeros(len(values), np.uint64), 1 + alone(100)])
    draws = Resampling().draws(events)[:, : len(values)]
    weight = np.arange(1.0, 1 + len(values)) if weighted else None
    for statistic in (means(values, draws, weight), *quantiles(values, draws, (0.25, 0.5, 0.75), weight).T):
        number = Number.of(statistic, len(values))
        assert number.value == pytest.approx(statistic[0])
        assert (number.uncertainty, number.note) == (None, f"n = {len(values)}: too few events")


def test_jets_of_one_event_with_others_that_weigh_nothing_have_no_uncertainty():
    draws = Resampling().draws(alone(4))
    values, weight = np.array([0.9, 1.0, 1.1, 1.2]), np.array([0.0, 2.0, 0.0, 0.0])
    assert median_response(values, draws, weight) == Number(1.0, None, 4, "n = 4: too few events")


def test_what_is_computed_from_jets_of_one_event_has_no_uncertainty():
    draws = Resampling().draws(np.array([0, 0, 0, *range(1, 40)], np.uint64))
    values = np.random.default_rng(0).normal(1, 0.1, 42)
    alone_moved = quantiles(values[:3], draws[:, :3], (0.5,))[:, 0] - quantiles(values[3:], draws[:, 3:], (0.5,))[:, 0]
    assert Number.of(alone_moved, 3).uncertainty is None


@settings(deadline=None)
@given(st.integers(2, 200), st.booleans())
def test_a_share_of_all_or_none_of_the_jets_is_counted(jets: int, chosen: bool):
    number = share(np.full(jets, chosen), Resampling().draws(alone(jets)), np.full(jets, 0.1))
    assert number == Number(float(chosen), None, jets, f"{jets if chosen else 0} of {jets}")


def test_other_shares_have_the_uncertainty_of_a_binomial_distribution():
    jets = 4000
    number = share(alone(jets) % 4 == 0, Resampling(200, 1).draws(alone(jets)))
    assert number.value == 0.25
    assert number.uncertainty == pytest.approx(np.sqrt(0.25 * 0.75 / jets), rel=0.2)


def test_shares_of_hardly_any_jets():
    draws = Resampling().draws(alone(1))
    assert share(np.ones(1, bool), draws) == Number(1.0, None, 1, "n = 1")
    assert share(np.ones(0, bool), draws[:, :0]).note == "no jets"


def test_the_median_of_a_normal_sample_gets_its_known_uncertainty():
    jets = 5000
    values = np.random.default_rng(0).normal(1, 0.1, jets)
    number = median_response(values, Resampling(300, 1).draws(alone(jets)))
    assert number.uncertainty == pytest.approx(0.1 * np.sqrt(np.pi / 2 / jets), rel=0.2)


def test_no_jets_give_no_number():
    draws = Resampling().draws(alone(0))
    assert draws.shape == (31, 0)
    assert median_response(np.zeros(0), draws) == Number(None, None, 0, "no jets")


def test_paired_resamples_cancel_what_model_and_baseline_share():
    jets = 2000
    baseline = np.random.default_rng(0).exponential(1, jets)
    draws = Resampling(50, 1).draws(alone(jets))
    rows = means(baseline, draws)
    number = improvement(0.9 * rows, rows, jets)
    assert number.value == pytest.approx(0.1)
    assert number.uncertainty == pytest.approx(0, abs=1e-12)


def test_improvement_over_0_is_missing_with_the_reason():
    zeros = np.zeros(4)
    assert improvement(zeros, zeros, 9) == Number(None, None, 9, "the baseline is 0")
    assert improvement(zeros, zeros, 0) == Number(None, None, 0, "no jets")


def test_quotient_is_nan_where_it_is_undefined_without_a_warning():
    found = quotient(np.array([1.0, 1.0, np.nan, 2.0]), np.array([0.0, np.nan, 1.0, 4.0]))
    np.testing.assert_array_equal(found, [np.nan, np.nan, np.nan, 0.5])


WEIGHTED = st.integers(1, 40).flatmap(
    lambda jets: st.tuples(
        arrays(np.float64, jets, elements=st.floats(-1e3, 1e3)),
        arrays(np.float64, jets, elements=st.integers(0, 9).map(float)),
    )
)


@settings(deadline=None)
@given(WEIGHTED, st.integers(0, 100))
def test_weighted_quantiles_and_means_are_those_of_the_resample_written_out(
    sample: tuple[np.ndarray, np.ndarray], seed: int
):
    values, weight = sample
    draws = Resampling(4, seed).draws(alone(len(values)))
    probabilities = (0.0, 0.25, 0.5, 0.9, 1.0)
    found = quantiles(values, draws, probabilities, weight)
    told = told_by(draws[:, weight > 0]) if weight.any() else len(draws)
    for row, mean, counts in zip(found[:told], means(values, draws, weight)[:told], draws, strict=False):
        kept = np.repeat(np.arange(len(values)), counts * (weight > 0))
        ranked = kept[np.argsort(values[kept], kind="stable")]
        if len(ranked):
            middles = np.cumsum(weight[ranked]) - weight[ranked] / 2
            places = middles[0] + np.array(probabilities) * (middles[-1] - middles[0])
            np.testing.assert_allclose(row, np.interp(places, middles, values[ranked]), rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(mean, np.average(values[kept], weights=weight[kept]), rtol=1e-9, atol=1e-9)
        else:
            assert np.isnan(row).all()
            assert np.isnan(mean)


@settings(deadline=None)
@given(WEIGHTED)
def test_an_integer_weight_is_as_many_jets_up_to_the_distance_to_the_next_jet(sample: tuple[np.ndarray, np.ndarray]):
    values, weight = sample
    written_out = np.sort(np.repeat(values, weight.astype(int)))
    if len(written_out) == 0:
        return
    once = np.unique(values[weight > 0])
    found = quantiles(values, np.ones((1, len(values)), np.uint8), (0.5,), weight)[0, 0]
    expected = np.quantile(written_out, 0.5)
    between = np.count_nonzero((once > min(found, expected)) & (once < max(found, expected)))
    assert between <= 1


@settings(deadline=None)
@given(VALUES, st.floats(1e-9, 1e9))
def test_equal_weights_are_none(values: np.ndarray, weight: float):
    draws = Resampling(4, 1).draws(alone(len(values)))
    equal = np.full(len(values), weight)
    np.testing.assert_allclose(
        quantiles(values, draws, (0.25, 0.5, 0.75), equal),
        quantiles(values, draws, (0.25, 0.5, 0.75)),
        rtol=1e-9,
        atol=1e-9,
    )
    np.testing.assert_allclose(means(values, draws, equal), means(values, draws), rtol=1e-9, atol=1e-9)


def test_a_negative_weight_is_refused_by_name():
    draws = np.ones((1, 2), np.uint8)
    with pytest.raises(WeightError, match="1 of 2 jets have a negative weight"):
        quantiles(np.zeros(2), draws, (0.5,), np.array([1.0, -1.0]))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 1000), st.integers(0, 10_000), st.floats(0, 1), st.integers(1, 200))
def test_many_jets_of_few_events_leave_long_gaps_in_a_resample(jets: int, seed: int, probability: float, per: int):
    # Whole blocks of the sorted jets are missing from some resamples here.
    values = np.arange(jets, dtype=np.float64)
    weight = np.random.default_rng(seed).exponential(1, jets) ** 3
    draws = Resampling(4, seed).draws(alone(jets) // np.uint64(per))
    plain, weighted = (quantiles(values, draws, (probability,), each)[:, 0] for each in (None, weight))
    told = told_by(draws)
    for found, found_weighted, counts in zip(plain[:told], weighted[:told], draws, strict=False):
        kept = np.repeat(np.arange(jets), counts)
        middles = np.cumsum(weight[kept]) - weight[kept] / 2
        place = middles[0] + probability * (middles[-1] - middles[0])
        assert found == pytest.approx(np.quantile(values[kept], probability), rel=1e-9, abs=1e-9)
        assert found_weighted == pytest.approx(np.interp(place, middles, values[kept]), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("jets", [63, 64, 65, 128, 129])
def test_blocks_filled_to_the_last_jet_are_like_others(jets: int):
    values = np.random.default_rng(jets).normal(size=jets)
    draws = Resampling(10, 1).draws(alone(jets))
    expected = [np.quantile(np.repeat(values, counts), (0, 0.3, 1)) for counts in draws]
    np.testing.assert_allclose(quantiles(values, draws, (0, 0.3, 1)), expected, rtol=1e-12)


def test_jets_that_weigh_nothing_are_no_jets():
    draws = Resampling(3).draws(alone(5))
    assert np.isnan(quantiles(np.arange(5.0), draws, (0.5,), np.zeros(5))).all()
    assert np.isnan(means(np.arange(5.0), draws, np.zeros(5))).all()


@settings(deadline=None)
@given(st.integers(0, 50), st.floats(1e-6, 1e6))
def test_equal_jets_are_as_many_as_they_are(jets: int, weight: float):
    assert effective_number(jets) == jets
    assert effective_number(jets, np.full(jets, weight)) == pytest.approx(jets)


def test_one_heavy_jet_is_hardly_more_than_one():
    assert effective_number(5, np.array([1000.0, 1, 1, 1, 0])) == pytest.approx(1003**2 / 1_000_003)
    assert effective_number(3, np.zeros(3)) == 0
