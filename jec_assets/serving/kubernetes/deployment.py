"""Triton as a Deployment behind a Service.

Belongs here: how many Pods there are, how one follows another, how they are reached. Does not belong here: what is in a
Pod (`pod.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.serving.kubernetes.plan import LABELS, NAME, REPLICAS_NAME, SELECTOR
from jec_assets.serving.kubernetes.pod import pod_annotations, pod_labels, pod_spec

if TYPE_CHECKING:
    from jec_assets.cluster.apply import Manifest
    from jec_assets.serving.kubernetes.plan import EndpointPlan

REVISIONS = 3  # that `kubectl rollout undo` can go back to


def manifests(plan: EndpointPlan) -> list[Manifest]:
    """All that is applied, in this order."""
    return [service(plan), replicas_service(plan), deployment(plan)]


def deployment(plan: EndpointPlan) -> Manifest:
    """The replicas."""
    # The next Pod is ready before one ends; but few clusters have a GPU to spare for the time in between.
    surge, unavailable = (0, 1) if plan.gpus else (1, 0)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "labels": LABELS},
        "spec": {
            "replicas": plan.replicas,
            "revisionHistoryLimit": REVISIONS,
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable},
            },
            "selector": {"matchLabels": SELECTOR},
            "template": {
                "metadata": {"labels": pod_labels(plan), "annotations": pod_annotations(plan)},
                "spec": pod_spec(plan),
            },
        },
    }


def service(plan: EndpointPlan) -> Manifest:
    """Where clients find a replica that is ready."""
    return _service(NAME, plan)


def replicas_service(plan: EndpointPlan) -> Manifest:
    """A name that stands for every replica: each loads models for itself."""
    headless = _service(REPLICAS_NAME, plan)
    headless["spec"]["clusterIP"] = "None"
    return headless


def _service(name: str, plan: EndpointPlan) -> Manifest:
    ports = {"http": plan.ports.http, "grpc": plan.ports.grpc, "metrics": plan.ports.metrics}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": LABELS},
        "spec": {
            "type": "ClusterIP",
            "selector": SELECTOR,
            "ports": [
                {"name": each, "port": port, "targetPort": each, "protocol": "TCP"} for each, port in ports.items()
            ],
        },
    }
