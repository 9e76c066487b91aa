"""Events that all tests of the simulation share: PYTHIA takes a second to start, so it starts once."""

from __future__ import annotations

import numpy as np
import pytest

from jec_assets.correction import StandardCorrection
from jec_assets.correction.standard import ResponseCurve
from jec_assets.simulation.generator import GeneratedEvents, dijet_generator, minimum_bias_generator
from jec_assets.simulation.pileup import PileupPool, make_pool
from jec_assets.simulation.reconstruction import Collisions, reconstruct
from jec_assets.simulation.tunes import NOMINAL_TUNE, TUNES

EVENTS = 60
COLLISIONS = 60


@pytest.fixture(scope="session")
def generated() -> GeneratedEvents:
    return dijet_generator(TUNES[NOMINAL_TUNE], 11).generate(EVENTS)


@pytest.fixture(scope="session")
def pool() -> PileupPool:
    return make_pool(minimum_bias_generator(TUNES[NOMINAL_TUNE], 12), COLLISIONS, lambda _: None)


@pytest.fixture(scope="session")
def collisions(generated: GeneratedEvents, pool: PileupPool) -> Collisions:
    return reconstruct(generated, pool, np.random.default_rng(13))


@pytest.fixture(scope="session")
def correction() -> StandardCorrection:
    """About what the detector needs."""
    return StandardCorrection(
        (0, 5.2), (0.5,), (0, 2.5, 5.2), (ResponseCurve((30,), (1.1,)), ResponseCurve((30,), (1.4,))), 30.0
    )
