"""The repository's service as a process of its own, with what people send and what they shouldn't."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest
import requests
from onnx import NodeProto, TensorProto, helper, load_model_from_string

from jec_assets.jets.features import EXTENDED
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.uploads import InvalidModelError, Limits, check_model
from jec_assets.storage import Artifact, Held, Storage
from jec_assets_tests.processes import ended, free_port, wait_for_port
from jec_assets_tests.serving.conftest import card_of

pytest.importorskip("fastapi", reason="pip install -e '.[repository]'")

TOKEN = "a token of many characters"  # noqa: S105
CARD = {
    "feature_set": "extended",
    "particle_features": EXTENDED.particle_names,
    "jet_features": EXTENDED.jet_names,
    "data_digests": {"train": "0123"},
    "losses": {"validation": 0.1},
}


class Client:
    """Requests with the token."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {TOKEN}"

    def ask(self, method: str, path: str, status: int, **arguments: Any) -> Any:
        answer = self.session.request(method, self.url + path, timeout=60, **arguments)
        assert answer.status_code == status, answer.text
        is_json = answer.content and answer.headers.get("content-type") == "application/json"
        return answer.json() if is_json else answer.content

    def upload(self, model: bytes, status: int, family: str = "uploaded", **card: Any) -> Any:
        form = {"card": json.dumps(CARD | card)}
        return self.ask("POST", f"/models/{family}/versions", status, data=form, files={"model": model})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def client(root: Path) -> Iterator[Client]:
    """A client of the running service; a request may have one MB."""
    port = free_port()
    command = [sys.executable, "-m", "jec_assets.cli", "models", "serve", f"--port={port}", "--max-upload=1"]
    environment = {**os.environ, "JEC_STORAGE_ROOT": str(root), "JEC_REPOSITORY_TOKEN": TOKEN}
    with ended(subprocess.Popen(command, env=environment)):
        wait_for_port(port, 60)
        client = Client(f"http://127.0.0.1:{port}")
        yield client
        client.session.close()


@pytest.fixture(scope="module")
def repository(root: Path) -> ModelRepository:
    return ModelRepository(Storage(str(root)))


def constant(value: float = 0.0, name: str = "log_factor", external: bool = False) -> bytes:
    """A model of the right inputs that answers `value` times the sum of a jet's features."""
    tensor = helper.make_tensor(
        "zero", TensorProto.FLOAT, [len(EXTENDED.jet_names), 1], [value] * len(EXTENDED.jet_names)
    )
    if external:
        tensor = elsewhere("zero", TensorProto.FLOAT, [len(EXTENDED.jet_names), 1])
    return model_of(helper.make_node("MatMul", ["jets", "zero"], [name]), tensor)


def elsewhere(name: str, kind: int, shape: list[int]) -> TensorProto:
    """A tensor whose values are in another file."""
    tensor = TensorProto(name=name, data_type=kind, dims=shape, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/hostname")
    return tensor


def hidden_in_function() -> bytes:
    """A model with a function that has a tensor in another file."""
    model = load_model_from_string(constant())
    node = helper.make_node("Constant", [], ["y"], value=elsewhere("", TensorProto.FLOAT, [1]))
    model.functions.append(helper.make_function("own", "F", [], ["y"], [node], [helper.make_opsetid("", 18)]))
    return bytes(model.SerializeToString())


def hidden_in_sparse(part: Literal["values", "indices"]) -> bytes:
    """A model with a sparse tensor, a part of which is in another file."""
    parts = {
        "values": helper.make_tensor("sparse", TensorProto.FLOAT, [1], [1.0]),
        "indices": helper.make_tensor("indices", TensorProto.INT64, [1], [0]),
    }
    parts[part] = elsewhere(part, parts[part].data_type, [1])
    model = load_model_from_string(constant())
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(parts["values"], parts["indices"], [4]))
    return bytes(model.SerializeToString())


def hidden_in_subgraph() -> bytes:
    """A model with a graph in a node's attribute that has a tensor in another file."""
    model = load_model_from_string(constant())
    below = helper.make_graph([], "below", [], [], [elsewhere("far", TensorProto.FLOAT, [1])])
    model.graph.node.append(helper.make_node("If", ["zero"], ["z"], then_branch=below, else_branch=below))
    return bytes(model.SerializeToString())


