from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jec_assets.jets.packed import PackedJets
from jec_assets.models.prediction import predict
from jec_assets.serving.export import TOLERANCE, ExportMismatchError, compare_with_torch, export_onnx
from jec_assets.serving.runtime import JetSession, inference_session
from jec_assets.serving.tensors import PaddedJets
from jec_assets_tests.serving.conftest import SMALL, make_jets, small_network


@pytest.fixture(scope="module", params=SMALL)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def exported(family: str) -> bytes:
    return export_onnx(small_network(family, seed=1))


@pytest.fixture(scope="module")
def session(exported: bytes) -> JetSession:
    return inference_session(exported, threads=1)


def test_exported_networks_compute_the_same(family: str, exported: bytes, jets: PackedJets) -> None:
    check = compare_with_torch(exported, small_network(family, seed=1), jets)
    assert check.max_abs_difference <= TOLERANCE
    assert check.jets == len(jets)
    assert check.batches > 10


def test_export_is_silent_repeatable_and_leaves_the_network_alone(
    family: str, exported: bytes, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    network = small_network(family, seed=1).train()
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with caplog.at_level(logging.WARNING):
        model = export_onnx(network)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records
    assert network.training
    assert all(torch.equal(weights[name], tensor) for name, tensor in network.state_dict().items())
    assert model == exported


def test_export_says_nothing_of_the_machine_that_made_it(exported: bytes) -> None:
    model = onnx.load_from_string(exported)
    onnx.checker.check_model(model, full_check=True)
    assert not any(node.metadata_props for node in model.graph.node)
    assert b"site-packages" not in exported
    assert b"jec_assets" not in exported


@settings(max_examples=25, deadline=None)
@given(counts=st.lists(st.integers(1, 12), min_size=1, max_size=8), padding=st.integers(0, 20), seed=st.integers(0, 99))
def test_padding_never_enters_an_answer(session: JetSession, counts: list[int], padding: int, seed: int) -> None:
    batch = PaddedJets.of(_jets_with(counts, seed))
    nothing = np.full((len(counts), padding, batch.particles.shape[2]), np.nan, np.float32)
    padded = replace(batch, particles=np.concatenate([batch.particles, nothing], axis=1))
    np.testing.assert_allclose(session.log_factors(padded), session.log_factors(batch), atol=1e-6)


def test_another_network_is_a_mismatch(family: str, exported: bytes, jets: PackedJets) -> None:
    with pytest.raises(ExportMismatchError, match="nothing is published"):
        compare_with_torch(exported, small_network(family, seed=4), jets)


def test_a_network_that_gives_no_number_is_a_mismatch(jets: PackedJets) -> None:
    network = small_network("pfn", seed=3)
    with torch.no_grad():
        network.head[-1].bias.fill_(torch.nan)
    with pytest.raises(ExportMismatchError, match="nan"):
        compare_with_torch(export_onnx(network), network, jets)


def test_comparing_on_no_jets_is_refused(exported: bytes, family: str, jets: PackedJets) -> None:
    with pytest.raises(ValueError, match="validation jets"):
        compare_with_torch(exported, small_network(family, seed=1), jets.slice(0, 0))


def test_predict_keeps_the_order_of_jets(session: JetSession, family: str, jets: PackedJets) -> None:
    np.testing.assert_allclose(session.predict(jets), predict(small_network(family, seed=1), jets), atol=TOLERANCE)


def _jets_with(counts: list[int], seed: int) -> PackedJets:
    random = np.random.default_rng(seed)
    jets = make_jets(len(counts), seed)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    particles = random.normal(size=(offsets[-1], jets.particles.shape[1])).astype(np.float32)
    return PackedJets(particles, offsets, jets.jets)
