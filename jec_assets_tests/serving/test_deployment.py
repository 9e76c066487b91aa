"""Promotion and rollback with the real Triton."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event

import numpy as np
import psutil
import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.serving.client import JetClient
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.deployment import Deployed, load_served, promote, rollback, running_endpoint
from jec_assets.serving.endpoint import EndpointError, load, unload
from jec_assets.serving.instances import served_versions
from jec_assets.serving.reachable import UnreachableRepositoryError
from jec_assets.serving.repository import ModelRepository, NothingBeforeError
from jec_assets.serving.runtime import inference_session
from jec_assets.serving.triton import LocalTriton
from jec_assets.serving.version_store import BrokenRepositoryError
from jec_assets.storage import StorageError
from jec_assets_tests.serving.conftest import Served, card_of
from jec_assets_tests.serving.rollouts import REFUSED, answers, published, versions

pytestmark = pytest.mark.needs("triton")
SETTINGS = InstanceSettings()


def test_a_promotion_reaches_the_running_server(
    served: Served, family: str, pfn_onnx: bytes, other_pfn_onnx: bytes, jets: PackedJets
) -> None:
    published(served, family, pfn_onnx)
    second = served.repository.store(card_of(family, other_pfn_onnx), other_pfn_onnx)
    deployed = promote(served.repository, family, second.version)
    assert deployed.endpoint is not None
    assert deployed.endpoint.http == served.endpoint.http
    expected = inference_session(other_pfn_onnx, 1).predict(jets)
    np.testing.assert_array_equal(answers(served, family, jets), expected)
    np.testing.assert_array_equal(answers(served, family, jets, "2"), expected)
    np.testing.assert_array_equal(answers(served, family, jets, "1"), inference_session(pfn_onnx, 1).predict(jets))
    assert rollback(served.repository, family).model.version == 1
    np.testing.assert_array_equal(answers(served, family, jets), inference_session(pfn_onnx, 1).predict(jets))
    with pytest.raises(REFUSED):
        answers(served, family, jets, "2")
    with pytest.raises(NothingBeforeError):
        rollback(served.repository, family)


def test_clients_that_name_a_version_are_answered_all_along(
    served: Served, family: str, pfn_onnx: bytes, other_pfn_onnx: bytes, jets: PackedJets
) -> None:
    published(served, family, pfn_onnx)
    served.repository.store(card_of(family, other_pfn_onnx), other_pfn_onnx)
    few, done = jets.slice(0, 10), Event()
    expected = inference_session(pfn_onnx, 1).predict(few)

    def ask() -> int:
        asked = 0
        with JetClient.of(served.endpoint, "http") as client:
            while not done.is_set() or asked == 0:
                np.testing.assert_array_equal(client.log_factors(family, few, "1"), expected)
                asked += 1
        return asked

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            promote(served.repository, family, 2)
            rollback(served.repository, family)
        finally:
            done.set()
        assert asking.result() >= 1


def test_a_version_that_cannot_be_served_changes_nothing(served: Served, family: str, pfn_onnx: bytes) -> None:
    repository = served.repository
    first = published(served, family, pfn_onnx)
    before = repository.configuration(family)
    repository.store(card_of(family, b"garbage"), b"garbage")
    with pytest.raises(EndpointError, match="can't load a model of 7 bytes"):
        promote(repository, family, 2)
    assert repository.configuration(family) == before
    assert versions(served, family) == (1,)
    load(served.endpoint, [first])


def test_a_damaged_file_is_never_given_to_the_server(
    served: Served, family: str, pfn_onnx: bytes, other_pfn_onnx: bytes
) -> None:
    repository = served.repository
    published(served, family, pfn_onnx)
    repository.publish(card_of(family, other_pfn_onnx), other_pfn_onnx, SETTINGS)
    (Path(repository.uri) / family / "2/model.onnx").write_bytes(pfn_onnx)  # a fine model, but not this one
    with pytest.raises(EndpointError, match=r"2/model.onnx is damaged or missing"):
        load_served(served.endpoint, repository, [family])
    assert versions(served, family) == (1,)
    with pytest.raises(BrokenRepositoryError, match="is damaged"):
        promote(repository, family, 2)
    rollback(repository, family)
    load_served(served.endpoint, repository, [family])


@pytest.mark.parametrize(
    ("damaged", "content"), [("config.pbtxt", b"\xff"), ("1/model.json", b"{}"), ("config.pbtxt", None)]
)
def test_one_family_that_is_damaged_keeps_no_other_from_being_served(
    served: Served, family: str, damaged: str, content: bytes | None, pfn_onnx: bytes
) -> None:
    repository, whole = served.repository, f"{family[:50]}_whole"
    for each in (family, whole):
        repository.publish(card_of(each, pfn_onnx), pfn_onnx, SETTINGS)
    file = Path(repository.uri) / family / damaged
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(EndpointError, match=f"holds no version of {family}" if content is None else f"^{file}"):
        load_served(served.endpoint, repository, [family, whole])
    assert versions(served, whole) == (1,)
    unload(served.endpoint, whole)


@pytest.mark.parametrize("act", [partial(promote, version=2), rollback])
def test_a_server_that_hangs_is_not_taken_for_none(
    served: Served, family: str, act: Callable[..., Deployed], networks: tuple[bytes, bytes]
) -> None:
    repository = served.repository
    published(served, family, networks[0])
    repository.store(card_of(family, networks[1]), networks[1])
    before, server = repository.configuration(family), psutil.Process(served.endpoint.pid)
    server.suspend()
    try:
        with pytest.raises(EndpointError, match=f"{served.endpoint.url} is there and isn't ready"):
            act(repository, family)
    finally:
        server.resume()
    assert repository.configuration(family) == before
    assert running_endpoint(repository.storage) == served.endpoint


@pytest.mark.parametrize("fault", [UnreachableRepositoryError("gone"), StorageError("gone"), KeyboardInterrupt()])
def test_whatever_interrupts_a_promotion_or_rollback_leaves_what_was_served(
    repository: ModelRepository, fault: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.publish(card_of("pfn", b"one"), b"one", SETTINGS)
    repository.publish(card_of("pfn", b"two"), b"two", SETTINGS)
    repository.store(card_of("pfn", b"three"), b"three")
    before = repository.configuration("pfn")

    def failing(*_: object) -> None:
        raise fault

    monkeypatch.setattr(ModelRepository, "check", failing)
    for act in (partial(promote, version=3), rollback):
        with pytest.raises(type(fault)):
            act(repository, "pfn")
        assert repository.configuration("pfn") == before


@pytest.mark.parametrize("damage", ["another model", "no digest"])
def test_the_server_itself_refuses_what_was_not_published(
    own_triton: LocalTriton, repository: ModelRepository, damage: str, networks: tuple[bytes, bytes]
) -> None:
    """By a server of its own: Triton 2.51 rarely, on a busy machine, ends after one of two versions failed to load."""
    first, second = (repository.publish(card_of("pfn", onnx), onnx, SETTINGS) for onnx in networks)
    folder = Path(repository.uri) / "pfn"
    if damage == "another model":
        (folder / "2/model.onnx").write_bytes(networks[0])
        said = rf"2/model.onnx of pfn is damaged: its digest is not the published {second.onnx_digest}; publish"
    else:
        config = (folder / "config.pbtxt").read_text()
        (folder / "config.pbtxt").write_text(config.replace("2/model.onnx", "3/model.onnx"))
        said = r"config.pbtxt has no digest of 2/model.onnx: publish pfn again"
    whole = (folder / "config.pbtxt").read_text()
    rollback(repository, "pfn")
    endpoint = own_triton.start_or_reuse(repository.uri)
    load(endpoint, [first])
    (folder / "config.pbtxt").write_text(whole)
    with pytest.raises(EndpointError, match=said):
        load(endpoint, [second])
    assert served_versions(endpoint) == {("pfn", first.version)}


def test_without_a_running_server_the_repository_alone_changes(repository: ModelRepository) -> None:
    repository.publish(card_of("pfn", b"one"), b"one", SETTINGS)
    repository.store(card_of("pfn", b"two"), b"two")
    assert running_endpoint(repository.storage) is None
    assert promote(repository, "pfn", 2).endpoint is None
    assert rollback(repository, "pfn").model.version == 1
