"""Triton sends the warm-up requests that a configuration names, and knows the labels."""

from __future__ import annotations

import pytest
import tritonclient.http

from jec_assets.jets.packed import PackedJets
from jec_assets.serving.client import JetClient
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.deployment import load_served
from jec_assets.serving.tensors import PaddedJets
from jec_assets.serving.warm_up import LABELS, WARM_UP_BATCHES
from jec_assets_tests.serving.conftest import Served, card_of

pytestmark = pytest.mark.needs("triton")


def test_a_model_has_answered_the_warm_up_before_anybody_asks(served: Served, pfn_onnx: bytes) -> None:
    served.repository.publish(card_of("warm", pfn_onnx), pfn_onnx, InstanceSettings())
    load_served(served.endpoint, served.repository, ["warm"])
    with JetClient.of(served.endpoint, "http") as client:
        assert client.statistics("warm").requests == sum(WARM_UP_BATCHES)  # Triton makes a batch of requests of one
    with tritonclient.http.InferenceServerClient(served.endpoint.http) as server:
        (statistics,) = server.get_inference_statistics("warm")["model_stats"]
        assert [each["batch_size"] for each in statistics["batch_stats"]] == list(WARM_UP_BATCHES)
        assert statistics["inference_stats"]["fail"]["count"] == 0


def test_a_client_that_asks_for_classes_gets_labels(served: Served, jets: PackedJets) -> None:
    batch = PaddedJets.of(jets.slice(0, 3))
    tensors = []
    for name, array in batch.arrays.items():
        tensors.append(tritonclient.http.InferInput(name, list(array.shape), {4: "FP32", 8: "INT64"}[array.itemsize]))
        tensors[-1].set_data_from_numpy(array)
    wanted = tritonclient.http.InferRequestedOutput("log_factor", binary_data=False, class_count=1)
    with tritonclient.http.InferenceServerClient(served.endpoint.http) as server:
        answer = server.infer("pfn", tensors, outputs=[wanted]).as_numpy("log_factor")
    assert [text.split(":", 2)[2] for text in answer[:, 0]] == [LABELS["log_factor"][0]] * 3
