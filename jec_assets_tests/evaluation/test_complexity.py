from __future__ import annotations

import pytest

from jec_assets.evaluation.complexity import complexity
from jec_assets.jets.features import PAPER
from jec_assets.models.families import FAMILIES
from jec_assets.models.inputs import NetworkInputs
from jec_assets.models.saving import NetworkDescription


@pytest.mark.parametrize(("family", "macs"), [("pfn", 1_426_001), ("particle_net", 47_588_001)])
def test_the_published_optima_have_the_published_macs(family: str, macs: int):
    description = NetworkDescription(family, FAMILIES[family].optimum, "paper", NetworkInputs.of(PAPER))
    row = complexity(description, parameters=1, loss=0.07)
    assert (row.family, row.macs, row.parameters, row.loss) == (family, macs, 1, 0.07)
