"""The model repository on a real S3 server, served from there by the real Triton."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import numpy as np
import pytest

from jec_assets.jets.packed import PackedJets
from jec_assets.serving import reachable
from jec_assets.serving.candidate import candidate_of
from jec_assets.serving.client import JetClient
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.deployment import load_served, promote, rollback, try_out
from jec_assets.serving.layout import ROOT
from jec_assets.serving.reachable import UnreachableRepositoryError
from jec_assets.serving.record import PublishedModel
from jec_assets.serving.repository import ModelRepository, Retention, is_configured
from jec_assets.serving.runtime import inference_session
from jec_assets.serving.selftest import self_test
from jec_assets.serving.served import publish_endpoint
from jec_assets.serving.tags import set_tag, tags_of
from jec_assets.serving.triton import LocalTriton
from jec_assets.serving.version_store import BrokenRepositoryError
from jec_assets.storage import ConflictError, Storage
from jec_assets_tests.faulty_s3 import FaultyS3, answering, cutting, faulty_s3, silent
from jec_assets_tests.s3 import make_bucket
from jec_assets_tests.serving.conftest import card_of
from jec_assets_tests.serving.repositories import DyingStorage, Killed

pytestmark = pytest.mark.needs("s3")
SETTINGS = InstanceSettings()


@pytest.fixture
def root(s3: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix of its own in a bucket."""
    make_bucket(s3, "models", monkeypatch)
    return f"s3://models/{request.node.name}"


@pytest.fixture
def behind_proxy(
    s3: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[FaultyS3, ModelRepository]]:
    """What stands between a repository and its server, and the repository; a second of silence is enough."""
    monkeypatch.setattr(reachable, "TIMEOUT", 1.0)
    with faulty_s3(s3) as proxy:
        make_bucket(proxy.url, "models", monkeypatch)
        yield proxy, ModelRepository(Storage(f"s3://models/{request.node.name}"))


@pytest.fixture
def remote(root: str) -> ModelRepository:
    return ModelRepository(Storage(root), Retention(stored=2, served=2))


def test_versions_promotions_tags_and_retention_are_those_of_a_folder(remote: ModelRepository) -> None:
    assert remote.families() == ()
    for number in range(1, 5):
        remote.publish(card_of("pfn", b"model %d" % number), b"model %d" % number, SETTINGS)
    assert remote.families() == ("pfn",)
    assert remote.versions("pfn") == (3, 4)
    remote.check("pfn")
    assert is_configured(remote.uri, "pfn")
    assert not is_configured(remote.uri, "particle_net")
    assert remote.rollback("pfn").version == 3
    set_tag(remote.storage, "pfn", "paper", 3)
    assert tags_of(remote.storage, "pfn") == {"paper": 3}
    remote.remove("pfn", 4)
    assert remote.versions("pfn") == (3,)
    assert remote.publish(card_of("pfn", b"model 5"), b"model 5", SETTINGS).version == 5
    remote.storage.publish_bytes(f"{ROOT}/pfn/5/model.onnx", b"damaged")
    with pytest.raises(BrokenRepositoryError, match=r"pfn/5/model.onnx is damaged"):
        remote.check("pfn")


def test_a_publish_that_is_killed_at_any_step_leaves_the_old_version_served(root: str) -> None:
    repository = ModelRepository(Storage(root))
    first = repository.publish(card_of("pfn", b"one"), b"one", SETTINGS)
    for writes in range(4):
        dying = DyingStorage(root)
        object.__setattr__(dying, "writes_left", writes)
        with pytest.raises(Killed):
            ModelRepository(dying).publish(card_of("pfn", b"two"), b"two", SETTINGS)
        assert repository.current("pfn") == first
    repository.check("pfn")
    assert repository.publish(card_of("pfn", b"two"), b"two", SETTINGS).version == 4  # two numbers were taken in vain


def test_of_runs_that_publish_at_once_one_gets_through_and_nothing_is_mixed(root: str) -> None:
    publishers, start = 4, Barrier(4)

    def publish(number: int) -> PublishedModel | None:
        start.wait()
        onnx = b"model %d" % number
        try:
            return ModelRepository(Storage(root)).publish(card_of("pfn", onnx), onnx, SETTINGS)
        except ConflictError:
            return None

    with ThreadPoolExecutor(publishers) as pool:
        published = [model for model in pool.map(publish, range(publishers)) if model is not None]
    repository = ModelRepository(Storage(root))
    repository.check("pfn")
    assert repository.current("pfn") in published
    for version in repository.versions("pfn"):
        repository.onnx(repository.model("pfn", version))


