"""What strangers may do with a local server: ask models, and nothing else."""

from __future__ import annotations

import ast
import json
import stat
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

import jec_assets
from jec_assets.jets.packed import PackedJets
from jec_assets.serving.endpoint import Endpoint, EndpointError, load, unload
from jec_assets.serving.instances import served_versions
from jec_assets.serving.tensors import PaddedJets
from jec_assets_tests.serving.conftest import Served
from jec_assets_tests.serving.fuzz import Fuzzer
from jec_assets_tests.serving.gates import running_gate

PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


@pytest.mark.needs("triton")
def test_files_in_a_load_request_are_refused_and_never_run(served: Served, tmp_path: Path) -> None:
    import tritonclient.grpc
    import tritonclient.http
    from tritonclient.utils import InferenceServerException

    ran = tmp_path / "ran"
    program = f"open({str(ran)!r}, 'w').close()\nclass TritonPythonModel: pass\n"
    config = json.dumps({"backend": "python", "input": [], "output": []})
    for library, address in ((tritonclient.http, served.endpoint.http), (tritonclient.grpc, served.endpoint.grpc)):
        with (
            library.InferenceServerClient(address) as client,
            pytest.raises(InferenceServerException, match="restrict"),
        ):
            client.load_model("evil", config=config, files={"file:1/model.py": program.encode()})
    assert not ran.exists()
    assert served_versions(served.endpoint) >= {("pfn", 1)}


@pytest.mark.needs("triton")
@pytest.mark.parametrize(
    "path",
    [
        "/v2/repository/index",
        "/v2/repository/models/pfn/load",
        "/v2/repository/models/pfn/unload",
        "/v2/systemsharedmemory/status",
        "/v2/systemsharedmemory/region/x/register",
        "/v2/cudasharedmemory/status",
        "/v2/trace/setting",
        "/v2/models/pfn/trace/setting",
        "/v2/logging",
    ],
)
@pytest.mark.parametrize("header", [{}, {"jec-management-token": "guessed"}])
def test_whoever_lacks_the_token_manages_nothing(served: Served, path: str, header: dict[str, str]) -> None:
    with closing(HTTPConnection(served.endpoint.http, timeout=20)) as connection:
        for method in ("GET", "POST"):
            connection.request(method, path, b"{}", header)
            response = connection.getresponse()
            assert response.status in {400, 403, 404, 405}, (method, response.read())
            response.read()


@pytest.mark.needs("triton")
def test_the_token_is_read_by_its_user_alone_and_is_nowhere_else(served: Served) -> None:
    endpoint = served.endpoint
    assert stat.S_IMODE(served.triton.token_file.stat().st_mode) == 0o600
    token = served.triton.token_file.read_text()
    assert len(token) >= 32
    assert token not in repr(endpoint)
    assert token not in (served.triton.folder / "server.json").read_text()
    assert token not in served.triton.log.read_text()
    stranger = Endpoint("local", endpoint.http, endpoint.grpc)
    with pytest.raises(EndpointError, match="restricted"):
        load(stranger, [served.model])
    with pytest.raises(EndpointError, match="restricted"):
        unload(stranger, "pfn")
    lost = Endpoint("local", endpoint.http, endpoint.grpc, token_file=str(served.triton.folder / "absent"))
    with pytest.raises(EndpointError, match=r"managed by whoever may read .*absent: No such file"):
        load(lost, [served.model])
    load(endpoint, [served.model])


@pytest.mark.needs("triton")
@pytest.mark.parametrize("seed", range(2))
def test_damaged_requests_are_refused_by_name_and_leave_the_server_as_it_was(
    served: Served, jets: PackedJets, seed: int
) -> None:
    """A small part of what `python -m jec_assets_tests.serving.fuzz` sends."""
    outcome = Fuzzer(served.endpoint, "pfn", PaddedJets.of(jets.slice(0, 3)), seed).run(300)
    outcome.check()
    assert sum(outcome.statuses.values()) > 280


@pytest.mark.needs("triton")
@pytest.mark.parametrize("seed", range(2))
def test_no_request_through_a_gate_ends_the_server(served: Served, jets: PackedJets, seed: int, tmp_path: Path) -> None:
    """The same with requests among them that end a Triton which gets them."""
    log = tmp_path / "log"
    with running_gate(served.endpoint.http, log) as gate:
        outcome = Fuzzer(served.endpoint, "pfn", PaddedJets.of(jets.slice(0, 3)), seed, gate).run(300)
    outcome.check()
    assert sum(outcome.statuses.values()) > 290
    assert "Traceback" not in log.read_text()


def test_nothing_here_unpickles() -> None:
    """Neither pickle nor what is made of it is imported, and torch and NumPy are never let load it."""
    for source in sorted(Path(jec_assets.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Import):
                assert not PICKLES & {name.name.split(".")[0] for name in node.names}, source
            if isinstance(node, ast.ImportFrom):
                assert str(node.module).split(".")[0] not in PICKLES, source
            if isinstance(node, ast.Call):
                _check_call(node, source)


def _check_call(call: ast.Call, source: Path) -> None:
    options = {option.arg: option.value for option in call.keywords}
    allowed = options.get("allow_pickle")
    assert allowed is None or (isinstance(allowed, ast.Constant) and allowed.value is False), source
    if ast.unparse(call.func) == "torch.load":
        weights = options.get("weights_only")
        assert isinstance(weights, ast.Constant), source
        assert weights.value is True, source
