from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from jec_assets.evaluation.calibrated_jets import CalibratedJets, CalibratedJetsError
from jec_assets.evaluation.responses import response
from jec_assets_tests.evaluation.synthetic import calibrated_table


def test_corrections_begin_with_the_standard_one():
    jets = CalibratedJets.from_table(calibrated_table(10))
    assert jets.corrections == ("standard", "pfn", "particle_net")
    assert jets.families == ("pfn", "particle_net")
    assert (jets.log_factors["standard"] == 0).all()


def test_responses_follow_from_the_log_factors():
    table = calibrated_table(50)
    jets = CalibratedJets.from_table(table)
    standard = table["jetPt"].to_numpy().astype(float) / table["genJetPt"].to_numpy()
    np.testing.assert_allclose(jets.responses("standard"), standard)
    np.testing.assert_allclose(
        jets.responses("pfn"), standard * np.exp(table["log_factor_pfn"].to_numpy().astype(float))
    )
    assert response(np.array([100.0]), np.array([np.log(1.1)]), np.array([110.0])) == pytest.approx(1.0)


def test_a_prediction_of_the_target_gives_response_1():
    table = calibrated_table(50).with_columns(log_factor_pfn=pl.col("target"))
    np.testing.assert_allclose(CalibratedJets.from_table(table).responses("pfn"), 1, rtol=1e-6)


def test_a_missing_column_is_named():
    with pytest.raises(CalibratedJetsError, match="no column flavor, event_hash"):
        CalibratedJets.from_table(calibrated_table(10).drop("flavor", "event_hash"))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), None])
def test_a_prediction_that_is_no_number_is_named(bad: float | None):
    log_factor = pl.Series("log_factor_pfn", [bad] + 9 * [0.0], dtype=pl.Float32)
    with pytest.raises(CalibratedJetsError, match=r"log_factor_pfn .* for 1 of 10 jets"):
        CalibratedJets.from_table(calibrated_table(10).with_columns(log_factor))


def test_unmatched_jets_are_refused():
    table = calibrated_table(10).with_columns(genJetPt=pl.lit(0.0, pl.Float32))
    with pytest.raises(CalibratedJetsError, match=r"genJetPt .* for 10 of 10 jets"):
        CalibratedJets.from_table(table)


def test_no_jets_are_no_error():
    assert len(CalibratedJets.from_table(calibrated_table(10).clear())) == 0
