"""What each step asks of a Kubernetes cluster, where it runs as a Job of its own (JEC_EXECUTOR=kubernetes).

Belongs here: cores, memory, disk, GPUs and rights of a step's pod, each with its reason, and what becomes of a step
whose pod died. Does not belong here: what all pods of an installation have in common (security, folders, secrets, how
long finished Jobs are kept): the instance's `dagster.yaml` says it once, for runs and steps.

A request is what the fast profile takes, so that a laptop's cluster finds room for it; a limit is what the full study
may take. Cores have no limit, only a share: a pod may use those that nobody else wants.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from jec_assets.settings import Settings
    from jec_assets.training.nodes.follow import Nodes

POOL = "gpu"  # trials at a time on the whole cluster: `dagster instance concurrency set gpu N`
POWERLESS = "jec-code"  # an account without rights in the cluster's API, for whoever has no business there
APPLIES_THE_ENDPOINT = "jec-run"
STARTS_NODES = "jec-training"

# Long enough for the longest of its kind, and the end of one that hangs, or that waits for a node that never comes.
HOURS = 3600
# NCCL and torch hand tensors from process to process here; a container has 64 MiB, which two GPUs' buffers exceed.
SHARED_MEMORY = "2Gi"


@dataclass(frozen=True)
class Needs:
    """What a pod takes. Memory and disk in GiB: (requested, limit)."""

    cores: float
    memory: tuple[float, float]
    disk: tuple[float, float]
    hours: int

    @property
    def resources(self) -> dict[str, dict[str, str]]:
        """As a container asks for them."""
        memory, disk = ([f"{round(gibibytes * 1024)}Mi" for gibibytes in each] for each in (self.memory, self.disk))
        cores = f"{round(self.cores * 1000)}m"
        return {
            "requests": {"cpu": cores, "memory": memory[0], "ephemeral-storage": disk[0]},
            "limits": {"memory": memory[1], "ephemeral-storage": disk[1]},
        }


# A step's pod that dies (killed, evicted, its node gone) is started again, later each time; a trial goes on from its
# checkpoint. Whatever is broken for good costs two minutes more until it is said.
RETRIES = dg.RetryPolicy(max_retries=3, delay=10, backoff=dg.Backoff.EXPONENTIAL)


def step_tags(needs: Needs, account: str = POWERLESS, **environment: int) -> dict[str, Any]:
    """The `op_tags` of an asset or a check. environment: variables beside those of the cluster's ConfigMap.

    Libraries that start a thread a core are told how many cores are theirs: they would count all of the node's.
    """
    threads = max(1, int(needs.cores))
    variables = {"OMP_NUM_THREADS": threads, "POLARS_MAX_THREADS": threads} | environment
    config = {
        "container_config": {
            "env": [{"name": name, "value": str(value)} for name, value in variables.items()],
            "resources": needs.resources,
        },
        "pod_spec_config": {"service_account_name": account},
        "job_spec_config": {"active_deadline_seconds": needs.hours * HOURS},
    }
    return {"dagster-k8s/config": config}


def _with_endpoint_token(tags: dict[str, Any]) -> dict[str, Any]:
    """The same for a step that has the endpoint load models: JEC_ENDPOINT_TOKEN_FILE lies in this folder."""
    config, name = tags["dagster-k8s/config"], "endpoint-token"
    mount = {"name": name, "mount_path": "/etc/jec-endpoint", "read_only": True}
    # For the group that the Pod's volumes belong to.
    secret = {"secret_name": "jec-endpoint", "default_mode": 0o440}
    config["container_config"]["volume_mounts"] = [mount]
    config["pod_spec_config"]["volumes"] = [{"name": name, "secret": secret}]
    return tags


# Listings, indices of splits, reports' tables and figures, the page: what importing the libraries takes, and one core.
SMALL = step_tags(Needs(cores=0.5, memory=(0.75, 4), disk=(0.5, 10), hours=4))
# Files are read side by side, each by a process that holds a part of one; what they write lies on the disk until it is
# published. Four processes have a quarter of the memory each; by default there would be one for each core of the node.
READING = step_tags(Needs(cores=2, memory=(2, 16), disk=(2, 50), hours=24), JEC_READING_PROCESSES=4)
# Networks applied to a whole split, which stands in memory, from copies of its files on the disk; bootstraps.
_ON_SPLITS = Needs(cores=1, memory=(2, 32), disk=(2, 50), hours=12)
EVALUATION = step_tags(_ON_SPLITS)
# It applies the endpoint and tests it.
SERVING = _with_endpoint_token(step_tags(_ON_SPLITS, APPLIES_THE_ENDPOINT))
# What is timed must not wait for a core: as many as a served graph has threads, and one for the clients of a load.
LATENCY = _with_endpoint_token(step_tags(Needs(cores=2, memory=(2, 8), disk=(1, 10), hours=4)))
# Arrays are memory-mapped: what they fill is page cache, which the kernel takes back. The disk holds the files of the
# splits, their arrays, and once while these are written a copy; 14 million jets are 40 GB.
TRIAL_MEMORY, TRIAL_DISK, TRIAL_HOURS = (2.0, 32.0), (2.0, 200.0), 48
# It writes the arrays to know them by name, and then waits: as long as a trial, and a little for its own work.
FOLLOWING = step_tags(Needs(0.5, (1, 8), TRIAL_DISK, TRIAL_HOURS + 2), STARTS_NODES)


def trial_tags(settings: Settings) -> dict[str, Any]:
    """The `op_tags` of a trial: what training takes, or following it, where several nodes train together."""
    return FOLLOWING if settings.nodes > 1 else _training_tags(settings)


def nodes_of(settings: Settings) -> Nodes | None:
    """The nodes that train one network together, each with what a trial alone would have; None for one."""
    if settings.nodes == 1 or settings.executor != "kubernetes":
        return None
    from jec_assets.training.nodes.follow import Nodes

    config = _training_tags(settings)["dagster-k8s/config"]
    needs = _as_in_yaml(config["pod_spec_config"] | {"containers": [config["container_config"]]})
    return Nodes(settings.nodes, settings.workers, settings.nodes_kind, settings.namespace, needs, TRIAL_HOURS)


def _training_tags(settings: Settings) -> dict[str, Any]:
    """A GPU for each worker, of enough memory, where trials are to have any."""
    cores = settings.workers * max(1, settings.threads + settings.loading_threads)
    tags = step_tags(Needs(cores, TRIAL_MEMORY, TRIAL_DISK, TRIAL_HOURS))
    config = tags["dagster-k8s/config"]
    container, pod = config["container_config"], config["pod_spec_config"]
    container["volume_mounts"] = [{"name": "shared-memory", "mount_path": "/dev/shm"}]  # noqa: S108 - torch's own place
    pod["volumes"] = [{"name": "shared-memory", "empty_dir": {"medium": "Memory", "size_limit": SHARED_MEMORY}}]
    if settings.trial_image:
        container["image"] = settings.trial_image
    if settings.trial_gpus:
        container["resources"]["limits"]["nvidia.com/gpu"] = str(settings.workers)
        pod["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    if settings.trial_gpus and settings.trial_gpu_memory:
        pod["affinity"] = _on_gpus_of(settings.trial_gpu_memory)
    return tags


def pool_of(settings: Settings) -> str | None:
    """The pool of trials; none on one machine, where a killed run would leave its slot taken."""
    return POOL if settings.executor == "kubernetes" else None


def retries_of(settings: Settings) -> dg.RetryPolicy | None:
    """What becomes of a step that failed; nothing on one machine, where the same command goes on."""
    return RETRIES if settings.executor == "kubernetes" else None


def executor_of(settings: Settings) -> dg.ExecutorDefinition:
    """How steps are run."""
    if settings.executor == "kubernetes":
        from jec_assets.defs.kubernetes_executor import kubernetes_executor

        return kubernetes_executor
    return dg.in_process_executor if settings.executor == "in_process" else dg.multiprocess_executor


def _as_in_yaml(value: Any) -> Any:
    """Manifests as Kubernetes spells them, of Python's spelling."""
    if isinstance(value, dict):
        return {
            re.sub("_([a-z])", lambda found: found[1].upper(), key): _as_in_yaml(each) for key, each in value.items()
        }
    return [_as_in_yaml(each) for each in value] if isinstance(value, list) else value


def _on_gpus_of(mebibytes: int) -> dict[str, Any]:
    """Nodes whose GPUs have at least so much memory, by the label that NVIDIA's GPU feature discovery gives them."""
    enough = {"key": "nvidia.com/gpu.memory", "operator": "Gt", "values": [str(mebibytes - 1)]}
    terms = {"node_selector_terms": [{"match_expressions": [enough]}]}
    return {"node_affinity": {"required_during_scheduling_ignored_during_execution": terms}}
