"""The documented reverse proxy, with the real nginx, in front of the real gate and the real Triton."""

from __future__ import annotations

import asyncio
import getpass
import http.client
import json
import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import uproot
from click.testing import Result
from numpy.typing import NDArray
from typer.testing import CliRunner

from jec_assets.cli import app
from jec_assets.jets.packed import PackedJets
from jec_assets.jets.schema import TREE
from jec_assets.serving.access import Access
from jec_assets.serving.async_client import AsyncJetClient
from jec_assets.serving.client import JetClient
from jec_assets.serving.endpoint import ready
from jec_assets.serving.patience import Patience
from jec_assets.serving.predictors import ServedPredictor
from jec_assets.serving.tensors import MAX_JETS, MAX_SLOTS, PaddedJets
from jec_assets.serving.transport import PROTOCOLS, Protocol, RequestRefusedError, ServerUnavailableError
from jec_assets_tests.processes import ended, free_port, wait_for_port
from jec_assets_tests.serving.conftest import Served
from jec_assets_tests.serving.damage import as_binary, as_json, good
from jec_assets_tests.serving.gates import running_gate
from jec_assets_tests.toy_jets import toy_jets, write_jet_file

pytestmark = [pytest.mark.needs("triton"), pytest.mark.needs("nginx")]

TEMPLATE = Path(__file__).parents[2] / "deployments/proxy/jec.conf.template"
TOKEN = "1f" * 32  # as long as `openssl rand -hex 32` makes them
INFER = "/v2/models/pfn/infer"
GRPC_METHOD = "/inference.GRPCInferenceService/{}"


