"""A training on several machines as what every Kubernetes has: an Indexed Job, and a Service that names its pods.

Belongs here: the two manifests. Does not belong here: pods (`start.py`). Pure functions on plain dictionaries.

Kubernetes 1.24 or later: the pods of an Indexed Job have stable names, `<job>-<index>.<service>`, which the Service
makes known before they are ready, since none is until it has met the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.training.nodes.start import KEPT, PORT

if TYPE_CHECKING:
    from jec_assets.cluster.apply import Manifest
    from jec_assets.training.nodes.start import Start

INDEX = "JOB_COMPLETION_INDEX"


def indexed_job(start: Start) -> list[Manifest]:
    """The Service and the Job, in the order in which they are applied; the last one is what is followed."""
    template = start.template("node", f"{start.name}-0.{start.name}", INDEX)
    template["spec"] |= {"subdomain": start.name, "restartPolicy": "Never"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": start.metadata(),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": start.labels,
            "ports": [{"name": "rendezvous", "port": PORT, "protocol": "TCP"}],
        },
    }
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": start.metadata(),
        "spec": {
            "completionMode": "Indexed",
            "completions": start.nodes,
            "parallelism": start.nodes,
            "backoffLimit": 0,
            "activeDeadlineSeconds": start.seconds,
            "ttlSecondsAfterFinished": KEPT,
            "template": template,
        },
    }
    return [service, job]
