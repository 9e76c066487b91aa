"""A training on several machines: its jets in storage, as the assets publish them, its job, and how it is started."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from jec_assets.jets.cache import cache_split
from jec_assets.jets.features import feature_set_named
from jec_assets.jets.splits import publish_split
from jec_assets.models.inputs import NetworkInputs
from jec_assets.models.saving import NetworkDescription
from jec_assets.storage import Storage
from jec_assets.training.config import Checkpointing, Optimization, TrainingConfig
from jec_assets.training.job import TrainingJob
from jec_assets.training.nodes.files import TrainingFiles
from jec_assets.training.nodes.start import Start
from jec_assets_tests.jets.test_cache import materialize
from jec_assets_tests.training.jobs import PFN

TWO = 2
# Few and small steps: these jets' features differ in scale so much that rounding grows tenfold a step in longer ones.
CONFIG = TrainingConfig(Optimization("Adam", 0.001), epochs=3, batch_size=246, seed=3)
OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "step", "uid": "b4a7a6a0-0000-4000-8000-000000000001"}
# A step's pod as a cluster holds it.
OWN: dict[str, Any] = {
    "metadata": {"name": "step"},
    "spec": {
        "nodeName": "small",
        "serviceAccountName": "jec-training",
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True},
        "volumes": [
            {"name": "scratch", "emptyDir": {}},
            {"name": "dagster-instance", "configMap": {"name": "dagster-instance"}},
            {"name": "kube-api-access-x", "projected": {}},
        ],
        "containers": [
            {
                "name": "dagster",
                "image": "jec-assets:cpu",
                "command": ["dagster", "api", "execute_step"],
                "env": [
                    {"name": "DAGSTER_PG_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                    {"name": "OMP_NUM_THREADS", "value": "1"},
                    {"name": "HTTPS_PROXY", "value": "http://proxy"},
                ],
                "envFrom": [{"configMapRef": {"name": "jec-settings"}}, {"secretRef": {"name": "jec-s3"}}],
                "resources": {"requests": {"cpu": "500m"}},
                "volumeMounts": [
                    {"name": "scratch", "mountPath": "/scratch"},
                    {"name": "dagster-instance", "mountPath": "/opt/dagster/dagster_home/dagster.yaml"},
                    {"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"},
                ],
            }
        ],
    },
}
POD = {"containers": [{"name": "dagster", "image": "jec-assets:gpu"}]}


def publish_jets(storage: Storage, source: Path) -> None:
    """Training and validation jets."""
    materialize(storage, source)
    publish_split(storage, "validation", None)


def a_job(storage: Storage, folder: Path, config: TrainingConfig = CONFIG) -> TrainingJob:
    """A PFN's training on the published jets, with a checkpoint."""
    training, validation = (cache_split(storage, name, folder / "jets") for name in ("train", "validation"))
    inputs = NetworkInputs.of(feature_set_named(training.split.feature_set))
    return TrainingJob(
        NetworkDescription("pfn", PFN, training.split.feature_set, inputs),
        replace(config, checkpoints=Checkpointing(storage, "checkpoint", "training", seconds=0)),
        training.folder,
        validation.folder,
        folder / "job",
    )


def a_start(storage: Storage, **changes: object) -> Start:
    """How a training of two machines is started."""
    start = Start(TrainingFiles(storage, "trials/pfn/nodes/1"), TWO, 1, 48, POD, OWNER)
    return replace(start, **changes)  # type: ignore[arg-type]
