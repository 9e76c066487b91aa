from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jec_assets.evaluation.bins import FLAVORS, GEN_PT_INTERVALS, INCLUSIVE, REGIONS
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrated_jets import CalibratedJets, CalibratedJetsError
from jec_assets.evaluation.response.generator import QUANTITIES, GeneratorShifts, Shift, generator_shifts
from jec_assets_tests.evaluation.synthetic import calibrated_table

GLUONS = pl.col("flavor") == FLAVORS["g"]


def compared(nominal: pl.DataFrame, alternative: pl.DataFrame, resamples: int = 10) -> tuple[GeneratorShifts, ...]:
    jets = (CalibratedJets.from_table(each) for each in (nominal, alternative))
    return generator_shifts(*jets, Resampling(resamples), (INCLUSIVE,))


def found(results: tuple[GeneratorShifts, ...], region: str, correction: str) -> dict[str, Shift]:
    (each,) = (each for each in results if (each.region.name, each.correction) == (region, correction))
    return each.shifts


def gluons_scaled(table: pl.DataFrame, factor: float) -> pl.DataFrame:
    return table.with_columns(pl.when(GLUONS).then(pl.col("jetPt") * factor).otherwise(pl.col("jetPt")))


def test_a_softer_gluon_moves_the_gluon_and_the_difference():
    table = calibrated_table(4000)
    shifts = found(compared(table, gluons_scaled(table, 0.97)), "barrel", "pfn")
    assert tuple(shifts) == QUANTITIES
    gluon, difference = shifts["g"], shifts["uds-g"]
    assert gluon.shift.value == pytest.approx(-0.03 * gluon.nominal.value)
    assert difference.shift.value == pytest.approx(-gluon.shift.value)
    assert all(shifts[flavor].shift.value == 0 for flavor in "udscb")
    assert gluon.shift.value == pytest.approx(gluon.alternative.value - gluon.nominal.value)


def test_light_quarks_are_one_group():
    table = calibrated_table(3000)
    nominal = found(compared(table, table), "endcap", "standard")["uds-g"].nominal
    inside = table.filter(pl.col("genJetEta").abs().is_between(1.3, 2.5), pl.col("genJetPt") >= 30)
    response = pl.col("jetPt").cast(float) / pl.col("genJetPt").cast(float)
    light, gluon = inside.filter(pl.col("flavor").is_in([1, 2, 3])), inside.filter(GLUONS)
    expected = light.select(response.median()).item() - gluon.select(response.median()).item()
    assert nominal.value == pytest.approx(expected)
    assert nominal.n == min(len(light), len(gluon))


def test_the_standard_correction_adds_nothing_and_a_network_what_its_factor_moves_by():
    table = calibrated_table(3000)
    moved = table.with_columns(log_factor_pfn=pl.col("log_factor_pfn") + float(np.log(1.02)))
    results = compared(table, moved)
    for shift in found(results, "barrel", "standard").values():
        assert (shift.added.value, shift.added.uncertainty) == (0, 0)
    for shift in found(results, "barrel", "particle_net").values():
        assert shift.shift.value == 0
    pfn = found(results, "barrel", "pfn")["u"]
    assert pfn.added.value == pytest.approx(0.02 * pfn.nominal.value)


def test_samples_are_independent_and_corrections_paired():
    shift = found(compared(calibrated_table(6000), calibrated_table(6000, seed=2), 200), "barrel", "pfn")["g"]
    quadrature = np.hypot(shift.nominal.uncertainty, shift.alternative.uncertainty)
    assert shift.shift.uncertainty == pytest.approx(quadrature, rel=0.15)
    # The toy's PFN leaves nine tenths of each jet's fluctuation: the difference to the standard is a tenth of it.
    assert shift.added.uncertainty < 0.5 * shift.shift.uncertainty
    assert abs(shift.shift.value) < 4 * shift.shift.uncertainty


@settings(max_examples=10, deadline=None)
@given(st.floats(0.7, 1.4))
def test_scaling_all_responses_of_both_scales_every_shift(factor: float):
    tables = calibrated_table(1500), calibrated_table(1500, seed=2)
    scaled = (each.with_columns(jetPt=pl.col("jetPt").cast(float) * factor) for each in tables)
    for before, after in zip(compared(*tables, 3), compared(*scaled, 3), strict=True):
        for name in QUANTITIES:
            assert after.shifts[name].shift.value == pytest.approx(factor * before.shifts[name].shift.value, abs=1e-12)


def test_every_region_and_interval_unless_asked_for_some():
    jets = CalibratedJets.from_table(calibrated_table(500))
    groups = [(each.region, each.interval, each.correction) for each in generator_shifts(jets, jets, Resampling(2))]
    assert groups == [
        (region, interval, correction)
        for region in REGIONS
        for interval in (INCLUSIVE, *GEN_PT_INTERVALS)
        for correction in ("standard", "pfn", "particle_net")
    ]


def test_weights_count():
    table = calibrated_table(3000)
    plain = CalibratedJets.from_table(table)
    heavy = CalibratedJets.from_table(table.with_columns(eventWeight=pl.lit(2.0))).weighted_by_event()
    rising = CalibratedJets.from_table(table).weighted_by_event()
    by_plain, by_heavy, by_rising = (
        generator_shifts(each, each, Resampling(2), (INCLUSIVE,))[0].shifts["g"].nominal.value
        for each in (plain, heavy, rising)
    )
    assert by_heavy == pytest.approx(by_plain)
    assert by_rising != pytest.approx(by_plain, rel=1e-6)


def test_a_flavor_that_one_generator_lacks_is_named():
    table = calibrated_table(2000)
    results = compared(table, table.filter(~GLUONS))
    shifts = found(results, "barrel", "pfn")
    assert shifts["g"].shift.note == shifts["uds-g"].shift.note == "no alternative jets"
    assert shifts["g"].nominal.value is not None
    assert found(compared(table.filter(~GLUONS), table), "barrel", "pfn")["g"].shift.note == "no nominal jets"


@pytest.mark.parametrize(("jets", "notes"), [(0, {"no jets"}), (1, {"no jets", "n = 1"})])
def test_hardly_any_jets_are_no_crash(jets: int, notes: set[str]):
    # The first jet with known flavor, so that one group has it.
    table = calibrated_table(100).filter((pl.col("flavor") != 0) & (pl.col("genJetPt") >= 30)).head(jets)
    told = {
        number.note
        for each in compared(table, table)
        for shift in each.shifts.values()
        for number in (shift.nominal, shift.alternative, shift.shift, shift.added)
        if json.dumps(number.as_json(), allow_nan=False)
    }
    assert told == notes


def test_equal_responses_shift_by_nothing():
    table = calibrated_table(2000).with_columns(jetPt=pl.col("genJetPt"), log_factor_pfn=pl.lit(0.0))
    shift = found(compared(table, table), "barrel", "pfn")["uds-g"].shift
    assert (shift.value, shift.uncertainty) == (0, 0)


def test_jets_of_other_networks_are_refused():
    table = calibrated_table(50)
    with pytest.raises(CalibratedJetsError, match="calibrate both by the same networks"):
        compared(table, table.drop("log_factor_pfn"))
