"""A Kubernetes cluster for tests: a real API server with real controllers, and namespaces of each test's own."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jec_assets_tests.processes import free_port_block

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

PORTS = 5  # API server, etcd twice, controllers, node
GPUS = 2


@dataclass(frozen=True)
class Cluster:
    """A cluster with its administrator's kubeconfig; `folder` is the test cluster's own, None for somebody else's."""

    kubeconfig: Path
    folder: Path | None

    @property
    def api(self) -> ApiClient:
        """A client with the administrator's rights."""
        from kubernetes import config

        return config.new_client_from_config(str(self.kubeconfig))


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster that JEC_TEST_CLUSTER's script starts, else KUBECONFIG's."""
    script = os.environ.get("JEC_TEST_CLUSTER")
    if script is None:
        yield Cluster(Path(os.environ["KUBECONFIG"]), None)
        return
    with started_cluster(Path(script), tmp_path_factory.mktemp("cluster")) as started:
        yield started


@contextmanager
def started_cluster(script: Path, folder: Path) -> Iterator[Cluster]:
    """A cluster of its own while the block lasts, for tests that break one."""
    environment = os.environ | {"PYTHON": sys.executable}
    port = free_port_block(PORTS)
    try:
        subprocess.run(
            [str(script), "up", str(folder), "--port", str(port), "--gpus", str(GPUS)], env=environment, check=True
        )
        yield Cluster(folder / "kubeconfig", folder)
    finally:
        subprocess.run([str(script), "down", str(folder)], env=environment, check=True)


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own, gone with all that is in it when the test ends."""
    from kubernetes import client

    core, name = client.CoreV1Api(cluster.api), f"test-{uuid.uuid4().hex[:8]}"
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    yield name
    core.delete_namespace(name)
