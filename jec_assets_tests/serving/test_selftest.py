from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.processes import free_ports
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.endpoint import EndpointError, existing_endpoint
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.selftest import TOLERANCE, TOLERANCE_ELSEWHERE, self_test
from jec_assets.storage import Storage
from jec_assets_tests.serving.conftest import Served, card_of

pytestmark = pytest.mark.needs("triton")


def test_a_server_that_serves_what_is_published_passes(served: Served, jets: PackedJets) -> None:
    result = self_test(served.endpoint, served.repository, served.model, jets)
    assert (result.family, result.version, result.jets) == ("pfn", 1, len(jets))
    assert result.max_abs_difference == 0


def test_a_server_of_another_version_fails(
    served: Served, jets: PackedJets, pfn_onnx: bytes, other_pfn_onnx: bytes, tmp_path: Path
) -> None:
    elsewhere = ModelRepository(Storage(str(tmp_path)))
    elsewhere.publish(card_of("pfn", pfn_onnx), pfn_onnx, InstanceSettings())
    second = elsewhere.publish(card_of("pfn", other_pfn_onnx), other_pfn_onnx, InstanceSettings())
    with pytest.raises(EndpointError, match=r"serves versions \(1,\) of pfn; published is 2"):
        self_test(served.endpoint, elsewhere, second, jets)


def test_a_server_that_answers_something_else_fails(
    served: Served, jets: PackedJets, other_pfn_onnx: bytes, tmp_path: Path
) -> None:
    elsewhere = ModelRepository(Storage(str(tmp_path)))
    model = elsewhere.publish(card_of("pfn", other_pfn_onnx), other_pfn_onnx, InstanceSettings())
    with pytest.raises(EndpointError, match="away from what the published model computes"):
        self_test(served.endpoint, elsewhere, model, jets)


def test_only_a_server_elsewhere_may_differ_in_the_last_digits(
    served: Served, jets: PackedJets, pfn_onnx: bytes, tmp_path: Path
) -> None:
    nudged = onnx.load_from_string(pfn_onnx)
    for weights in nudged.graph.initializer:
        if weights.data_type == onnx.TensorProto.FLOAT:
            moved = onnx.numpy_helper.to_array(weights) * np.float32(1 + 2e-6)
            weights.CopyFrom(onnx.numpy_helper.from_array(moved.astype(np.float32), weights.name))
    other = nudged.SerializeToString()
    elsewhere = ModelRepository(Storage(str(tmp_path)))
    model = elsewhere.publish(card_of("pfn", other), other, InstanceSettings())
    with pytest.raises(EndpointError, match="away from what the published model computes"):
        self_test(served.endpoint, elsewhere, model, jets)
    result = self_test(replace(served.endpoint, kind="kubernetes"), elsewhere, model, jets)
    assert TOLERANCE < result.max_abs_difference <= TOLERANCE_ELSEWHERE


def test_an_existing_server_is_taken_as_it_is(served: Served) -> None:
    endpoint = existing_endpoint(f"http://{served.endpoint.http}/", served.endpoint.grpc)
    assert (endpoint.kind, endpoint.http, endpoint.pid) == ("url", served.endpoint.http, None)
    assert endpoint.url == f"http://{served.endpoint.http}"


def test_a_server_that_is_not_there_is_an_error() -> None:
    (port,) = free_ports(1)
    with pytest.raises(EndpointError, match=f"127.0.0.1:{port}/v2/health/ready"):
        existing_endpoint(f"127.0.0.1:{port}", f"127.0.0.1:{port}")
