"""What of Triton is wanted on a cluster.

Belongs here: the choices that manifests are made from, and the names that everything on the cluster goes by. Does not
belong here: the manifests (`pod.py`, `deployment.py`, `inference_service.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from jec_assets.serving.command_line import Ports

NAME = "jec-endpoint"  # of the Deployment, the Service and the service account
REPLICAS_NAME = f"{NAME}-replicas"
TOKEN_SECRET, TOKEN_KEY = "jec-endpoint", "token"
S3_SECRET, SETTINGS_MAP = "jec-s3", "jec-settings"
PORTS = Ports(http=8000, grpc=8001, metrics=8002)
# Finds the Pods. The rest of an object's labels are for people and tools.
SELECTOR = {"app.kubernetes.io/name": "triton", "app.kubernetes.io/instance": NAME}
LABELS = {
    **SELECTOR,
    "app.kubernetes.io/component": "endpoint",
    "app.kubernetes.io/part-of": "jec-assets",
    "app.kubernetes.io/managed-by": "jec-assets",
}


@dataclass(frozen=True)
class EndpointPlan:
    """What is to serve.

    repository: as Triton reads it. image, command: whose `command`, given Triton's options, is Triton. ports: of each
    replica and of the Service. gpus: of each replica.
    """

    repository: str
    image: str
    command: tuple[str, ...]
    ports: Ports = PORTS
    replicas: int = 1
    gpus: int = 0
