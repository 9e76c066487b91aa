from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from jec_assets.storage import Storage
from jec_assets.training.config import CurvesCopy, Optimization, TrainingConfig
from jec_assets.training.loop import train
from jec_assets.training.result import EpochFigures, TrainingResult
from jec_assets.training.scalars import open_curves
from jec_assets_tests.s3 import make_bucket
from jec_assets_tests.training.killed import KEY, Killing, run_killed
from jec_assets_tests.training.samples import SMALL_PFN, learnable_jets, small_network

JETS = learnable_jets(203, seed=1)
CONFIG = TrainingConfig(Optimization("Adam", 0.01), epochs=3, batch_size=32, seed=3)


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jec_assets.training.scalars.SECONDS_BETWEEN_STEPS", 0.0)


def trained(config: TrainingConfig) -> TrainingResult:
    return train(small_network(), JETS, JETS, config, lambda _: None)


def points(folder: Path | str, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_copies_hold_what_the_files_hold(storage: Storage, tmp_path: Path) -> None:
    trained(replace(CONFIG, scalars_folder=tmp_path / "trial", scalars_copy=CurvesCopy(storage, "tensorboard/trial")))
    copied = Path(storage.root) / "tensorboard/trial"
    files = {file.relative_to(tmp_path / "trial"): file.read_bytes() for file in (tmp_path / "trial").rglob("events.*")}
    assert {file.relative_to(copied): file.read_bytes() for file in copied.rglob("events.*")} == files
    assert len(files) == 2


def test_a_flush_copies_what_is_there_before_a_training_ends(storage: Storage, tmp_path: Path) -> None:
    with open_curves(tmp_path, 0, 0, CurvesCopy(storage, "curves")) as curves:
        assert curves is not None
        curves.epoch(EpochFigures(1, 0.3, 0.25, 0.002, 1.5, 1e4))
        curves.flush()
        assert points(Path(storage.root) / "curves", "loss/training") == [(1, pytest.approx(0.3))]


@pytest.mark.needs("s3")
def test_tensorboard_shows_what_is_copied_to_s3(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bucket(s3, "curves", monkeypatch)
    copy = CurvesCopy(Storage("s3://curves/root"), "tensorboard/pfn/000")
    result = trained(replace(CONFIG, scalars_folder=tmp_path, scalars_copy=copy))
    expected = [(f.epoch, pytest.approx(f.validation_loss)) for f in result.history]
    assert points("s3://curves/root/tensorboard/pfn/000", "loss/validation") == expected


def test_scalars_of_every_epoch_go_to_tensorboard(tmp_path: Path) -> None:
    result = trained(replace(CONFIG, scalars_folder=tmp_path / "trial"))
    events = EventAccumulator(str(tmp_path / "trial")).Reload()
    names = {"loss/training", "loss/validation", "learning_rate", "gradient_norm", "jets_per_second"}
    assert set(events.Tags()["scalars"]) == names
    expected = [(f.epoch, pytest.approx(f.validation_loss)) for f in result.history]
    assert points(tmp_path / "trial", "loss/validation") == expected


@pytest.mark.usefixtures("every_step")
def test_scalars_of_the_steps_are_counted_over_all_epochs(tmp_path: Path) -> None:
    plan = Optimization("Adam", 0.01, schedule="one_cycle")
    result = trained(replace(CONFIG, optimization=plan, scalars_folder=tmp_path))
    rates = points(tmp_path / "steps", "step/learning_rate")
    assert [step for step, _ in rates] == list(range(1, 22))
    assert rates[13][1] == pytest.approx(result.history[1].learning_rate)
    norms = [norm for _, norm in points(tmp_path / "steps", "step/gradient_norm")]
    assert sum(norms[:7]) / 7 == pytest.approx(result.history[0].gradient_norm)
    assert len(points(tmp_path / "steps", "step/loss")) == 21


def test_points_of_steps_are_seldom(tmp_path: Path) -> None:
    trained(replace(CONFIG, scalars_folder=tmp_path))
    assert len(points(tmp_path / "steps", "step/loss")) < 21


def test_a_later_training_hides_the_earlier_ones_curves(tmp_path: Path) -> None:
    trained(replace(CONFIG, scalars_folder=tmp_path))
    trained(replace(CONFIG, scalars_folder=tmp_path, epochs=2))
    assert [step for step, _ in points(tmp_path, "learning_rate")] == [1, 2]


def test_a_training_that_goes_on_writes_no_point_twice(tmp_path: Path) -> None:
    folder = tmp_path / "curves"
    run_killed(tmp_path, replace(CONFIG, scalars_folder=folder), SMALL_PFN, [Killing("after the step", 10)])
    assert [step for step, _ in points(folder, "loss/validation")] == [1, 2, 3]
    steps = [step for step, _ in points(folder / "steps", "step/loss")]
    assert steps == sorted(set(steps))
    assert (tmp_path / KEY).exists()


def test_no_folder_no_curves() -> None:
    with open_curves(None, 0, 0) as curves:
        assert curves is None
