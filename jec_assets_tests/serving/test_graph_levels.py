from __future__ import annotations

import numpy as np
import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.models.families import FAMILIES
from jec_assets.models.prediction import predict
from jec_assets.serving.export import TOLERANCE, export_onnx
from jec_assets.serving.graph_levels import (
    LEVELS,
    TRITON_LEVELS,
    GraphLevel,
    UnknownGraphLevelError,
    level_in_triton,
    runtime_level,
)
from jec_assets.serving.runtime import inference_session
from jec_assets.serving.tensors import PaddedJets
from jec_assets_tests.serving.conftest import small_network


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def exported(family: str) -> bytes:
    return export_onnx(small_network(family, seed=1))


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_computes_what_torch_computes(
    family: str, exported: bytes, level: GraphLevel, jets: PackedJets
) -> None:
    session = inference_session(exported, threads=1, level=level)
    assert session.session.get_session_options().graph_optimization_level == runtime_level(level)
    expected = predict(small_network(family, seed=1), jets)
    np.testing.assert_allclose(session.predict(jets), expected, rtol=0, atol=TOLERANCE)
    single = PaddedJets.of(jets.slice(0, 1))
    assert single.particle_count.tolist() == [[1]]
    np.testing.assert_allclose(session.log_factors(single)[:, 0], expected[:1], rtol=0, atol=TOLERANCE)
    batch = PaddedJets.of(jets.slice(0, 100))
    batch.particles[np.arange(batch.particles.shape[1]) >= batch.particle_count] = np.nan
    np.testing.assert_allclose(session.log_factors(batch)[:, 0], expected[:100], rtol=0, atol=TOLERANCE)


def test_levels_have_the_numbers_of_triton_and_names() -> None:
    assert [level_in_triton(TRITON_LEVELS.get(level)) for level in LEVELS] == list(LEVELS)
    with pytest.raises(UnknownGraphLevelError, match="-1, 1, 2"):
        level_in_triton(0)
