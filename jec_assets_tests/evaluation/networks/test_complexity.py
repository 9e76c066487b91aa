from __future__ import annotations

import numpy as np
import pytest

from jec_assets.evaluation.networks.complexity import Complexity, complexity
from jec_assets.evaluation.networks.footprint import Footprint
from jec_assets.evaluation.networks.throughput import Throughput
from jec_assets.jets.features import PAPER
from jec_assets.models.families import FAMILIES
from jec_assets.models.inputs import NetworkInputs
from jec_assets.models.saving import NetworkDescription

FOOTPRINT = Footprint(10, 30.0, 1e5, 1000, 5000)
THROUGHPUT = Throughput(1234.0, "a processor", 1, 10, 10, 3)


def row(family: str, constituents: list[int]) -> Complexity:
    description = NetworkDescription(family, FAMILIES[family].optimum, "paper", NetworkInputs.of(PAPER))
    return complexity(description, 0.07, 1, np.array(constituents), FOOTPRINT, THROUGHPUT)


@pytest.mark.parametrize(("family", "macs"), [("pfn", 1_426_001), ("particle_net", 47_588_001)])
def test_the_published_optima_have_the_published_macs(family: str, macs: int):
    found = row(family, [20])
    assert (found.family, found.macs, found.parameters, found.loss) == (family, macs, 1, 0.07)
    assert (found.footprint, found.throughput) == (FOOTPRINT, THROUGHPUT)
    assert row(family, [100, 100]).mean_macs == macs


@pytest.mark.parametrize("family", FAMILIES)
def test_the_mean_is_over_jets_not_the_count_of_a_mean_jet(family: str):
    alone = [row(family, [particles]).mean_macs for particles in (1, 80)]
    assert row(family, [1, 80, 1]).mean_macs == pytest.approx((2 * alone[0] + alone[1]) / 3)
