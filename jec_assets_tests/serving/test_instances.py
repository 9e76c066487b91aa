"""Instances, versions, threads, providers and dynamic batching of the backend, with the real Triton."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from queue import Queue
from typing import Any

import numpy as np
import psutil
import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.serving.client import JetClient
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.endpoint import Endpoint, EndpointError, load
from jec_assets.serving.instances import Session, served_versions, sessions
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.runtime import inference_session
from jec_assets.serving.tensors import PaddedJets
from jec_assets.serving.triton import LocalTriton
from jec_assets_tests.serving.conftest import Served, card_of

pytestmark = pytest.mark.needs("triton")

CPU = ("CPUExecutionProvider",)


def edited(repository: ModelRepository, family: str, pattern: str, replacement: str) -> None:
    """Change a family's config.pbtxt as a person would."""
    config = Path(repository.uri) / family / "config.pbtxt"
    text, changes = re.subn(pattern, replacement, config.read_text())
    assert changes == 1
    config.write_text(text)


def test_several_versions_instances_and_threads_are_what_is_served(
    own_triton: LocalTriton, repository: ModelRepository, pfn_onnx: bytes, other_pfn_onnx: bytes, jets: PackedJets
) -> None:
    settings = InstanceSettings(threads=2, instances=2)
    for onnx in (pfn_onnx, other_pfn_onnx):
        repository.publish(card_of("pfn", onnx), onnx, settings)
    endpoint = own_triton.start_or_reuse(repository.uri, ["pfn"])
    assert served_versions(endpoint) == {("pfn", 1), ("pfn", 2)}
    assert sessions(endpoint) == (Session("pfn", 1, CPU, 2), Session("pfn", 2, CPU, 2))
    assert endpoint.pid is not None
    assert len(psutil.Process(endpoint.pid).children()) == 4
    with JetClient(endpoint.http) as client:
        for version, onnx in (("1", pfn_onnx), ("2", other_pfn_onnx), ("", other_pfn_onnx)):
            computed = inference_session(onnx, threads=2).predict(jets)
            np.testing.assert_array_equal(client.log_factors("pfn", jets, version), computed)


def test_requests_that_wait_are_computed_together_and_answered_apart(
    served: Served, pfn_onnx: bytes, jets: PackedJets
) -> None:
    import tritonclient.grpc as triton

    together = served.repository.publish(card_of("together", pfn_onnx), pfn_onnx, InstanceSettings())
    eight_jets = "dynamic_batching { preferred_batch_size: 8 max_queue_delay_microseconds: 60000000 }"
    edited(served.repository, "together", r"dynamic_batching \{[^}]*\}", eight_jets)
    load(served.endpoint, [together])
    batches = [PaddedJets.of(jets.take(np.arange(start, start + 2))) for start in (0, 2, 4, 6)]
    slots = max(batch.particles.shape[1] for batch in batches)
    padded = [_widened(batch, slots) for batch in batches]
    padded[1].particle_count[0] = -1  # one at fault, whose error is its own
    answers: Queue[tuple[int, Any, Exception | None]] = Queue()
    with triton.InferenceServerClient(served.endpoint.grpc) as client:
        warmed_up = client.get_inference_statistics("together").model_stats[0].execution_count
        for number, batch in enumerate(padded):
            client.async_infer("together", _tensors(triton, batch), callback=partial(_keep, answers, number))
        received = {number: (result, error) for number, result, error in (answers.get(timeout=50) for _ in padded)}
        statistics = client.get_inference_statistics("together").model_stats[0]
    assert "particle_count: must be in 1.." in str(received.pop(1)[1])
    for number, (result, error) in received.items():
        assert error is None
        computed = inference_session(pfn_onnx, threads=1).log_factors(batches[number])
        np.testing.assert_allclose(result.as_numpy("log_factor"), computed, atol=1e-6)
    assert statistics.execution_count == warmed_up + 1


def _keep(answers: Queue[tuple[int, Any, Exception | None]], number: int, result: Any, error: Exception | None) -> None:
    answers.put((number, result, error))


def test_a_provider_that_is_not_to_be_had_is_an_error(served: Served, pfn_onnx: bytes) -> None:
    wants_gpu = served.repository.publish(card_of("wants_gpu", pfn_onnx), pfn_onnx, InstanceSettings())
    edited(served.repository, "wants_gpu", "KIND_CPU", "KIND_GPU")
    with pytest.raises(EndpointError, match=r"wants_gpu: .*GPU"):
        load(served.endpoint, [wants_gpu])


def test_sessions_of_a_server_without_known_metrics_are_none(served: Served) -> None:
    assert sessions(Endpoint("url", served.endpoint.http, served.endpoint.grpc)) == ()


def _widened(batch: PaddedJets, slots: int) -> PaddedJets:
    more = slots - batch.particles.shape[1]
    return PaddedJets(np.pad(batch.particles, ((0, 0), (0, more), (0, 0))), batch.particle_count.copy(), batch.jets)


def _tensors(library: object, batch: PaddedJets) -> list[object]:
    tensors = []
    for name, array in batch.arrays.items():
        kind = "INT64" if array.dtype == np.int64 else "FP32"
        tensor = library.InferInput(name, list(array.shape), kind)  # type: ignore[attr-defined]
        tensor.set_data_from_numpy(array)
        tensors.append(tensor)
    return tensors
