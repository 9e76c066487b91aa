"""The Pod in which Triton serves, the same whatever makes it.

Belongs here: container, probes, resources and security, each with its reason. Does not belong here: how many Pods there
are and how they are reached (`deployment.py`, `inference_service.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.serving.command_line import STACK, restrictions, server_options
from jec_assets.serving.kubernetes.plan import LABELS, NAME, S3_SECRET, SELECTOR, SETTINGS_MAP, TOKEN_KEY, TOKEN_SECRET
from jec_assets.storage import digest_of

if TYPE_CHECKING:
    from jec_assets.cluster.apply import Manifest
    from jec_assets.serving.kubernetes.plan import EndpointPlan

USER = 1000  # NVIDIA's image has files of its own for this user, and nothing in ours asks who reads it
TOKEN_VARIABLE = "JEC_MANAGEMENT_TOKEN"  # noqa: S105  the variable's name
# So that Pods of one revision can be told from those before.
REVISION = "jec-assets/revision"
# The shell becomes the server. It is there for the stack of Triton's threads, and because the token comes by reference.
_START = f'ulimit -s {STACK >> 10} || true; exec "$@" {{}}'
ALL_MODELS = "*"
# Seconds: a first start loads every model from S3 and tries it. A server that is ready says so within milliseconds, but
# one whose cores are taken may need a while; it is started again only after a minute of silence.
STARTS_WITHIN, PERIOD, SILENCE = 300, 5, 60
# Until every node knows that a Pod is going, requests still come to it.
DRAIN = 5
SHARED_MEMORY = "256Mi"  # between Triton and its Python backend; the largest batch takes some 20 MiB of it


def pod_labels(plan: EndpointPlan) -> dict[str, str]:
    """Labels of the Pods of this plan, and of no other's."""
    return {**LABELS, REVISION: digest_of([pod_spec(plan), pod_annotations(plan)])[:16]}


def pod_annotations(plan: EndpointPlan) -> dict[str, str]:
    """Where Prometheus finds Triton's metrics."""
    return {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(plan.ports.metrics),
        "prometheus.io/path": "/metrics",
    }


def pod_spec(plan: EndpointPlan, container_name: str = "triton") -> Manifest:
    """The Pod. It has no rights in the cluster's API, and writes only to what goes with it."""
    spec: Manifest = {
        "serviceAccountName": NAME,
        "automountServiceAccountToken": False,
        # Names and addresses of all Services would be put into its environment.
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(plan, container_name)],
        "volumes": [
            {"name": "scratch", "emptyDir": {"sizeLimit": "4Gi"}},
            {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": SHARED_MEMORY}},
        ],
    }
    if plan.gpus:
        spec["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    if plan.replicas > 1:
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": SELECTOR},
            }
        ]
    return spec


def _container(plan: EndpointPlan, name: str) -> Manifest:
    ports = plan.ports
    quoted = " ".join(f'"{option}"' for option in restrictions(f"${TOKEN_VARIABLE}"))
    options = server_options(plan.repository, ports, [ALL_MODELS])
    return {
        "name": name,
        "image": plan.image,
        "command": ["/bin/sh", "-c", _START.format(quoted), "triton", *plan.command, *options],
        "env": _environment(plan),
        "ports": [
            {"name": "http", "containerPort": ports.http, "protocol": "TCP"},
            {"name": "grpc", "containerPort": ports.grpc, "protocol": "TCP"},
            {"name": "metrics", "containerPort": ports.metrics, "protocol": "TCP"},
        ],
        "startupProbe": _probe("ready", PERIOD, STARTS_WITHIN),
        "readinessProbe": _probe("ready", PERIOD, 2 * PERIOD),
        "livenessProbe": _probe("live", 2 * PERIOD, SILENCE),
        "lifecycle": {"preStop": {"exec": {"command": ["/bin/sh", "-c", f"sleep {DRAIN}"]}}},
        "resources": _resources(plan.gpus),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108  Triton's copies of what lies on S3
            {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108
        ],
    }


def _environment(plan: EndpointPlan) -> list[Manifest]:
    variables: list[Manifest] = [
        {
            "name": TOKEN_VARIABLE,
            "valueFrom": {"secretKeyRef": {"name": TOKEN_SECRET, "key": TOKEN_KEY}},
        },
        {"name": "HOME", "value": "/tmp"},  # noqa: S108
        {"name": "JEC_WORK_FOLDER", "value": "/tmp/jec"},  # noqa: S108
    ]
    if plan.gpus:
        # Products of 10-bit numbers, which GPUs take for those of 32 bits, move a prediction by a thousandth.
        variables.append({"name": "NVIDIA_TF32_OVERRIDE", "value": "0"})
    if plan.repository.startswith("s3://"):
        keys = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
        # Where nodes or service accounts have rights on S3 themselves, there is no Secret.
        variables += [{"name": key, "valueFrom": {"secretKeyRef": _optional(S3_SECRET, key)}} for key in keys]
        region = "AWS_DEFAULT_REGION"
        variables.append({"name": region, "valueFrom": {"configMapKeyRef": _optional(SETTINGS_MAP, region)}})
    return variables


def _optional(name: str, key: str) -> Manifest:
    return {"name": name, "key": key, "optional": True}


def _probe(what: str, period: int, patience: int) -> Manifest:
    return {
        "httpGet": {"path": f"/v2/health/{what}", "port": "http", "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": period,
        "failureThreshold": patience // period,
    }


def _resources(gpus: int) -> Manifest:
    """Each model computes with one thread, and is some MB, of which Triton has copies on the disk.

    The three models of the fast profile take 0.2 GiB in all on a CPU, answering 1,024 jets at a time; NVIDIA's image,
    CUDA and networks of larger studies may take several times that. No limit of cores: a server that is held back for a
    tenth of a second answers that much later.
    """
    requested, most = ("2Gi", "8Gi") if gpus else ("1Gi", "4Gi")
    resources: Manifest = {
        "requests": {"cpu": "1", "memory": requested, "ephemeral-storage": "1Gi"},
        "limits": {"memory": most, "ephemeral-storage": "6Gi"},
    }
    if gpus:
        resources["limits"]["nvidia.com/gpu"] = str(gpus)
    return resources
