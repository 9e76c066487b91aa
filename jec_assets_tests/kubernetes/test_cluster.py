"""The cluster that the other tests run on is one."""

import pytest
from kubernetes import client

from jec_assets_tests.kubernetes.conftest import Cluster
from jec_assets_tests.kubernetes.installation import PATIENCE, wait_until

pytestmark = pytest.mark.needs("cluster")


def test_a_pod_runs_to_its_end(cluster: Cluster, namespace: str) -> None:
    core = client.CoreV1Api(cluster.api)
    container = client.V1Container(name="only", image="host", command=["true"])
    spec = client.V1PodSpec(containers=[container], restart_policy="Never")
    pod = client.V1Pod(metadata=client.V1ObjectMeta(name="ends"), spec=spec)
    core.create_namespaced_pod(namespace, pod)

    def phase() -> str | None:
        return core.read_namespaced_pod("ends", namespace).status.phase  # type: ignore[no-any-return]

    wait_until(lambda: phase() in {"Succeeded", "Failed"}, PATIENCE, "the Pod doesn't end")
    assert phase() == "Succeeded"
