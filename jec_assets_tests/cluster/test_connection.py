"""Finding a cluster, and its errors in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kubernetes import client
from kubernetes.client import ApiException

from jec_assets.cluster.connection import (
    ClusterError,
    ForbiddenError,
    UnreachableClusterError,
    connect,
    patiently,
    told,
)
from jec_assets_tests.processes import free_port


def _refusal(status: int, body: str) -> ApiException:
    error = ApiException(status=status, reason="Refused")
    error.body = body
    return error


def test_where_no_cluster_is_known_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    with pytest.raises(ClusterError, match="set KUBECONFIG"):
        connect()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, ForbiddenError),
        (422, ClusterError),
        (500, ClusterError),
        (429, UnreachableClusterError),
        (503, UnreachableClusterError),
    ],
)
def test_a_refusal_says_what_was_asked_and_what_was_answered(status: int, kind: type[ClusterError]) -> None:
    body = json.dumps({"kind": "Status", "message": "because of the moon"})
    with (
        pytest.raises(ClusterError, match=r"apply Service jec: .*because of the moon") as caught,
        told("apply Service jec"),
    ):
        raise _refusal(status, body)
    assert type(caught.value) is kind


def test_an_answer_that_is_not_kubernetes_own_is_shown_as_it_is() -> None:
    with pytest.raises(UnreachableClusterError, match="<html>Bad gateway"), told("apply Service jec"):
        raise _refusal(502, "<html>Bad gateway</html>")


def test_what_is_not_answered_now_is_asked_again_and_what_is_refused_is_not() -> None:
    answers = iter([_refusal(503, "{}"), _refusal(429, "{}"), _refusal(403, "{}")])
    asked = 0

    @patiently
    def ask() -> None:
        nonlocal asked
        asked += 1
        with told("read"):
            raise next(answers)

    with pytest.raises(ForbiddenError):
        ask()
    assert asked == 3


def test_a_server_that_is_gone_is_named() -> None:
    configuration = client.Configuration(host=f"http://127.0.0.1:{free_port()}")
    configuration.retries = False
    with (
        client.ApiClient(configuration) as api,
        pytest.raises(UnreachableClusterError, match="API server doesn't answer"),
        told("list Pods"),
    ):
        client.CoreV1Api(api).list_namespaced_pod("any")
