"""A training as files of one folder: what processes need to know to carry it out together, and what becomes of it.

Belongs here: the job, its JSON, and the files by which workers and whoever waits for them speak. Does not belong here:
starting workers (`launch.py`) and what each of them does (`worker.py`). Imports no torch.

Every file appears whole or not at all. Jets are not among them: a job names the folders of their caches, and workers
map these into memory.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jec_assets.models.saving import NetworkDescription
from jec_assets.storage import S3Access, Storage, write_atomically
from jec_assets.training.config import Checkpointing, Computation, CurvesCopy, Optimization, TrainingConfig
from jec_assets.training.progress import Progress
from jec_assets.training.result import EpochFigures, TrainingResult

JOB_FILE, PROGRESS_FILE, RESULT_FILE, FAILURE_FILE = "job.json", "progress.json", "result.json", "failure.json"


class UnreadableJobError(ValueError):
    """A file that is no training job."""


@dataclass(frozen=True)
class Failure:
    """The exception that ended a worker first: the name of its class, its message, and where it came from."""

    error: str
    message: str
    traceback: str


@dataclass(frozen=True)
class TrainingJob:
    """A training to be carried out by any number of processes.

    network: what is trained; its first weights come from the configuration's seed
    training, validation: folders of `jec_assets.jets.cache.cache_split`
    folder: where the job's files are; on several machines, the same path on each
    """

    network: NetworkDescription
    config: TrainingConfig
    training: Path
    validation: Path
    folder: Path

    @property
    def network_file(self) -> Path:
        """The trained network, written by the first process: see `jec_assets.models.saving`."""
        return self.folder / "network.safetensors"

    @property
    def log_file(self) -> Path:
        """What the workers print."""
        return self.folder / "workers.log"

    def publish(self) -> Path:
        """Write the job to its folder, without what an earlier training left there; the file to read it from."""
        for name in (JOB_FILE, PROGRESS_FILE, RESULT_FILE, FAILURE_FILE, self.network_file.name):
            (self.folder / name).unlink(missing_ok=True)
        _write(self.folder / JOB_FILE, self.to_json())
        return self.folder / JOB_FILE

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "network": json.loads(self.network.to_json()),
            "config": _config_to_json(self.config),
            **{name: str(getattr(self, name).absolute()) for name in ("training", "validation", "folder")},
        }

    @classmethod
    def read(cls, file: Path) -> TrainingJob:
        """The inverse of `publish`; UnreadableJobError for any other file."""
        return cls.from_bytes(file.read_bytes(), str(file))

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> TrainingJob:
        """The job that was published as these bytes; UnreadableJobError, with the name, for any others."""
        try:
            values = json.loads(data)
            return cls(
                NetworkDescription.from_json(json.dumps(values["network"])),
                _config_from_json(values["config"]),
                *(Path(values[name]) for name in ("training", "validation", "folder")),
            )
        except (LookupError, TypeError, ValueError) as error:
            raise UnreadableJobError(f"{name} is no training job: {error!r}") from error

    def write_progress(self, progress: Progress) -> None:
        """Say how far the training is, in place of what was said before."""
        _write(self.folder / PROGRESS_FILE, asdict(progress))

    def read_progress(self) -> Progress | None:
        """What was said last; None where nothing was."""
        values = _read(self.folder / PROGRESS_FILE)
        return None if values is None else Progress(**values)

    def write_result(self, result: TrainingResult) -> None:
        """Say that the training is finished, after the network was written."""
        _write(self.folder / RESULT_FILE, asdict(result))

    def read_result(self) -> TrainingResult | None:
        """The result of a finished training, else None."""
        values = _read(self.folder / RESULT_FILE)
        return None if values is None else result_from_json(values)

    def write_failure(self, failure: Failure) -> None:
        """Say why this process ends, unless another one was quicker: what follows is its consequence."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self.folder, prefix=".failure.") as whole:
            json.dump(asdict(failure), whole)
            whole.flush()
            try:
                os.link(whole.name, self.folder / FAILURE_FILE)
            except FileExistsError:
                return

    def read_failure(self) -> Failure | None:
        """What ended the first worker that failed; None where none said so."""
        values = _read(self.folder / FAILURE_FILE)
        return None if values is None else Failure(**values)


def result_from_json(values: dict[str, Any]) -> TrainingResult:
    """The result whose fields, as plain values, are these."""
    return TrainingResult(**(values | {"history": tuple(EpochFigures(**epoch) for epoch in values["history"])}))


def _write(file: Path, values: dict[str, Any]) -> None:
    write_atomically(file, json.dumps(values, indent=1).encode())


def _read(file: Path) -> dict[str, Any] | None:
    if not file.exists():
        return None
    values: dict[str, Any] = json.loads(file.read_bytes())
    return values


def _config_to_json(config: TrainingConfig) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(asdict(config), default=_path_to_json))
    return values


def _path_to_json(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a {type(value).__name__} cannot be part of a job")


def _config_from_json(values: dict[str, Any]) -> TrainingConfig:
    parts = {
        "optimization": Optimization(**values["optimization"]),
        "computation": Computation(**values["computation"]),
        "scalars_folder": _path(values["scalars_folder"]),
        "scalars_copy": _curves_copy(values["scalars_copy"]),
        "checkpoints": _checkpointing(values["checkpoints"]),
    }
    return TrainingConfig(**(values | parts))


def _checkpointing(values: dict[str, Any] | None) -> Checkpointing | None:
    return None if values is None else Checkpointing(**(values | {"storage": _storage(values["storage"])}))


def _curves_copy(values: dict[str, Any] | None) -> CurvesCopy | None:
    return None if values is None else CurvesCopy(**(values | {"storage": _storage(values["storage"])}))


def _storage(values: dict[str, Any]) -> Storage:
    return Storage(values["root"], _path(values["cache"]), S3Access(**values["s3"]))


def _path(value: str | None) -> Path | None:
    return None if value is None else Path(value)
