"""A training on several machines as objects of the storage root, which is all that the machines share.

Belongs here: the job, and what becomes of it, as objects. Does not belong here: the files of one machine's processes
(`jec_assets.training.job`). Imports no torch.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from jec_assets.storage import ArtifactMissingError, Storage
from jec_assets.training.job import (
    FAILURE_FILE,
    JOB_FILE,
    PROGRESS_FILE,
    RESULT_FILE,
    Failure,
    TrainingJob,
    result_from_json,
)
from jec_assets.training.progress import Progress

if TYPE_CHECKING:
    from jec_assets.training.result import TrainingResult

NETWORK_FILE = "network.safetensors"


@dataclass(frozen=True)
class TrainingFiles:
    """The objects of one training below the key `folder`."""

    storage: Storage
    folder: str

    def publish(self, job: TrainingJob) -> None:
        """Write the job, without what an earlier training left."""
        self.remove()
        self._write(JOB_FILE, job.to_json())

    def remove(self) -> None:
        """Remove all; fine where there is nothing."""
        for name in (JOB_FILE, PROGRESS_FILE, RESULT_FILE, FAILURE_FILE, NETWORK_FILE):
            self.storage.remove(self._key(name))

    def read_job(self) -> TrainingJob:
        """The job, with the paths of the machine that published it; ArtifactMissingError where there is none."""
        key = self._key(JOB_FILE)
        return TrainingJob.from_bytes(self.storage.read_bytes(key), self.storage.uri(key))

    def write_progress(self, progress: Progress) -> None:
        """Say how far the training is, in place of what was said before."""
        self._write(PROGRESS_FILE, asdict(progress))

    def read_progress(self) -> Progress | None:
        """What was said last; None where nothing was."""
        values = self._read(PROGRESS_FILE)
        return None if values is None else Progress(**values)

    def write_result(self, result: TrainingResult, network: bytes) -> None:
        """Keep the network's file, then say that the training is finished."""
        self.storage.publish_bytes(self._key(NETWORK_FILE), network)
        self._write(RESULT_FILE, asdict(result))

    def read_result(self) -> TrainingResult | None:
        """The result of a finished training, else None."""
        values = self._read(RESULT_FILE)
        return None if values is None else result_from_json(values)

    def read_network(self) -> bytes:
        """The network's file of a finished training."""
        return self.storage.read_bytes(self._key(NETWORK_FILE))

    def write_failure(self, failure: Failure) -> None:
        """Say why the training cannot go on."""
        self._write(FAILURE_FILE, asdict(failure))

    def read_failure(self) -> Failure | None:
        """Why it cannot go on; None where nobody said so."""
        values = self._read(FAILURE_FILE)
        return None if values is None else Failure(**values)

    def _key(self, name: str) -> str:
        return f"{self.folder}/{name}"

    def _write(self, name: str, values: dict[str, Any]) -> None:
        # Not publish_json, which refuses infinite numbers: a gradient of half precision may be one.
        self.storage.publish_bytes(self._key(name), json.dumps(values, indent=1).encode())

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            values: dict[str, Any] = self.storage.read_json(self._key(name))
        except ArtifactMissingError:
            return None
        return values
