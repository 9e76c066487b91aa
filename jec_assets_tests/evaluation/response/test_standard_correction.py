from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest

from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.response.standard_correction import (
    CURVES,
    REGIONS_VIEW,
    CorrectedJets,
    CorrectionResult,
    View,
    correction_results,
    coverage,
)
from jec_assets_tests.evaluation.corrected_table import corrected_table, found_correction


def results(table: pl.DataFrame, view: View, in_use: str = "file") -> tuple[CorrectionResult, ...]:
    jets = CorrectedJets.from_table(table, found_correction(in_use))
    return correction_results(jets, Resampling(5).draws(jets.event), view)


def test_each_correction_gets_its_own_response() -> None:
    barrel, endcap = (
        {each.correction: each for each in results(corrected_table(20_000), REGIONS_VIEW) if each.interval.low == low}
        for low in (0.0, 1.3)
    )
    for region in (barrel, endcap):
        assert list(region) == ["file", "derived"]
        assert region["file"].median.value == pytest.approx(1.02, abs=0.003)
        assert region["derived"].median.value == pytest.approx(1, abs=0.005)
        assert region["file"].ratio.value is None
        assert region["derived"].ratio.value == pytest.approx(
            region["derived"].width.value / region["file"].width.value, rel=1e-12
        )


def test_uncorrected_jets_are_the_reference_where_the_files_have_no_correction() -> None:
    table = corrected_table(20_000).with_columns(jetPt=pl.col("jetRawPt"))
    raw, ours = results(table, REGIONS_VIEW, "derived")[:2]
    assert (raw.correction, ours.correction) == ("uncorrected", "derived")
    assert raw.median.value < 0.95
    assert ours.median.value == pytest.approx(1, abs=0.005)


@pytest.mark.parametrize("view", CURVES)
def test_bins_hold_exactly_the_jets_between_their_edges_from_50_gev_on(view: View) -> None:
    table = corrected_table(4000)
    counted = {each.interval: each.median.n for each in results(table, view)}
    column = {
        "gen_pt": table["genJetPt"],
        "abs_gen_eta": table["genJetEta"].abs(),
        "rho": table["rhoAll"],
    }[view.quantity].to_numpy()
    here = (table["genJetPt"] >= 50).to_numpy() & view.abs_gen_eta.contains(table["genJetEta"].abs().to_numpy())
    for interval, n in counted.items():
        assert n == np.count_nonzero(here & interval.contains(column.astype(np.float64)))


def test_scaling_all_momenta_scales_medians_and_leaves_widths() -> None:
    table = corrected_table(4000)
    before = results(table, REGIONS_VIEW)[0]
    after = results(table.with_columns(jetPt=pl.col("jetPt") * 1.25), REGIONS_VIEW)[0]
    assert after.median.value == pytest.approx(1.25 * before.median.value)
    assert after.width.value == pytest.approx(before.width.value)


def test_no_jet_and_a_single_jet_say_so() -> None:
    nobody = results(corrected_table(4000).head(0), REGIONS_VIEW)
    assert {each.median.note for each in nobody} == {each.width.note for each in nobody} == {"no jets"}
    hard = corrected_table(4000).filter((pl.col("genJetPt") > 100) & (pl.col("genJetEta").abs() < 1)).head(1)
    alone = results(hard, REGIONS_VIEW)[1]
    assert (alone.median.note, alone.median.uncertainty) == ("n = 1", None)
    assert (alone.width.note, alone.width.value) == (alone.ratio.note, alone.ratio.value) == ("n = 1", None)


def test_without_a_correction_of_our_own_the_files_stands_alone() -> None:
    found = dataclasses.replace(found_correction(), derived=None)
    assert list(CorrectedJets.from_table(corrected_table(10), found).responses) == ["file"]


def test_jets_beyond_the_measured_range_are_counted() -> None:
    correction = found_correction().derived
    assert correction is not None
    table = corrected_table(4000)
    hard = table.filter(pl.col("genJetPt") >= 50)
    raw, rho, area = (hard[name].to_numpy().astype(np.float64) for name in ("jetRawPt", "rhoAll", "jetArea"))
    outside = np.abs(hard["jetEta"].to_numpy()) >= 1.3
    pt = np.maximum(raw - np.where(outside, *correction.offset_slopes[::-1]) * rho * area, 1e-4 * raw)
    found = coverage(table, correction)
    for each, here, curve in zip(found, (~outside, outside), correction.response, strict=True):
        assert (each.low, each.high) == (curve.pts[0], curve.pts[-1])
        assert each.jets == np.count_nonzero(here)
        assert each.below == np.count_nonzero(pt[here] < each.low) > 0
        assert each.above == np.count_nonzero(pt[here] > each.high) > 0
    assert [each.abs_eta.low for each in found] == [0.0, 1.3]
    assert coverage(table.head(0), correction)[0].jets == 0