@pytest.mark.needs("triton")
def test_while_s3_is_gone_loaded_models_are_served_and_promotions_fail_at_once(
    behind_proxy: tuple[FaultyS3, ModelRepository],
    own_triton: LocalTriton,
    pfn_onnx: bytes,
    other_pfn_onnx: bytes,
    jets: PackedJets,
) -> None:
    proxy, repository = behind_proxy
    first = repository.publish(card_of("pfn", pfn_onnx), pfn_onnx, SETTINGS)
    repository.store(card_of("pfn", other_pfn_onnx), other_pfn_onnx)
    endpoint = own_triton.start_or_reuse(repository.uri)
    publish_endpoint(repository.storage, endpoint)
    load_served(endpoint, repository, ["pfn"])
    with JetClient.of(endpoint, "http") as client:
        expected, asked = client.log_factors("pfn", jets), len(proxy.requests)
        for fault in (cutting, silent(), answering(503, "ServiceUnavailable")):
            proxy.inject(fault, times=1_000_000)
            for act in (partial(promote, repository, "pfn", 2), partial(load_served, endpoint, repository, ["pfn"])):
                with pytest.raises(UnreachableRepositoryError, match=r"doesn't answer within 1 s.*served all the same"):
                    act()
            np.testing.assert_array_equal(client.log_factors("pfn", jets), expected)
            proxy.heal()
        assert set(proxy.requests[asked:]) == {("GET", "/")}, "more was asked than whether it is there"
        assert repository.current("pfn") == first
        promote(repository, "pfn", 2)
        assert client.model("pfn").versions == (1, 2)


@pytest.mark.needs("triton")
def test_triton_serves_from_s3_and_follows_promotions(
    remote: ModelRepository, own_triton: LocalTriton, pfn_onnx: bytes, other_pfn_onnx: bytes, jets: PackedJets
) -> None:
    first = remote.publish(card_of("pfn", pfn_onnx), pfn_onnx, SETTINGS)
    endpoint = own_triton.start_or_reuse(remote.uri)
    publish_endpoint(remote.storage, endpoint)
    assert load_served(endpoint, remote, ["pfn"]) == (first,)
    assert self_test(endpoint, remote, first, jets).max_abs_difference == 0

    second = remote.store(card_of("pfn", other_pfn_onnx), other_pfn_onnx)
    try_out(endpoint, remote, second)
    expected = inference_session(other_pfn_onnx, 1).predict(jets)
    with JetClient.of(endpoint, "http") as client:
        np.testing.assert_array_equal(client.log_factors("pfn.candidate", jets), expected)
        assert client.model("pfn").versions == (1,)
        promote(remote, "pfn", 2)
        assert candidate_of(remote, "pfn") is None
        assert client.model("pfn").versions == (1, 2)
        np.testing.assert_array_equal(client.log_factors("pfn", jets), expected)
        assert rollback(remote, "pfn").model == first
        assert client.model("pfn").versions == (1,)


@pytest.mark.needs("triton")
def test_a_configuration_is_noticed_though_it_follows_another_within_a_second(
    remote: ModelRepository, own_triton: LocalTriton, pfn_onnx: bytes, other_pfn_onnx: bytes
) -> None:
    first = remote.publish(card_of("pfn", pfn_onnx), pfn_onnx, SETTINGS)
    endpoint = own_triton.start_or_reuse(remote.uri)
    publish_endpoint(remote.storage, endpoint)
    load_served(endpoint, remote, ["pfn"])
    second = remote.store(card_of("pfn", other_pfn_onnx), other_pfn_onnx)
    third = remote.store(card_of("pfn", pfn_onnx), pfn_onnx)
    with JetClient.of(endpoint, "http") as client:
        for _ in range(3):
            time.sleep(1 - time.time() % 1)
            promote(remote, "pfn", 2)
            assert rollback(remote, "pfn").model == first
            assert client.model("pfn").versions == (1,)
        time.sleep(1 - time.time() % 1)
        for model in second, third:
            try_out(endpoint, remote, model)
            assert client.model("pfn.candidate").versions == (model.version,)
