"""The endpoint applied to a real API server by the account that does so on a cluster; its Pods run the real Triton.

The image is this machine, so the command is this installation's Triton. There is no network of Services: the endpoint
is reached by the URLs that clients outside of a cluster set.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from kubernetes import client

from jec_assets.cluster.connection import ClusterError, ForbiddenError
from jec_assets.jets.packed import PackedJets
from jec_assets.processes import remove_shared_memory
from jec_assets.serving.command_line import Ports
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.deployment import load_served
from jec_assets.serving.endpoint import Endpoint, EndpointError, load
from jec_assets.serving.export import export_onnx
from jec_assets.serving.foreground import shared_memory_of
from jec_assets.serving.kubernetes.applying import ClusterTriton, Reached
from jec_assets.serving.kubernetes.plan import NAME, EndpointPlan
from jec_assets.serving.record import PublishedModel
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.selftest import self_test
from jec_assets.storage import Storage
from jec_assets_tests.kubernetes.access import S3_KEYS, act_as, make_accounts
from jec_assets_tests.kubernetes.conftest import Cluster
from jec_assets_tests.kubernetes.installation import wait_until
from jec_assets_tests.processes import free_port_block
from jec_assets_tests.s3 import make_bucket, s3_server
from jec_assets_tests.serving.conftest import card_of, make_jets, small_network

pytestmark = pytest.mark.needs("cluster")

PATIENCE = 300.0  # seconds, on a busy machine


@dataclass(frozen=True)
class Place:
    """A namespace with the accounts and Secrets of an installation, and this process acting there as jec-run."""

    cluster: Cluster
    namespace: str
    folder: Path
    said: list[str]

    def triton(self, repository: str, command: tuple[str, ...]) -> ClusterTriton:
        """One on ports of its own."""
        first = free_port_block(3)
        reached = Reached(str(self.folder / "token"), f"127.0.0.1:{first}", f"127.0.0.1:{first + 1}")
        plan = EndpointPlan(repository, "host", command, Ports(first, first + 1, first + 2))
        return ClusterTriton(self.namespace, plan, reached)

    def on_other_ports(self, triton: ClusterTriton) -> ClusterTriton:
        """The same after a change of a setting."""
        other = self.triton(triton.plan.repository, triton.plan.command)
        return replace(triton, plan=replace(triton.plan, ports=other.plan.ports), reached=other.reached)

    def apply(self, triton: ClusterTriton, seconds: float = PATIENCE) -> Endpoint:
        self.said.clear()
        return triton.apply(seconds, self.said.append)

    def deployment(self) -> client.V1Deployment:
        return client.AppsV1Api(self.cluster.api).read_namespaced_deployment(NAME, self.namespace)

    def pods(self) -> set[str]:
        pods = client.CoreV1Api(self.cluster.api).list_namespaced_pod(self.namespace).items
        return {pod.metadata.name for pod in pods if pod.metadata.deletion_timestamp is None}


@pytest.fixture
def place(cluster: Cluster, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    make_accounts(cluster, namespace)
    token = secrets.token_urlsafe(24)
    (tmp_path / "token").write_text(token)
    make_secret(cluster, namespace, NAME, {"token": token})
    act_as(cluster, "jec-run", namespace, tmp_path, monkeypatch).close()
    yield Place(cluster, namespace, tmp_path, [])
    client.AppsV1Api(cluster.api).delete_collection_namespaced_deployment(namespace)


def make_secret(cluster: Cluster, namespace: str, name: str, values: dict[str, str]) -> None:
    secret = client.V1Secret(metadata=client.V1ObjectMeta(name=name), string_data=values)
    client.CoreV1Api(cluster.api).create_namespaced_secret(namespace, secret)


@pytest.fixture
def own_triton(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """The command of this installation's Triton, with a work folder of its own."""
    work = tmp_path / "work"
    yield "env", f"JEC_WORK_FOLDER={work}", str(Path(sys.executable).with_name("jec")), "triton"
    remove_shared_memory(shared_memory_of(work))


@pytest.fixture
def repository(
    tmp_path_factory: pytest.TempPathFactory, place: Place, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ModelRepository]:
    """A repository on S3 with a network that nobody trained, for whom the cluster has the keys."""
    with s3_server(tmp_path_factory.mktemp("s3")) as url:
        make_bucket(url, "models", monkeypatch)
        make_secret(place.cluster, place.namespace, "jec-s3", S3_KEYS)
        settings = client.V1ConfigMap(
            metadata=client.V1ObjectMeta(name="jec-settings"), data={"AWS_DEFAULT_REGION": "us-east-1"}
        )
        client.CoreV1Api(place.cluster.api).create_namespaced_config_map(place.namespace, settings)
        yield ModelRepository(Storage("s3://models/jec"))


