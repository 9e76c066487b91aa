from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from jec_assets.storage import S3Access, Storage
from jec_assets.training.config import Checkpointing, Computation, CurvesCopy, Optimization, TrainingConfig
from jec_assets.training.job import Failure, TrainingJob, UnreadableJobError
from jec_assets.training.progress import Progress
from jec_assets.training.result import EpochFigures, TrainingResult
from jec_assets_tests.training.jobs import PARTICLE_NET, a_job

# No field has its default.
EVERYTHING = TrainingConfig(
    Optimization("AdamW", 0.002, schedule="cosine", clip_norm=1.5, average_decay=0.99),
    epochs=7,
    batch_size=65,
    seed=11,
    loss="huber",
    weighting="flat_sampling",
    patience=2,
    computation=Computation(threads=3, precision="float32", deterministic=True, loading_threads=2),
    scalars_folder=Path("curves"),
    scalars_copy=CurvesCopy(Storage("s3://bucket/prefix"), "tensorboard/7"),
    checkpoints=Checkpointing(
        Storage("s3://bucket/prefix", Path("copies"), S3Access("virtual")), "checkpoints/7", "a digest", 5.0
    ),
)
FIGURES = EpochFigures(1, 0.3, 0.25, 0.002, 1.5, 1e4)


@pytest.fixture
def job(tmp_path: Path) -> TrainingJob:
    return a_job(tmp_path, PARTICLE_NET, EVERYTHING)


@pytest.mark.parametrize(
    "config", [EVERYTHING, replace(EVERYTHING, scalars_folder=None, scalars_copy=None, checkpoints=None)]
)
def test_a_job_comes_back_from_its_file(job: TrainingJob, config: TrainingConfig) -> None:
    job = replace(job, config=config)
    assert TrainingJob.read(job.publish()) == job


def test_a_file_that_is_no_job_is_named(tmp_path: Path) -> None:
    for text in ("", "[]", "{}", '{"network": 3}'):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(UnreadableJobError, match=r"other\.json is no training job"):
            TrainingJob.read(tmp_path / "other.json")


def test_unknown_values_are_refused(job: TrainingJob) -> None:
    file = job.publish()
    values = json.loads(file.read_text())
    values["config"]["optimization"]["optimizer"] = "Unheard"
    file.write_text(json.dumps(values))
    with pytest.raises(UnreadableJobError, match="Unheard"):
        TrainingJob.read(file)


def test_progress_and_result_come_back(job: TrainingJob) -> None:
    progress, result = Progress(1, 7, 2, 13, 0.5), TrainingResult(1, 0.25, (FIGURES, FIGURES), "cpu", 3.5)
    assert (job.read_progress(), job.read_result(), job.read_failure()) == (None, None, None)
    job.write_progress(replace(progress, step=1))
    job.write_progress(progress)
    job.write_result(result)
    assert job.read_progress() == progress
    assert job.read_result() == result


def test_the_first_failure_is_kept(job: TrainingJob) -> None:
    first = Failure("TrainingDivergedError", "loss nan", "in line 1")
    job.write_failure(first)
    job.write_failure(Failure("RuntimeError", "connection lost", "in line 2"))
    assert job.read_failure() == first
    assert [file.name for file in job.folder.iterdir()] == ["failure.json"]


def test_what_an_earlier_training_left_is_removed(job: TrainingJob) -> None:
    job.write_failure(Failure("ValueError", "", ""))
    job.write_result(TrainingResult(1, 0.25, (FIGURES,), "cpu", 3.5))
    job.write_progress(Progress(1, 7, 2, 13, 0.5))
    job.network_file.write_bytes(b"weights")
    job.publish()
    assert [file.name for file in job.folder.iterdir()] == ["job.json"]
