"""Clients that know nothing of this package, each used as its own documentation or code does."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
import tritonclient.utils
from onnx import TensorProto, helper

from jec_assets.jets.packed import PackedJets
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.deployment import load_served
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.runtime import inference_session
from jec_assets.serving.tensors import PaddedJets
from jec_assets.serving.transport import PROTOCOLS, Protocol
from jec_assets.storage import Storage
from jec_assets_tests.processes import ended, free_port, wait_for_port
from jec_assets_tests.serving.conftest import Served, card_of

pytestmark = pytest.mark.needs("triton")

SERVING = Path(__file__).parents[2] / "docs/serving.md"


@pytest.fixture(scope="module")
def batch(jets: PackedJets) -> PaddedJets:
    return PaddedJets.of(jets.slice(0, 30))


@pytest.fixture(scope="module")
def expected(pfn_onnx: bytes, batch: PaddedJets) -> np.ndarray:
    return inference_session(pfn_onnx, threads=1).log_factors(batch)


def described(answer: Callable[..., Any], protocol: Protocol) -> dict[str, Any]:
    return answer("pfn", "1", as_json=True) if protocol == "grpc" else answer("pfn", "1")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tritonclient_as_coffea_uses_it(
    served: Served, protocol: Protocol, batch: PaddedJets, expected: np.ndarray
) -> None:
    """coffea.ml_tools.triton_wrapper: all it needs is in the metadata, and each request has one fixed batch size."""
    library, size = import_module(f"tritonclient.{protocol}"), 16
    address = {"http": served.endpoint.http, "grpc": served.endpoint.grpc}[protocol]
    client = library.InferenceServerClient(url=address, verbose=False)
    metadata = described(client.get_model_metadata, protocol)
    inputs = {tensor["name"]: tensor for tensor in metadata["inputs"]}
    assert inputs.keys() == batch.arrays.keys()
    found = []
    for start in range(0, len(batch), size):
        tensors = []
        for name, tensor in inputs.items():
            part = batch.arrays[name][start : start + size]
            whole = np.resize(part, (size, *part.shape[1:]))
            told = np.array([int(length) for length in tensor["shape"]])
            assert (np.where(told > 0, whole.shape, told) == told).all()
            tensors.append(library.InferInput(name, list(whole.shape), tensor["datatype"]))
            kind = tritonclient.utils.triton_to_np_dtype(tensor["datatype"])
            tensors[-1].set_data_from_numpy(whole.astype(kind))
        outputs = [library.InferRequestedOutput("log_factor")]
        answer = client.infer("pfn", model_version="1", inputs=tensors, outputs=outputs)
        found.append(answer.as_numpy("log_factor")[: len(part)])
    client.close()
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-6)


def test_tritonclient_without_binary_tensors(served: Served, batch: PaddedJets, expected: np.ndarray) -> None:
    library = import_module("tritonclient.http")
    tensors = []
    for name, array in batch.arrays.items():
        tensor = library.InferInput(name, list(array.shape), tritonclient.utils.np_to_triton_dtype(array.dtype))
        tensors.append(tensor.set_data_from_numpy(array, binary_data=False))
    with library.InferenceServerClient(served.endpoint.http) as client:
        answer = client.infer("pfn", tensors, outputs=[library.InferRequestedOutput("log_factor", binary_data=False)])
    np.testing.assert_allclose(answer.as_numpy("log_factor"), expected, atol=1e-6)


@pytest.mark.skipif(which("curl") is None, reason="curl is not installed")
def test_curl(served: Served, batch: PaddedJets, expected: np.ndarray, tmp_path: Path) -> None:
    types = {"float32": "FP32", "int64": "INT64"}
    inputs = [
        {"name": name, "shape": array.shape, "datatype": types[array.dtype.name], "data": array.ravel().tolist()}
        for name, array in batch.arrays.items()
    ]
    (tmp_path / "jets.json").write_text(json.dumps({"inputs": inputs}))
    url = f"{served.endpoint.url}/v2/models/pfn/infer"
    curl = ["curl", "--silent", "--fail", "--data", f"@{tmp_path / 'jets.json'}", url]
    (output,) = json.loads(subprocess.run(curl, capture_output=True, check=True, timeout=60).stdout)["outputs"]
    assert (output["name"], output["shape"]) == ("log_factor", [30, 1])
    np.testing.assert_allclose(np.reshape(output["data"], (30, 1)), expected, atol=1e-6)


@pytest.mark.skipif(which("curl") is None, reason="curl is not installed")
def test_the_request_that_is_documented(served: Served) -> None:
    (words,) = re.findall(r"^curl -d '\{\"inputs\".*?/infer$", SERVING.read_text(), re.MULTILINE | re.DOTALL)
    features = {"particle_features": tuple("abcdef"), "jet_features": tuple("abcdefgh")}
    onnx = tiny_model(**features)
    served.repository.publish(replace(card_of("documented", onnx), **features), onnx, InstanceSettings())
    load_served(served.endpoint, served.repository, ["documented"])
    asked = words.replace("127.0.0.1:PORT", served.endpoint.http).replace("/pfn/", "/documented/")
    asked = f"{asked} --silent --fail-with-body"
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (output,) = json.loads(done.stdout)["outputs"]
    jet = json.loads(words[len("curl -d '") :].split("'")[0])["inputs"][2]["data"]
    assert output["data"] == pytest.approx([sum(jet)])


@pytest.mark.skipif(which("curl") is None, reason="curl is not installed")
def test_the_upload_that_is_documented(tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="pip install -e '.[repository]'")
    written = SERVING.read_text()
    (card,) = re.findall(r"```json\n(.*?)```", written, re.DOTALL)
    (serve,) = re.findall(r"^(openssl .* models serve .*?)(?: +#.*)?$", written, re.MULTILINE)
    (upload,) = re.findall(r"^(curl .*/versions)$", written, re.MULTILINE)
    (tmp_path / "card.json").write_text(card)
    (tmp_path / "model.onnx").write_bytes(tiny_model(**json.loads(card)))
    port = free_port()
    serve = serve.replace(".venv/bin/jec", f"{sys.executable} -m jec_assets.cli") + f" --port {port}"
    environment = {**os.environ, "JEC_STORAGE_ROOT": str(tmp_path / "root")}
    with ended(subprocess.Popen(["bash", "-c", serve], env=environment, cwd=tmp_path)):
        wait_for_port(port, 120)
        words = ["bash", "-c", upload.replace("8090", str(port)).replace("curl", "curl --silent --fail-with-body", 1)]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    stored = ModelRepository(Storage(str(tmp_path / "root"))).stored("mine", 1).card
    assert list(stored.particle_features) == json.loads(card)["particle_features"]


def tiny_model(particle_features: Sequence[str], jet_features: Sequence[str], **_: object) -> bytes:
    """A model of so many features that answers the sum of a jet's."""
    weights = helper.make_tensor("weights", TensorProto.FLOAT, [len(jet_features), 1], [1.0] * len(jet_features))
    inputs = [
        helper.make_tensor_value_info("particles", TensorProto.FLOAT, ["b", "n", len(particle_features)]),
        helper.make_tensor_value_info("particle_count", TensorProto.INT64, ["b", 1]),
        helper.make_tensor_value_info("jets", TensorProto.FLOAT, ["b", len(jet_features)]),
    ]
    outputs = [helper.make_tensor_value_info("log_factor", TensorProto.FLOAT, ["b", 1])]
    node = helper.make_node("MatMul", ["jets", "weights"], ["log_factor"])
    graph = helper.make_graph([node], "sum", inputs, outputs, [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())


@pytest.mark.needs("perf_analyzer")
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_perf_analyzer(served: Served, protocol: Protocol, batch: PaddedJets, tmp_path: Path) -> None:
    requests = [
        {
            name: {"content": array[jet].ravel().tolist(), "shape": array.shape[1:]}
            for name, array in batch.arrays.items()
        }
        for jet in range(len(batch))
    ]
    (tmp_path / "jets.json").write_text(json.dumps({"data": requests}))
    url = {"http": served.endpoint.http, "grpc": served.endpoint.grpc}[protocol]
    counted = ["--measurement-mode", "count_windows", "--measurement-request-count", "50", "--max-trials", "3"]
    command = ["perf_analyzer", "-m", "pfn", "-i", protocol, "-u", url, "--input-data", str(tmp_path / "jets.json")]
    command += [*counted, "--stability-percentage", "999", "-f", str(tmp_path / "latencies.csv")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [row] = csv.DictReader((tmp_path / "latencies.csv").read_text().splitlines())
    assert float(row["Inferences/Second"]) > 0
    assert float(row["Server Compute Infer"]) > 0
