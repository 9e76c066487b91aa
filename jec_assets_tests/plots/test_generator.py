from __future__ import annotations

import polars as pl
import pytest

from jec_assets.evaluation.bins import FLAVORS, GEN_PT_INTERVALS, INCLUSIVE, REGIONS
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrated_jets import CalibratedJets
from jec_assets.evaluation.response.generator import QUANTITIES, GeneratorShifts, generator_shifts
from jec_assets.plots.generator import generator_shift
from jec_assets_tests.evaluation.synthetic import calibrated_table
from jec_assets_tests.plots.figures import check_layout, legend, points, texts


def compared(nominal: pl.DataFrame, alternative: pl.DataFrame) -> tuple[GeneratorShifts, ...]:
    jets = (CalibratedJets.from_table(each) for each in (nominal, alternative))
    return generator_shifts(*jets, Resampling(5))


@pytest.fixture(scope="module")
def results() -> tuple[GeneratorShifts, ...]:
    return compared(calibrated_table(3000), calibrated_table(2000, seed=2))


def test_each_quantity_has_a_point_in_percent_per_correction(results: tuple[GeneratorShifts, ...]):
    figure = generator_shift(results, REGIONS[0], [INCLUSIVE])
    (axes,) = figure.axes
    drawn = points(axes)
    assert list(drawn) == legend(figure) == ["Standard correction", "PFN", "ParticleNet"]
    (standard,) = (
        each for each in results if (each.region, each.interval, each.correction) == (REGIONS[0], INCLUSIVE, "standard")
    )
    expected = [100 * standard.shifts[name].shift.value for name in QUANTITIES]
    assert [y for _, y in drawn["Standard correction"]] == pytest.approx(expected)
    assert len({x for each in drawn.values() for x, _ in each}) == 3 * len(QUANTITIES)  # none hides another
    assert [tick.get_text() for tick in axes.get_xticklabels()][:6] == list(FLAVORS)
    low, high = axes.get_ylim()
    assert low < 0 < high
    assert all(low < y < high for each in drawn.values() for _, y in each)
    assert {"Simulation", "Shift of the median response [%]"} <= texts(figure)
    check_layout(figure)


def test_what_one_generator_lacks_is_said():
    table = calibrated_table(1500)
    results = compared(table, table.filter(pl.col("flavor") != FLAVORS["s"]))
    figure = generator_shift(results, REGIONS[0], GEN_PT_INTERVALS)
    assert len(figure.axes) == 4
    assert "no\nalternative\njets" in texts(figure)
    check_layout(figure)


@pytest.mark.parametrize("jets", [0, 1])
def test_hardly_any_jets_are_said_to_be_so(jets: int):
    table = calibrated_table(10).head(jets)
    figure = generator_shift(compared(table, table), REGIONS[0], GEN_PT_INTERVALS)
    assert "no jets" in texts(figure)
    check_layout(figure)
