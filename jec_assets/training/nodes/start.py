"""What is started on several machines, whatever starts it.

Belongs here: what the objects of all ways to start a training have in common: its name, its pods and what they run.
Does not belong here: the objects themselves (`indexed_job.py`, `kubeflow.py`). Pure functions on plain dictionaries.

Nothing of Kubernetes starts a pod again: where one is lost all of them end, and the step that follows them fails with
the reason, is started again by Dagster and goes on from the checkpoint. That is one way for every loss, of the step's
own pod too, and each is an event that people see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jec_assets.storage import digest_of

if TYPE_CHECKING:
    from jec_assets.cluster.apply import Manifest
    from jec_assets.training.nodes.files import TrainingFiles

# A port of the first machine, torchrun's own choice. Workers meet at ports that the system chooses.
PORT = 29400
# The label by which network policies know the pods.
COMPONENT = {"app.kubernetes.io/component": "training-node"}
# Seconds for a machine's processes to end; they have nothing to save.
GRACE = 15
# Seconds that a finished object stays where nobody was left to remove it.
KEPT = 3600


@dataclass(frozen=True)
class Start:
    """A training on so many machines, each with so many processes.

    hours: after which the training is ended
    pod: the spec of each machine's pod, with one container, which runs nothing yet, and has the settings of whoever
    starts the training in its environment
    owner: `ownerReferences`' entry of what all objects vanish with
    """

    files: TrainingFiles
    nodes: int
    workers: int
    hours: int
    pod: Manifest
    owner: Manifest

    @property
    def name(self) -> str:
        """Of the training and of its objects: the same whoever starts it, so that it never runs twice."""
        return f"jec-training-{digest_of(self.files.storage.uri(self.files.folder))[:12]}"

    @property
    def labels(self) -> dict[str, str]:
        """Of its pods, and of nothing else."""
        return {**COMPONENT, "app.kubernetes.io/instance": self.name}

    @property
    def seconds(self) -> int:
        """After which the training is ended."""
        return self.hours * 3600

    def metadata(self) -> Manifest:
        """Of each object."""
        return {"name": self.name, "labels": self.labels, "ownerReferences": [self.owner]}

    def template(self, container: str, host: str, index_in: str) -> Manifest:
        """The template of its pods.

        container: what the container must be called; host: the first machine's name, as the others know it; index_in:
        the variable by which each pod is told which machine it is
        """
        (only,) = self.pod["containers"]
        running = {**only, "name": container, "command": ["jec", "train-node", *self._arguments(host, index_in)]}
        spec = {**self.pod, "terminationGracePeriodSeconds": GRACE, "containers": [running]}
        return {"metadata": {"labels": self.labels}, "spec": spec}

    def _arguments(self, host: str, index_in: str) -> list[str]:
        given = {"nodes": self.nodes, "workers": self.workers, "host": host, "port": PORT, "index-in": index_in}
        return [self.files.folder, f"--name={self.name}", *(f"--{name}={value}" for name, value in given.items())]
