from __future__ import annotations

import pytest

from jec_assets.plots.latency import OVERHEAD, QUANTITIES, ROUND_TRIP, Quantity, latency
from jec_assets_tests.plots.figures import check_layout, legend
from jec_assets_tests.plots.latencies import BATCH_SIZES, latency_table


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda quantity: quantity.column)
def test_a_line_for_each_family_and_protocol(quantity: Quantity):
    figure = latency(latency_table(), quantity)
    (axes,) = figure.axes
    protocols = ["HTTP", "gRPC"] if quantity is OVERHEAD else ["HTTP", "gRPC", "in process"]
    assert legend(figure) == ["PFN", "ParticleNet", *protocols]
    drawn = [f"{family}, {protocol}" for family in ("PFN", "ParticleNet") for protocol in protocols]
    assert [line.get_label() for line in axes.lines] == drawn
    assert axes.get_ylabel() == quantity.title
    assert axes.get_xlabel() == "Batch size [jets]"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [str(size) for size in BATCH_SIZES]
    check_layout(figure)


def test_lines_are_in_the_order_of_batch_sizes_whatever_the_order_of_rows():
    table = latency_table()
    expected = latency(table, ROUND_TRIP).axes[0].lines[0].get_xydata()
    shuffled = latency(table.sample(fraction=1, shuffle=True, seed=1), ROUND_TRIP)
    drawn = {str(line.get_label()): line for line in shuffled.axes[0].lines}
    assert drawn["PFN, HTTP"].get_xydata().tolist() == expected.tolist()
    assert expected[:, 0].tolist() == list(BATCH_SIZES)
