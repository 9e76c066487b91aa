"""Applying objects to a real API server."""

from __future__ import annotations

from typing import Any

import pytest
from kubernetes import client

from jec_assets.cluster.apply import apply, delete, listed, read
from jec_assets.cluster.connection import ClusterError
from jec_assets_tests.kubernetes.conftest import Cluster

pytestmark = pytest.mark.needs("cluster")


def _config_map(**data: str) -> dict[str, Any]:
    metadata = {"name": "one", "labels": {"app.kubernetes.io/part-of": "jec-assets"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def test_an_object_is_made_changed_and_left_as_it_is(cluster: Cluster, namespace: str) -> None:
    with cluster.api as api:
        assert read(api, "v1", "ConfigMap", "one", namespace) is None
        assert apply(api, _config_map(a="1", b="2"), namespace).changed
        made = read(api, "v1", "ConfigMap", "one", namespace)
        assert not apply(api, _config_map(a="1", b="2"), namespace).changed
        assert read(api, "v1", "ConfigMap", "one", namespace) == made, "nothing is written again"
        assert apply(api, _config_map(a="3"), namespace).changed
        held = read(api, "v1", "ConfigMap", "one", namespace)
        assert held is not None
        assert held["data"] == {"a": "3"}, "what is named no more goes"


def test_what_others_set_beside_it_stays_and_what_they_changed_is_put_right(cluster: Cluster, namespace: str) -> None:
    with cluster.api as api:
        apply(api, _config_map(a="1"), namespace)
        theirs = {"metadata": {"annotations": {"owner": "them"}}, "data": {"a": "theirs", "c": "3"}}
        client.CoreV1Api(api).patch_namespaced_config_map("one", namespace, theirs)
        assert apply(api, _config_map(a="1"), namespace).changed
        held = read(api, "v1", "ConfigMap", "one", namespace)
        assert held is not None
        assert held["data"] == {"a": "1", "c": "3"}
        assert held["metadata"]["annotations"] == {"owner": "them"}
        assert not apply(api, _config_map(a="1"), namespace).changed


def test_what_a_controller_notes_while_it_is_looked_at_is_no_change(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the controller of Deployments notes their revision, a moment after they were made."""
    with cluster.api as api:
        apply(api, _config_map(a="1"), namespace)
        looks = []

        def noted_after(*arguments: Any) -> dict[str, Any] | None:
            held = read(*arguments)
            if not looks:
                note = {"metadata": {"annotations": {"controller": "revision 1"}}}
                client.CoreV1Api(api).patch_namespaced_config_map("one", namespace, note)
            looks.append(held)
            return held

        monkeypatch.setattr("jec_assets.cluster.apply.read", noted_after)
        assert not apply(api, _config_map(a="1"), namespace).changed
        assert len(looks) == 2
        assert apply(api, _config_map(a="2"), namespace).changed
        assert len(looks) == 3, "what is to be changed is seen at once"


def test_objects_are_found_by_their_labels_and_removed_once(cluster: Cluster, namespace: str) -> None:
    with cluster.api as api:
        apply(api, _config_map(), namespace)
        labels = {"app.kubernetes.io/part-of": "jec-assets"}
        assert [each["metadata"]["name"] for each in listed(api, "v1", "ConfigMap", namespace, labels)] == ["one"]
        assert listed(api, "v1", "ConfigMap", namespace, labels | {"other": "label"}) == []
        assert delete(api, "v1", "ConfigMap", "one", namespace)
        assert not delete(api, "v1", "ConfigMap", "one", namespace)


def test_a_kind_that_the_cluster_lacks_and_an_object_that_it_refuses_are_named(
    cluster: Cluster, namespace: str
) -> None:
    with cluster.api as api:
        unknown = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": {"name": "one"}}
        with pytest.raises(ClusterError, match=r"knows no InferenceService of serving\.kserve\.io/v1beta1"):
            apply(api, unknown, namespace)
        wrong = _config_map() | {"metadata": {"name": "Not_A_Name"}}
        with pytest.raises(ClusterError, match=f"apply ConfigMap Not_A_Name in {namespace}: .*is invalid"):
            apply(api, wrong, namespace)
        with pytest.raises(ClusterError, match='namespaces "no-such-place" not found'):
            apply(api, _config_map(), "no-such-place")
