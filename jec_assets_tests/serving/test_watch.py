"""What dies is started again within seconds, and said; with the real Triton."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.processes import SHARED_MEMORY, is_running
from jec_assets.serving.candidate import remove_candidate
from jec_assets.serving.client import JetClient
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.deployment import try_out
from jec_assets.serving.endpoint import Endpoint, load_again, ready
from jec_assets.serving.installation import TritonMissingError
from jec_assets.serving.instances import models_without_a_process, served_versions
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.transport import RequestRefusedError, ServerUnavailableError
from jec_assets.serving.triton import LocalTriton, ServerState
from jec_assets.serving.watch import LONGEST_PAUSE, Watcher, serve_watched
from jec_assets.storage import Storage, StorageError
from jec_assets_tests.serving.conftest import card_of
from jec_assets_tests.serving.test_shared_memory import killed_client, regions
from jec_assets_tests.test_processes import wait_until

pytestmark = pytest.mark.needs("triton")


@dataclass
class Watched:
    """A server with two models and a broken one, and its watcher."""

    triton: LocalTriton
    endpoint: Endpoint
    repository: ModelRepository

    @property
    def server(self) -> psutil.Process:
        state = self.triton.state()
        assert state is not None
        return psutil.Process(state.pid)

    def process_of(self, model: str) -> psutil.Process:
        """The living process that computes for a model."""
        children = [child for child in self.server.children() if is_running(child)]
        return next(child for child in children if f"{model}_0_0" in child.cmdline())

    def said(self, what: str) -> bool:
        return what in (self.triton.folder / "watch.log").read_text()

    def answers(self, model: str, jets: PackedJets) -> bool:
        try:
            with JetClient(self.endpoint.http) as client:
                client.log_factors(model, jets)
        except (RequestRefusedError, ServerUnavailableError):
            return False
        return True


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, pfn_onnx: bytes) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    repository = ModelRepository(Storage(str(folder / "storage")))
    for family, onnx in (("pfn", pfn_onnx), ("other", pfn_onnx), ("broken", b"garbage")):
        repository.publish(card_of(family, onnx), onnx, InstanceSettings())
    triton = LocalTriton(folder)
    try:
        yield Watched(triton, serve_watched(triton, repository.uri, ["pfn", "other", "broken"]), repository)
    finally:
        triton.stop()


def test_what_can_be_loaded_answers_as_soon_as_the_server_is_ready(watched: Watched, jets: PackedJets) -> None:
    assert served_versions(watched.endpoint) == {("pfn", 1), ("other", 1)}
    assert watched.answers("pfn", jets)
    assert watched.answers("other", jets)
    assert not watched.answers("broken", jets)


def test_one_watcher_is_enough(watched: Watched) -> None:
    wait_until(lambda: len(watched.triton.watchers()) == 1)
    before = watched.triton.watchers()
    again = serve_watched(LocalTriton(watched.triton.folder.parent), watched.repository.uri, ["pfn"])
    assert again == watched.endpoint
    assert watched.triton.watchers() == before


def test_a_model_that_lost_its_process_is_loaded_again_and_the_others_are_served_on(
    watched: Watched, jets: PackedJets
) -> None:
    other, server = watched.process_of("other"), watched.server
    watched.process_of("pfn").kill()
    wait_until(lambda: watched.said("pfn is served again"))
    assert watched.said("a process of pfn died")
    assert watched.answers("pfn", jets)
    assert (watched.process_of("other"), watched.server) == (other, server)
    # Triton never waits for a process that it didn't end itself: what is left of it is no fault.
    assert watched.triton.running() == watched.endpoint


def test_a_killed_server_is_started_again_where_it_was(watched: Watched, jets: PackedJets) -> None:
    before = watched.server
    before.kill()
    wait_until(lambda: watched.said(f"the server (process {before.pid}) died"))
    wait_until(lambda: watched.answers("pfn", jets) and watched.answers("other", jets), seconds=60)
    assert watched.server != before
    assert watched.endpoint.http == watched.triton.running().http  # type: ignore[union-attr]


def test_a_server_that_hangs_is_replaced(watched: Watched, jets: PackedJets) -> None:
    before = watched.server
    before.send_signal(signal.SIGSTOP)
    wait_until(lambda: watched.said(f"the server (process {before.pid}) doesn't answer"), seconds=60)
    wait_until(lambda: watched.answers("pfn", jets), seconds=60)
    assert not before.is_running()


def test_memory_shared_with_a_client_that_was_killed_is_free_again(watched: Watched) -> None:
    with killed_client(watched.endpoint):
        (name,) = regions(watched.endpoint)
    wait_until(lambda: watched.said(f"{name} was shared with a client that ended"))
    assert regions(watched.endpoint) == {}


def test_a_shape_that_ends_triton_ends_it_for_seconds(watched: Watched, jets: PackedJets) -> None:
    import http.client
    import json

    before = watched.server
    tensor = {"name": "jets", "datatype": "FP32", "shape": [2**62, 1], "data": [0.0]}
    connection = http.client.HTTPConnection(watched.endpoint.http)
    connection.request("POST", "/v2/models/pfn/infer", json.dumps({"inputs": [tensor]}))
    with pytest.raises(ConnectionError):
        connection.getresponse()
    connection.close()
    wait_until(lambda: watched.said(f"the server (process {before.pid}) died"))
    wait_until(lambda: watched.answers("pfn", jets), seconds=60)


def test_a_model_that_cannot_be_loaded_again_is_tried_until_it_can(watched: Watched, jets: PackedJets) -> None:
    config = Path(watched.repository.uri) / "other" / "config.pbtxt"
    whole = config.read_bytes()
    config.write_bytes(b"garbage")
    watched.process_of("other").kill()
    wait_until(lambda: watched.said("failed to load 'other'"))
    before = watched.process_of("pfn")
    before.kill()  # its turn comes after that of one that can't be mended
    wait_until(lambda: watched.answers("pfn", jets))
    assert watched.process_of("pfn") != before
    config.write_bytes(whole)
    wait_until(lambda: watched.answers("other", jets), seconds=2 * LONGEST_PAUSE)


def test_a_version_that_is_withdrawn_is_not_missed(watched: Watched, jets: PackedJets) -> None:
    name = try_out(watched.endpoint, watched.repository, watched.repository.model("pfn", 1))
    wait_until(lambda: watched.answers(name, jets))
    (Path(watched.repository.uri) / name / "config.pbtxt").unlink()
    watched.process_of(name).kill()
    wait_until(lambda: watched.said(f"{name} is withdrawn"))
    assert watched.answers("pfn", jets)
    remove_candidate(watched.repository, "pfn")


class FailingTriton(LocalTriton):
    """Stands for a server whose every look raises something else, until it is stopped."""

    faults: ClassVar[list[Exception]]

    def state(self) -> ServerState | None:
        if self.faults:
            raise self.faults.pop(0)
        return None


def test_what_may_pass_is_said_and_ends_no_watcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("jec_assets.serving.watch.time.sleep", pauses.append)
    faults = psutil.NoSuchProcess(7), OSError("disk full"), TritonMissingError("no Triton"), StorageError("no server")
    FailingTriton.faults = list(faults)
    Watcher(FailingTriton(tmp_path)).watch()
    assert pauses == [1, 2, 4, 8]
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == [str(each) for each in faults]
    assert [bool(record.exc_info) for record in caplog.records] == [True, True, False, False]
    FailingTriton.faults = [TypeError("a bug")]
    with pytest.raises(TypeError, match="a bug"):
        Watcher(FailingTriton(tmp_path)).watch()


def test_stopping_ends_the_watcher_too_and_leaves_nothing(watched: Watched) -> None:
    watchers, server = watched.triton.watchers(), watched.server
    assert watched.triton.stop()
    assert not any(is_running(process) for process in [*watchers, server])
    assert not ready(watched.endpoint)
    assert list(SHARED_MEMORY.glob(f"{watched.triton._shared_memory}*")) == []
    assert not watched.triton.token_file.exists()


def test_a_model_is_missed_only_while_it_lacks_a_process(
    own_triton: LocalTriton, repository: ModelRepository, pfn_onnx: bytes
) -> None:
    repository.publish(card_of("pfn", pfn_onnx), pfn_onnx, InstanceSettings(instances=2))
    endpoint = own_triton.start_or_reuse(repository.uri, ["pfn"])
    assert endpoint.pid is not None
    server = psutil.Process(endpoint.pid)
    assert len(server.children()) == 2
    assert models_without_a_process(endpoint, server) == set()
    os.kill(server.children()[1].pid, signal.SIGKILL)
    assert models_without_a_process(endpoint, server) == {"pfn"}
    load_again(endpoint, "pfn")
    assert models_without_a_process(endpoint, server) == set()
