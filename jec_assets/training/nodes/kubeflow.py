"""A training on several machines as an object of Kubeflow's, where its operator is installed.

Belongs here: the manifests for the Training Operator (PyTorchJob) and for its successor, Trainer (TrainJob). Does not
belong here: pods (`start.py`). Pure functions on plain dictionaries.

What an operator adds to a plain Job is a queue that lets all pods of a training begin, or none (Kueue, Volcano), and
its own dashboards. Both tell each pod by PET_NODE_RANK which machine it is; where the machines meet stays this
project's own, so that a training is the same however it is started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.training.nodes.start import KEPT

if TYPE_CHECKING:
    from jec_assets.cluster.apply import Manifest
    from jec_assets.training.nodes.start import Start

RANK = "PET_NODE_RANK"
TRAINER = "trainer.kubeflow.org"
# By this label Trainer knows which of a runtime's jobs trains.
TRAINS = {f"{TRAINER}/trainjob-ancestor-step": "trainer"}


def pytorch_job(start: Start) -> list[Manifest]:
    """The PyTorchJob, which Kubeflow's Training Operator (v1.7 or later) carries out."""
    replica = {"restartPolicy": "Never", "template": start.template("pytorch", f"{start.name}-master-0", RANK)}
    job = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": start.metadata(),
        "spec": {
            "nprocPerNode": str(start.workers),
            "runPolicy": {
                "activeDeadlineSeconds": start.seconds,
                "backoffLimit": 0,
                # Those that failed stay, for their logs; so does one that still writes the result when the master's
                # pod has ended. Whoever follows the training removes them all.
                "cleanPodPolicy": "None",
                "ttlSecondsAfterFinished": KEPT,
            },
            "pytorchReplicaSpecs": {
                "Master": {**replica, "replicas": 1},
                "Worker": {**replica, "replicas": start.nodes - 1},
            },
        },
    }
    return [job]


def train_job(start: Start) -> list[Manifest]:
    """The TrainJob, which Kubeflow Trainer (v2) carries out, after a runtime of its own, which says what its pods are.

    The runtimes that come with Trainer know nothing of this project's settings, secrets and volumes.
    """
    host = f"{start.name}-node-0-0.{start.name}"
    template = start.template("node", host, RANK)
    template["spec"] |= {"restartPolicy": "Never"}
    job = {"backoffLimit": 0, "activeDeadlineSeconds": start.seconds, "template": template}
    runtime = {
        "apiVersion": f"{TRAINER}/v1alpha1",
        "kind": "TrainingRuntime",
        "metadata": start.metadata(),
        "spec": {
            "mlPolicy": {"numNodes": start.nodes, "torch": {}},
            "template": {
                "spec": {
                    "failurePolicy": {"maxRestarts": 0},
                    "ttlSecondsAfterFinished": KEPT,
                    "replicatedJobs": [{"name": "node", "template": {"metadata": {"labels": TRAINS}, "spec": job}}],
                }
            },
        },
    }
    train = {
        "apiVersion": f"{TRAINER}/v1alpha1",
        "kind": "TrainJob",
        "metadata": start.metadata(),
        "spec": {
            "runtimeRef": {"apiGroup": TRAINER, "kind": "TrainingRuntime", "name": start.name},
            "trainer": {"numNodes": start.nodes, "numProcPerNode": start.workers},
        },
    }
    return [runtime, train]
