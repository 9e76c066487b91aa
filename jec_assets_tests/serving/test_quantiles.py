"""A network with quantiles, from its weights to the answers of a server."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest
import torch

from jec_assets.jets.packed import PackedJets
from jec_assets.models.outputs import QUANTILES
from jec_assets.models.prediction import predict, predict_outputs
from jec_assets.serving.async_client import AsyncJetClient
from jec_assets.serving.client import JetClient
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.endpoint import Endpoint, load
from jec_assets.serving.export import TOLERANCE, ExportMismatchError, compare_with_torch, export_onnx
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.runtime import inference_session
from jec_assets.serving.tensors import PaddedJets
from jec_assets.serving.transport import PROTOCOLS, Protocol
from jec_assets.serving.triton import LocalTriton
from jec_assets_tests.serving.conftest import SMALL, card_of, small_network


@pytest.fixture(scope="module", params=SMALL)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def exported(family: str) -> bytes:
    return export_onnx(small_network(family, seed=1, outputs=3))


def test_the_prediction_is_as_always_and_quantiles_come_with_it(family: str, exported: bytes, jets: PackedJets) -> None:
    network, session = small_network(family, seed=1, outputs=3), inference_session(exported, threads=1)
    assert compare_with_torch(exported, network, jets).max_abs_difference <= TOLERANCE
    answers = session.answers(PaddedJets.of(jets))
    assert {name: values.shape for name, values in answers.items()} == {
        "log_factor": (len(jets), 1),
        "log_factor_quantiles": (len(jets), 2),
    }
    np.testing.assert_allclose(session.predict(jets), predict(network, jets), atol=TOLERANCE)
    np.testing.assert_allclose(answers["log_factor_quantiles"], predict_outputs(network, jets)[:, 1:], atol=TOLERANCE)


def test_quantiles_that_cross_in_the_network_do_not_cross_in_its_answers(
    family: str, exported: bytes, jets: PackedJets
) -> None:
    network = small_network(family, seed=1, outputs=3).eval()
    arrays = (jets.particles, jets.offsets, jets.jets)
    with torch.no_grad():
        raw = network(*map(torch.tensor, arrays)).numpy()
    assert (raw[:, 1] > raw[:, 0]).any() or (raw[:, 2] < raw[:, 0]).any(), "the case is none: nothing crosses"
    answers = inference_session(exported, threads=1).answers(PaddedJets.of(jets))
    low, high = answers["log_factor_quantiles"].T
    assert (low <= answers["log_factor"][:, 0]).all()
    assert (answers["log_factor"][:, 0] <= high).all()


def test_other_quantiles_are_a_mismatch(family: str, exported: bytes, jets: PackedJets) -> None:
    network = small_network(family, seed=1, outputs=3)
    with torch.no_grad():
        *_, last_bias = network.parameters()  # of the layer that gives the outputs
        last_bias[2] += 90.0
    with pytest.raises(ExportMismatchError, match="nothing is published"):
        compare_with_torch(exported, network, jets)


@pytest.mark.needs("triton")
def test_a_server_answers_with_quantiles(
    own_triton: LocalTriton, repository: ModelRepository, jets: PackedJets
) -> None:
    onnx = export_onnx(small_network("pfn", seed=1, outputs=3))
    model = repository.publish(replace(card_of("pfn", onnx), outputs=QUANTILES), onnx, InstanceSettings())
    assert repository.current("pfn") == model
    endpoint = own_triton.start_or_reuse(repository.uri)
    load(endpoint, [model])
    session = inference_session(onnx, threads=1)
    expected = session.predict_outputs(jets)
    for protocol in PROTOCOLS:
        with JetClient.of(endpoint, protocol) as client:
            np.testing.assert_array_equal(client.log_factors("pfn", jets), expected[:, 0])
            np.testing.assert_array_equal(client.quantiles("pfn", jets), expected[:, 1:])
            assert client.quantiles("pfn", jets.slice(0, 0)).shape == (0, 2)
        np.testing.assert_array_equal(asyncio.run(quantiles(endpoint, protocol, jets)), expected[:, 1:])


async def quantiles(endpoint: Endpoint, protocol: Protocol, jets: PackedJets) -> np.ndarray:
    async with AsyncJetClient.of(endpoint, protocol) as client:
        return await client.quantiles("pfn", jets)