def reshaping(jet_features: int | str) -> bytes:
    """A model that fails when it computes, of so many features."""
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [7, 1])
    return model_of(helper.make_node("Reshape", ["jets", "shape"], ["log_factor"]), shape, jet_features)


def model_of(node: NodeProto, tensor: TensorProto, jet_features: int | str = len(EXTENDED.jet_names)) -> bytes:
    inputs = [
        helper.make_tensor_value_info("particles", TensorProto.FLOAT, ["b", "n", len(EXTENDED.particle_names)]),
        helper.make_tensor_value_info("particle_count", TensorProto.INT64, ["b", 1]),
        helper.make_tensor_value_info("jets", TensorProto.FLOAT, ["b", jet_features]),
    ]
    outputs = [helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, ["b", 1])]
    graph = helper.make_graph([node], "g", inputs, outputs, [tensor])
    opset = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString())


def test_an_upload_is_stored_and_serves_nobody(client: Client, repository: ModelRepository, pfn_onnx: bytes) -> None:
    stored = client.upload(pfn_onnx, 201)
    assert (stored["version"], stored["state"], stored["tags"]) == (1, "stored", [])
    assert stored["card"]["losses"] == {"validation": 0.1}
    assert repository.current("uploaded") is None
    assert client.upload(pfn_onnx, 201)["version"] == 1  # the same again is the same
    assert client.ask("GET", "/models/uploaded/versions/1/model.onnx", 200) == pfn_onnx
    assert client.ask("GET", "/models/uploaded/versions/1", 200)["onnx_digest"] == stored["onnx_digest"]
    assert (Path(repository.uri) / "uploaded/1/README.md").read_text().startswith("# uploaded version 1")
    assert repository.promote("uploaded", 1).version == 1
    assert client.ask("GET", "/models/uploaded/versions/1", 200)["state"] == "served"


def test_versions_are_found_tagged_and_deleted(client: Client) -> None:
    client.upload(constant(0.0), 201, family="found", losses={"validation": 0.5})
    client.upload(constant(1.0), 201, family="found", losses={"validation": 0.2})
    client.ask("PUT", "/models/found/tags/paper", 204, json={"version": 1})

    def versions(**query: Any) -> list[int]:
        found = client.ask("GET", "/models", 200, params={"family": "found", **query})
        return [each["version"] for each in found["models"]]

    assert versions() == [1, 2]
    assert versions(max_loss=0.3) == [2]
    assert versions(tag="paper") == [1]
    assert versions(data_digest="99") == []
    client.ask("DELETE", "/models/found/tags/paper", 204)
    assert versions(tag="paper") == []
    client.ask("DELETE", "/models/found/versions/2", 204)
    assert versions() == [1]
    assert client.upload(constant(1.0), 201, family="found")["version"] == 3


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"])
def test_nobody_gets_in_without_the_token(client: Client, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    for method, path in (("GET", "/models"), ("POST", "/models/a/versions"), ("DELETE", "/models/a/versions/1")):
        answer = requests.request(method, client.url + path, headers=headers, data=b"x" * 10, timeout=60)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (b"", "can't load a model of 0 bytes"),
        (b"garbage", "no ONNX model"),
        (constant(float("nan")), "log_factor of a test batch is not finite"),
        (constant(name="other"), r"to ['other'], not"),
        (constant(name="other").replace(b"other", b"oth\xff\xff"), "can't decode byte 0xff"),
        (constant(external=True), "lies in another file"),
        (hidden_in_function(), "lies in another file"),
        (hidden_in_sparse("values"), "lies in another file"),
        (hidden_in_sparse("indices"), "lies in another file"),
        (hidden_in_subgraph(), "lies in another file"),
        (reshaping(len(EXTENDED.jet_names)), "fails on a test batch"),
        (reshaping("any"), "must declare how many features it wants"),
    ],
)
def test_what_cannot_be_served_is_refused(client: Client, repository: ModelRepository, model: bytes, said: str) -> None:
    assert said in client.upload(model, 422, family="refused")["detail"]
    assert repository.versions("refused") == ()


