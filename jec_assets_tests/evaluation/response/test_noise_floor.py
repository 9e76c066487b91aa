from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jec_assets.evaluation.bins import INCLUSIVE
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrated_jets import CalibratedJets
from jec_assets.evaluation.response.flavor import flavor_dependence, sum_of_absolute_errors
from jec_assets.evaluation.response.noise_floor import SHUFFLES, shuffled_medians
from jec_assets.evaluation.sample import Sample
from jec_assets_tests.evaluation.synthetic import calibrated_table


def sample(responses: np.ndarray, weight: np.ndarray | None = None) -> Sample:
    jets = len(responses)
    return Sample({"standard": responses}, np.full(jets, 100.0), np.ones((1, jets), np.uint8), weight)


def test_each_shuffle_gives_every_jet_one_flavor():
    # With a flavor for each jet, a shuffle's medians are the responses themselves in another order.
    responses = np.arange(1.0, 7)
    medians = shuffled_medians(sample(responses), (1,) * 6, seed=1)["standard"]
    assert medians.shape == (SHUFFLES, 6)
    assert all(sorted(each) == list(responses) for each in medians)
    assert len({tuple(each) for each in medians}) > 1


def test_flavors_keep_their_numbers_of_jets():
    # Of two flavors with 1 and 4 jets, the median of the larger one tells which jet the smaller one got.
    medians = shuffled_medians(sample(np.arange(5.0)), (1, 4), seed=1)["standard"]
    for single, others in medians:
        assert others == np.median(np.delete(np.arange(5.0), int(single)))


def test_jets_that_weigh_nothing_belong_to_no_flavor():
    weight = np.array([1.0, 1, 1, 0])
    medians = shuffled_medians(sample(np.array([1.0, 1, 1, 99]), weight), (2, 2), seed=1)["standard"]
    assert (medians == 1).all()


@settings(max_examples=5, deadline=None)
@given(st.floats(0.5, 2))
def test_identical_responses_have_a_floor_of_0(response: float):
    medians = shuffled_medians(sample(np.full(60, response)), (10,) * 6, seed=1)["standard"]
    assert sum_of_absolute_errors(medians) == pytest.approx(0, abs=1e-12)


def test_the_floor_is_what_jets_without_flavor_dependence_have():
    jets, flavors = 600, 6
    random = np.random.default_rng(2)
    fresh = np.median(random.normal(1, 0.1, (400, flavors, jets)), axis=-1)
    expected = sum_of_absolute_errors(fresh)
    floor = sum_of_absolute_errors(
        shuffled_medians(sample(random.normal(1, 0.1, jets * flavors)), (jets,) * flavors, seed=1)["standard"]
    )
    assert floor.mean() == pytest.approx(expected.mean(), abs=4 * expected.std() / np.sqrt(SHUFFLES))
    assert floor.std() == pytest.approx(expected.std(), rel=0.6)


def test_a_flavor_dependence_stands_out_of_its_floor():
    jets = CalibratedJets.from_table(calibrated_table(20_000))
    for each in flavor_dependence(jets, Resampling(5).draws(jets.event), 1, (INCLUSIVE,)):
        if each.correction == "standard":
            assert each.sae.value > each.noise_floor.value + 5 * each.noise_floor.uncertainty
