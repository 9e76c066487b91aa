"""Applying the endpoint to a cluster until it answers.

Belongs here: the order of things. Does not belong here: what is applied (`deployment.py`, `inference_service.py`) and
the cluster (`jec_assets.cluster`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jec_assets.cluster.apply import apply
from jec_assets.cluster.connection import connect
from jec_assets.cluster.rollout import Awaited, Patience, deployment_lacks, wait_until_it_runs
from jec_assets.serving.endpoint import Endpoint, EndpointError, ready, replicas_of
from jec_assets.serving.kubernetes import deployment, inference_service
from jec_assets.serving.kubernetes.plan import NAME, REPLICAS_NAME
from jec_assets.serving.kubernetes.pod import pod_labels
from jec_assets.serving.reachable import require_reachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from jec_assets.cluster.apply import Manifest
    from jec_assets.serving.kubernetes.plan import EndpointPlan


@dataclass(frozen=True)
class Reached:
    """How steps reach what is applied.

    token_file: holds what the Secret jec-endpoint holds. http, grpc: host:port, where it isn't the Service's name
    because steps run outside of the cluster.
    """

    token_file: str | None
    http: str = ""
    grpc: str = ""


@dataclass(frozen=True)
class ClusterTriton:
    """Triton on a cluster. workload: what makes its Pods."""

    namespace: str
    plan: EndpointPlan
    reached: Reached
    workload: Literal["deployment", "kserve"] = "deployment"

    def manifests(self) -> list[Manifest]:
        """All that is applied, in this order."""
        if self.workload == "kserve":
            return inference_service.manifests(self.plan)
        return deployment.manifests(self.plan)

    def endpoint(self) -> Endpoint:
        """Where steps find it; EndpointError where they couldn't do there what they must."""
        reached, ports, host = self.reached, self.plan.ports, f"{NAME}.{self.namespace}.svc"
        if reached.token_file is None:
            raise EndpointError(
                f"set JEC_ENDPOINT_TOKEN_FILE to a file with what the Secret {NAME} in {self.namespace} holds: without "
                "it, whoever reaches Triton could have it load models"
            )
        if reached.http:
            self._require_one_server()
            http, grpc = (each.rpartition("://")[2].rstrip("/") for each in (reached.http, reached.grpc))
            return Endpoint("kubernetes", http, grpc, token_file=reached.token_file)
        http, grpc, metrics = (f"{host}:{port}" for port in (ports.http, ports.grpc, ports.metrics))
        replicas = f"{REPLICAS_NAME}.{self.namespace}.svc"
        return Endpoint("kubernetes", http, grpc, metrics, token_file=reached.token_file, replicas=replicas)

    def apply(self, seconds: float, say: Callable[[str], object]) -> Endpoint:
        """Have the cluster run it; nothing happens where it does so already.

        seconds: that it may take until it answers. Raises ClusterError, EndpointError and UnreachableRepositoryError.
        """
        endpoint = self.endpoint()
        require_reachable(self.plan.repository)
        with connect() as api:
            for manifest in self.manifests():
                applied = apply(api, manifest, self.namespace)
                say(f"{applied.kind} {applied.name}: {'applied' if applied.changed else 'is as it should be'}")
            patience = Patience(seconds, say)
            wait_until_it_runs(api, self._awaited(), self.namespace, patience, lambda: self._silent(endpoint))
        return endpoint

    def _silent(self, endpoint: Endpoint) -> str | None:
        """Who doesn't answer from here, be it that a replica of before still has a name; None where all do."""
        try:
            servers = replicas_of(endpoint)
        except EndpointError as error:
            return str(error)
        silent = [each.url for each in (endpoint, *servers) if not ready(each)]
        if silent:
            return f"{', '.join(dict.fromkeys(silent))} can't be reached from here"
        if len(servers) != self.plan.replicas:
            return f"{endpoint.replicas} stands for {len(servers)} servers, not {self.plan.replicas}"
        return None

    def _awaited(self) -> Awaited:
        pods = pod_labels(self.plan)
        if self.workload == "kserve":
            kind = inference_service.API_VERSION, inference_service.KIND, inference_service.KSERVE_NAME
            return Awaited(*kind, pods, inference_service.what_lacks)
        return Awaited("apps/v1", "Deployment", NAME, pods, deployment_lacks)

    def _require_one_server(self) -> None:
        if self.plan.replicas > 1:
            raise EndpointError(
                f"each of {self.plan.replicas} replicas loads models for itself, and only inside of the cluster is "
                "each of them reached: leave JEC_ENDPOINT_URL empty, or set JEC_ENDPOINT_REPLICAS=1"
            )