def test_a_card_must_fit_the_model(client: Client) -> None:
    narrow = {"feature_set": "mine", "particle_features": ["a"], "jet_features": ["b"]}
    assert "(14, 9) particle and jet features" in client.upload(constant(), 422, **narrow)["detail"]
    assert "has other features" in client.upload(constant(), 422, jet_features=["b"])["detail"]
    assert "gives 1 numbers a jet" in client.upload(constant(), 422, quantiles=True)["detail"]
    assert "data_digests" in client.upload(constant(), 422, data_digests={})["detail"]
    assert "surprise" in client.upload(constant(), 422, surprise=1)["detail"]
    assert "losses" in client.upload(constant(), 422, losses={"validation": float("nan")})["detail"]
    assert "can't be the name of a family" in client.upload(constant(), 422, family="Not.a.name")["detail"]


def test_a_request_that_is_too_large_is_refused_with_or_without_its_length(client: Client) -> None:
    large = b"x" * (1 << 20)
    assert "1,048,576 bytes" in client.upload(large, 413)["detail"]

    def chunks() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="model"; filename="m"\r\n\r\n'
        for _ in range(40):
            yield b"x" * (1 << 16)
        yield b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert "1,048,576 bytes" in client.ask("POST", "/models/a/versions", 413, data=chunks(), headers=headers)["detail"]
    client.ask("GET", "/models", 200)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/models/nobody/versions/1", 404),
        ("GET", "/models/nobody/versions/1/model.onnx", 404),
        ("GET", "/models/..%2Fstorage/versions/1", 404),
        ("GET", "/models/Nobody/versions/1", 422),
        ("GET", "/models/nobody/versions/one", 422),
        ("DELETE", "/models/nobody/versions/1", 404),
        ("DELETE", "/models/nobody/tags/paper", 404),
        ("GET", "/models?since=soon", 422),
        ("GET", "/docs", 404),
        ("POST", "/models/nobody/versions", 422),
    ],
)
def test_mistakes_have_their_status(client: Client, method: str, path: str, status: int) -> None:
    client.ask(method, path, status)


def test_what_is_served_cannot_be_deleted(client: Client, repository: ModelRepository) -> None:
    repository.publish(card_of("kept", b"one"), b"one", InstanceSettings())
    assert "is served or tried" in client.ask("DELETE", "/models/kept/versions/1", 409)["detail"]


class ContestedStorage(Storage):
    """In which another run always replaces a pointer just before this one does."""

    def replace_bytes(self, key: str, data: bytes, held: Held) -> Artifact:
        self.publish_bytes(key, b'{"theirs": 1}')
        return super().replace_bytes(key, data, held)


def test_of_two_that_write_at_once_one_is_told(tmp_path: Path) -> None:
    import uvicorn

    from jec_assets.serving.repository_service import repository_service

    ModelRepository(Storage(str(tmp_path))).store(card_of("pfn", b"one"), b"one")
    service, port = repository_service(ModelRepository(ContestedStorage(str(tmp_path))), TOKEN), free_port()
    server = uvicorn.Server(uvicorn.Config(service, port=port, log_level="warning"))
    with ThreadPoolExecutor(1) as pool:
        pool.submit(server.run)
        try:
            wait_for_port(port, 60)
            client = Client(f"http://127.0.0.1:{port}")
            said = client.ask("PUT", "/models/pfn/tags/paper", 409, json={"version": 1})
            client.session.close()
        finally:
            server.should_exit = True
    assert "another run replaced it" in said["detail"]


def test_a_model_that_takes_too_long_or_too_much_hurts_nobody(pfn_onnx: bytes) -> None:
    widths = card_of("pfn", pfn_onnx).widths
    with pytest.raises(InvalidModelError, match="takes more than 0 s"):
        check_model(pfn_onnx, widths, Limits(seconds=0.0))
    with pytest.raises(InvalidModelError, match="dies of the model, or it needs too much memory"):
        check_model(pfn_onnx, widths, Limits(memory=1 << 26))
    check_model(pfn_onnx, widths)


def test_a_weak_token_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("short\n")
    command = [sys.executable, "-m", "jec_assets.cli", "models", "serve", f"--token-file={tmp_path / 'token'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "16 characters or more" in done.stderr
    assert "Traceback" not in done.stderr