@pytest.fixture
def published(repository: ModelRepository) -> PublishedModel:
    onnx = export_onnx(small_network("pfn", seed=1))
    return repository.publish(card_of("pfn", onnx), onnx, InstanceSettings())


@pytest.fixture(scope="module")
def jets() -> PackedJets:
    return make_jets(50, seed=5)


@pytest.mark.needs("triton")
@pytest.mark.needs("s3")
def test_it_serves_from_s3_and_is_changed_only_by_a_change(
    place: Place,
    own_triton: tuple[str, ...],
    repository: ModelRepository,
    published: PublishedModel,
    jets: PackedJets,
) -> None:
    triton = place.triton(repository.uri, own_triton)
    endpoint = place.apply(triton)
    assert place.said[:3] == [
        f"Service {NAME}: applied",
        f"Service {NAME}-replicas: applied",
        f"Deployment {NAME}: applied",
    ]
    assert load_served(endpoint, repository, ["pfn"]) == (published,)
    assert self_test(endpoint, repository, published, jets).max_abs_difference == 0
    with pytest.raises(EndpointError):  # who doesn't know the token has nothing loaded
        load(replace(endpoint, token_file=None), [published])

    before, pods = place.deployment().metadata, place.pods()
    assert place.apply(triton) == endpoint
    assert load_served(endpoint, repository, ["pfn"]) == (published,)
    after = place.deployment().metadata
    assert all(line.endswith("is as it should be") for line in place.said)
    assert (after.generation, after.resource_version, place.pods()) == (
        before.generation,
        before.resource_version,
        pods,
    )

    changed = place.on_other_ports(triton)
    moved = place.apply(changed)
    assert place.deployment().metadata.generation == before.generation + 1
    assert place.pods().isdisjoint(pods)
    # A Pod serves what is published from its start, also where nobody is there to load it.
    assert self_test(moved, repository, published, jets).max_abs_difference == 0


def test_a_command_that_crashes_is_told_with_its_last_lines(place: Place, tmp_path: Path) -> None:
    crashing = place.triton(str(tmp_path), ("sh", "-c", "echo no such backend; exit 3"))
    with pytest.raises(ClusterError, match=r"will not run: (.|\n)*no such backend"):
        place.apply(crashing)


def test_a_secret_that_is_not_there_is_named(place: Place, tmp_path: Path) -> None:
    client.CoreV1Api(place.cluster.api).delete_namespaced_secret(NAME, place.namespace)
    with pytest.raises(ClusterError, match=r"will not run: .*CreateContainerConfigError(.|\n)*make the Secret"):
        place.apply(place.triton(str(tmp_path), ("sleep", "600")))


def test_one_that_runs_and_does_not_answer_is_waited_for_no_longer_than_said(place: Place, tmp_path: Path) -> None:
    silent = place.triton(str(tmp_path), ("sh", "-c", "exec sleep 600"))
    with pytest.raises(ClusterError, match="doesn't run after 0 s"):
        place.apply(silent, seconds=0)
    wait_until(lambda: place.deployment().status.available_replicas == 1, PATIENCE, "the Pod doesn't run")
    with pytest.raises(ClusterError, match=r"doesn't run after 3 s: http://127.0.0.1:\d+ can't be reached from here"):
        place.apply(silent, seconds=3)


def test_an_account_without_the_right_is_told_which(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    act_as(place.cluster, "jec-code", place.namespace, tmp_path, monkeypatch).close()
    with pytest.raises(ForbiddenError, match=r'jec-code" cannot get resource "services".*grant this right'):
        place.apply(place.triton(str(tmp_path), ("sleep", "600")))


def test_replicas_that_cannot_be_reached_one_by_one_are_refused(place: Place, tmp_path: Path) -> None:
    triton = place.triton(str(tmp_path), ("sleep", "600"))
    with pytest.raises(EndpointError, match="each of 2 replicas loads models for itself"):
        place.apply(replace(triton, plan=replace(triton.plan, replicas=2)))
    with pytest.raises(EndpointError, match="JEC_ENDPOINT_TOKEN_FILE"):
        place.apply(replace(triton, reached=replace(triton.reached, token_file=None)))