@dataclass(frozen=True)
class Proxy:
    """A running nginx: its port, and the certificate that it shows."""

    port: int
    certificate: Path

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """The status and the answer to an HTTP request."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=30, context=context)
        try:
            connection.request(
                method, path, body, headers if headers is not None else {"Authorization": f"Bearer {TOKEN}"}
            )
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def known(self, **headers: str) -> dict[str, str]:
        """Headers of a request with the token."""
        return {"Authorization": f"Bearer {TOKEN}", **{name.replace("_", "-"): text for name, text in headers.items()}}


@pytest.fixture(scope="module")
def proxy(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder, port = tmp_path_factory.mktemp("proxy"), free_port()
    certificate, key = folder / "jec.crt", folder / "jec.key"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*request, *names], check=True, capture_output=True)
    values = {
        "JEC_PROXY_LISTEN": f"127.0.0.1:{port}",
        "JEC_PROXY_CERTIFICATE": str(certificate),
        "JEC_PROXY_KEY": str(key),
        "JEC_PROXY_TOKEN": TOKEN,
        "JEC_TRITON_HTTP": served.endpoint.http,
        "JEC_TRITON_GRPC": served.endpoint.grpc,
    }
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = f"user {getpass.getuser()}; daemon off; pid {folder}/pid; error_log stderr; events {{}}"
    (folder / "nginx.conf").write_text(f"{whole} http {{ access_log off; {places} include {folder}/jec.conf; }}")
    command = ["nginx", "-c", str(folder / "nginx.conf"), "-e", "stderr"]
    with running_gate(served.endpoint.http, folder / "gate.log") as gate, (folder / "log").open("wb") as log:
        values["JEC_GATE_HTTP"] = gate.address
        (folder / "jec.conf").write_text(re.sub(r"\$\{(\w+)\}", lambda name: values[name[1]], TEMPLATE.read_text()))
        with ended(subprocess.Popen(command, stdout=log, stderr=log)):
            wait_for_port(port, 20)
            yield Proxy(port, certificate)


@pytest.fixture
def batch(jets: PackedJets) -> PaddedJets:
    return PaddedJets.of(jets.slice(0, 3))


def test_whoever_has_the_token_is_answered_over_http_as_without_a_proxy(
    proxy: Proxy, served: Served, batch: PaddedJets
) -> None:
    body, headers = as_binary(good(batch))
    with closing(http.client.HTTPConnection(served.endpoint.http)) as connection:
        connection.request("POST", INFER, body, headers)
        direct = connection.getresponse().read()
    assert proxy.ask("POST", INFER, body, {**proxy.known(), **headers}) == (200, direct)
    status, answer = proxy.ask("POST", INFER, as_json(good(batch)))
    assert (status, json.loads(answer)["outputs"][0]["shape"]) == (200, [3, 1])
    assert proxy.ask("GET", "/v2/health/ready") == (200, b"")
    assert json.loads(proxy.ask("GET", "/v2/models/pfn/stats")[1])["model_stats"][0]["name"] == "pfn"


def test_whoever_has_the_token_is_answered_over_grpc_as_without_a_proxy(
    proxy: Proxy, served: Served, batch: PaddedJets
) -> None:
    import tritonclient.grpc as triton

    inputs = [
        triton.InferInput(name, list(array.shape), kind)
        for (name, array), kind in zip(batch.arrays.items(), ("FP32", "INT64", "FP32"), strict=True)
    ]
    for tensor, array in zip(inputs, batch.arrays.values(), strict=True):
        tensor.set_data_from_numpy(array)
    with (
        triton.InferenceServerClient(
            f"localhost:{proxy.port}", ssl=True, root_certificates=str(proxy.certificate)
        ) as client,
        triton.InferenceServerClient(served.endpoint.grpc) as direct,
    ):
        answer = client.infer("pfn", inputs, headers={"authorization": f"Bearer {TOKEN}"})
        np.testing.assert_array_equal(answer.as_numpy("log_factor"), direct.infer("pfn", inputs).as_numpy("log_factor"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_our_clients_get_through_with_tls_and_the_token(
    proxy: Proxy, served: Served, jets: PackedJets, protocol: Protocol
) -> None:
    address, access = f"localhost:{proxy.port}", Access(TOKEN, proxy.certificate)
    with JetClient.of(served.endpoint, protocol) as direct:
        expected = direct.log_factors("pfn", jets)

    async def asked() -> np.ndarray:
        async with AsyncJetClient(address, protocol, access=access) as client:
            return await client.log_factors("pfn", jets)

    with JetClient(address, protocol, access=access) as client:
        np.testing.assert_array_equal(client.log_factors("pfn", jets), expected)
        assert client.published("pfn") == served.model
        assert client.statistics("pfn").requests > 0
    np.testing.assert_array_equal(asyncio.run(asked()), expected)
    with closing(ServedPredictor(address, "pfn", protocol, access)) as predictor:
        np.testing.assert_array_equal(predictor.outputs(jets)[:, 0], expected)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_our_clients_tell_why_they_do_not_get_through(proxy: Proxy, jets: PackedJets, protocol: Protocol) -> None:
    address, once = f"localhost:{proxy.port}", Patience(attempts=1)
    for token in (None, "another-token"):
        with (
            JetClient(address, protocol, once, Access(token, proxy.certificate)) as client,
            pytest.raises(RequestRefusedError, match=address),
        ):
            client.log_factors("pfn", jets)
    with (
        JetClient(address, protocol, once) as client,  # no TLS
        pytest.raises((ServerUnavailableError, RequestRefusedError), match=address),
    ):
        client.log_factors("pfn", jets)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_certificate_that_nobody_vouches_for_is_refused_with_the_remedy(
    proxy: Proxy, jets: PackedJets, protocol: Protocol
) -> None:
    address, distrusting = f"localhost:{proxy.port}", Access(TOKEN)

    async def asked() -> None:
        async with AsyncJetClient(address, protocol, access=distrusting) as client:
            await client.log_factors("pfn", jets)

    with (
        JetClient(address, protocol, access=distrusting) as client,
        pytest.raises(RequestRefusedError, match=r"nobody here vouches for: .*--certificates"),
    ):
        client.log_factors("pfn", jets)
    with pytest.raises(RequestRefusedError, match=r"nobody here vouches for: .*--certificates"):
        asyncio.run(asked())


def test_strangers_are_refused(proxy: Proxy, batch: PaddedJets) -> None:
    body, headers = as_binary(good(batch))
    for stranger in ({}, {"Authorization": "Bearer other"}, {"Authorization": f"Basic {TOKEN}"}):
        assert proxy.ask("POST", INFER, body, {**headers, **stranger})[0] == 401
        assert proxy.ask("GET", "/v2/health/ready", headers=stranger)[0] == 401
    assert grpc_status(proxy, "ServerReady", ()) == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "path",
    [
        "/v2/repository/index",
        "/v2/repository/models/pfn/load",
        "/v2/models/../repository/index",
        "/v2/systemsharedmemory/status",
        "/v2/trace/setting",
        "/v2/models/pfn/trace/setting",
        "/v2/logging",
        "/metrics",
        "/json/v2/models/pfn/infer",
    ],
)
def test_nothing_else_of_triton_is_passed_on(proxy: Proxy, path: str) -> None:
    for method in ("GET", "POST"):
        assert proxy.ask(method, path)[0] in {403, 404}


def test_calls_that_load_models_or_share_memory_are_not_passed_on(proxy: Proxy) -> None:
    known = (("authorization", f"Bearer {TOKEN}"),)
    assert grpc_status(proxy, "ServerReady", known) == "OK"
    for call in ("RepositoryIndex", "RepositoryModelLoad", "SystemSharedMemoryStatus", "TraceSetting", "LogSettings"):
        assert grpc_status(proxy, call, known) == "PERMISSION_DENIED"


def test_bodies_beyond_the_limits_are_refused(proxy: Proxy) -> None:
    length = {"Inference_Header_Content_Length": "2"}
    status, answer = proxy.ask("POST", INFER, b"{}" + bytes(3 << 20), proxy.known(**length))
    assert (status, b"inputs: " in answer) == (400, True)  # it reached the gate, which misses the tensors
    assert proxy.ask("POST", INFER, b" " * (3 << 20))[0] == 413
    # Refused by its announced length: nothing of it need be sent.
    assert proxy.ask("POST", INFER, b"", proxy.known(**length, Content_Length=str(65 << 20)))[0] == 413
    assert proxy.ask("POST", INFER, b"x", proxy.known(Content_Encoding="gzip"))[0] == 415


@pytest.mark.parametrize("length", [str(3 << 20), "1000000", "0000002", "-1", "2 ", "2x", "x", "", "2, 2"])
def test_json_beyond_its_limit_is_refused_whatever_length_it_claims(proxy: Proxy, length: str) -> None:
    claimed = {**proxy.known(), "Inference-Header-Content-Length": length}
    # nginx itself takes spaces around a header's value away.
    expected = 400 if length.strip() == "2" else 413
    assert proxy.ask("POST", INFER, b"{}" + b" " * (3 << 20), claimed)[0] == expected
    assert proxy.ask("GET", "/v2/health/ready") == (200, b"")


@pytest.mark.parametrize("shape", [[2**62, 1], [10**9], [2**31, 2**31, 4]])
def test_a_shape_that_ends_a_triton_is_refused_by_name(
    proxy: Proxy, served: Served, batch: PaddedJets, shape: list[int]
) -> None:
    request = good(batch)
    request.tensor("particle_count")["shape"] = shape
    body, headers = as_binary(request)
    for path in (INFER, "/v2/models/pfn/versions/1/infer"):
        for sent, told in ((as_json(request), {}), (body, headers)):
            status, answer = proxy.ask("POST", path, sent, {**proxy.known(), **told})
            assert status == 400
            assert json.loads(answer)["error"].startswith("particle_count.shape: ")
    assert proxy.ask("GET", "/v2/health/ready") == (200, b"")
    assert served.triton.running() == served.endpoint
    assert ready(served.endpoint)


def test_the_largest_request_of_our_client_is_below_the_limits(proxy: Proxy, served: Served) -> None:
    batch = PaddedJets(
        np.zeros((MAX_JETS, MAX_SLOTS // MAX_JETS, 14), np.float32),
        np.ones((MAX_JETS, 1), np.int64),
        np.zeros((MAX_JETS, 9), np.float32),
    )
    with JetClient(f"localhost:{proxy.port}", access=Access(TOKEN, proxy.certificate)) as client:
        assert client.answer("pfn", batch).shape == (MAX_JETS, 1)


def grpc_status(proxy: Proxy, call: str, metadata: tuple[tuple[str, str], ...]) -> str:
    import grpc

    credentials = grpc.ssl_channel_credentials(proxy.certificate.read_bytes())
    with grpc.secure_channel(f"localhost:{proxy.port}", credentials) as channel:
        try:
            channel.unary_unary(GRPC_METHOD.format(call))(b"", timeout=20, metadata=metadata)
        except grpc.RpcError as error:
            return str(error.code().name)
    return "OK"


def test_files_are_calibrated_through_the_proxy_by_whoever_has_the_token(
    proxy: Proxy, served: Served, tmp_path: Path
) -> None:
    source, token = write_jet_file(tmp_path / "in.root", toy_jets(20, seed=5)), tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    where = ["--url", f"localhost:{proxy.port}", "--certificates", str(proxy.certificate)]

    def calibrate(out: str, *options: str) -> Result:
        words = ["calibrate", str(source), "-o", str(tmp_path / out), "--family", "pfn", *options]
        return CliRunner().invoke(app, words, env={"JEC_STORAGE_ROOT": served.repository.storage.root})

    done = calibrate("out.root", *where, "--token-file", str(token))
    assert "40 jets calibrated by pfn" in done.output
    assert calibrate("local.root", "--local").exit_code == 0
    through, local = (factors(tmp_path / name) for name in ("out.root", "local.root"))
    np.testing.assert_array_equal(through, local)
    stranger = calibrate("none.root", *where)
    assert (stranger.exit_code, (tmp_path / "none.root").exists()) == (1, False)
    assert f"localhost:{proxy.port} wants a token that it knows (--token-file, or Access): 401" in stranger.output


def factors(path: Path) -> NDArray[np.float32]:
    with uproot.open(path) as file:
        return np.asarray(file[TREE]["jetFactor_pfn"].array(library="np"))
