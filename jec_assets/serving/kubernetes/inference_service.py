"""Triton as an InferenceService, where KServe is installed.

Belongs here: the object that KServe makes Pods of, and what its status says. Does not belong here: what is in a Pod
(`pod.py`).

KServe makes a Deployment of it ("Standard" mode, which older releases call RawDeployment), whose Pods load models when
they are asked to, as everywhere. How KServe serves releases of models that nobody loads, scaled to zero and with
canaries, is in deployments/kserve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.serving.kubernetes.deployment import replicas_service, service
from jec_assets.serving.kubernetes.plan import LABELS
from jec_assets.serving.kubernetes.pod import pod_annotations, pod_labels, pod_spec

if TYPE_CHECKING:
    from jec_assets.cluster.apply import Manifest
    from jec_assets.serving.kubernetes.plan import EndpointPlan

API_VERSION, KIND = "serving.kserve.io/v1beta1", "InferenceService"
# KServe gives this name to Services of its own: it can't be that of ours.
KSERVE_NAME = "jec-triton"
CONTAINER = "kserve-container"  # KServe's own name for the one that answers


def manifests(plan: EndpointPlan) -> list[Manifest]:
    """All that is applied, in this order: the Services lead to KServe's Pods by their labels."""
    return [service(plan), replicas_service(plan), inference_service(plan)]


def inference_service(plan: EndpointPlan) -> Manifest:
    """The InferenceService."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": KSERVE_NAME,
            "labels": LABELS,
            "annotations": {"serving.kserve.io/deploymentMode": "RawDeployment"},
        },
        "spec": {
            "predictor": {
                **pod_spec(plan, CONTAINER),
                "minReplicas": plan.replicas,
                "maxReplicas": plan.replicas,
                "labels": pod_labels(plan),
                "annotations": pod_annotations(plan),
            }
        },
    }


def what_lacks(held: Manifest) -> str | None:
    """What an InferenceService lacks to be ready as applied; None where it is."""
    status = held.get("status") or {}
    if status.get("observedGeneration", 0) < held["metadata"]["generation"]:
        return "KServe hasn't begun with it"
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    if conditions.get("Ready", {}).get("status") == "True":
        return None
    lacking = [each for each in conditions.values() if each["status"] != "True"]
    said = [f"{each['type']}: {each.get('message') or each.get('reason') or 'not yet'}" for each in lacking]
    return "; ".join(said) or "KServe hasn't said anything of it"
