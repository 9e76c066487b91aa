from __future__ import annotations

import pytest

from jec_assets.evaluation.bins import REGIONS
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrated_jets import CalibratedJets
from jec_assets.evaluation.response.response_curves import GEN_PT_EDGES
from jec_assets.evaluation.response.tails import Tails, tails
from jec_assets.plots.tails import tail_shares
from jec_assets_tests.evaluation.synthetic import calibrated_table
from jec_assets_tests.plots.figures import check_layout, legend, points


def measured(jets: int) -> tuple[Tails, ...]:
    calibrated = CalibratedJets.from_table(calibrated_table(4000).head(jets))
    return tails(calibrated, Resampling(5).draws(calibrated.event), GEN_PT_EDGES)


def test_shares_in_percent():
    results = measured(4000)
    figure = tail_shares(results, REGIONS[1])
    assert legend(figure) == ["Standard correction", "PFN", "ParticleNet"]
    chosen = [each for each in results if (each.region, each.correction) == (REGIONS[1], "pfn") and each.below.n >= 50]
    for axes, name in zip(figure.axes, ("below", "above", "far"), strict=True):
        expected = [100 * getattr(each, name).value for each in chosen]
        assert [y for _, y in points(axes)["PFN"]] == pytest.approx(expected)
    check_layout(figure)


@pytest.mark.parametrize("jets", [0, 1])
def test_hardly_any_jets_leave_the_frames_empty(jets: int):
    figure = tail_shares(measured(jets), REGIONS[0])
    assert not any(points(figure.axes[0]).values())
    check_layout(figure)
