from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from jec_assets.storage import Storage
from jec_assets.training.config import (
    Checkpointing,
    Computation,
    Optimization,
    TrainingConfig,
    TrainingConfigError,
    output_names,
)

OPTIMIZATION = Optimization("Adam", 0.1)
CONFIG = TrainingConfig(OPTIMIZATION, epochs=1, batch_size=2, seed=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "SGD"}, "optimizer .* one of AdaGrad, Adam, AdamW, Ranger, RMSProp, not 'SGD'"),
        ({"schedule": "linear"}, "schedule .* one of flat_decay, cosine, one_cycle, constant, not 'linear'"),
        ({"learning_rate": 0.0}, "learning_rate .* a positive number, not 0.0"),
        ({"learning_rate": math.nan}, "learning_rate .* not nan"),
        ({"clip_norm": -1.0}, "clip_norm .* or None not to clip, not -1.0"),
        ({"average_decay": 1.0}, "average_decay .* between 0 and 1 .* or None not to average, not 1.0"),
    ],
)
def test_impossible_optimizations_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingConfigError, match=message):
        replace(OPTIMIZATION, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs .* 1 or more, not 0"),
        ({"batch_size": 1}, "batch_size .* 2 or more, not 1"),
        ({"patience": 0}, "patience .* or None to train all epochs, not 0"),
        ({"loss": "mse"}, "loss .* one of absolute, quantile, huber, log_cosh, not 'mse'"),
    ],
)
def test_impossible_trainings_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingConfigError, match=message):
        replace(CONFIG, **change)


def test_impossible_surroundings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingConfigError, match=r"precision .* auto, float32, bfloat16, float16, not 'float8'"):
        Computation(precision="float8")  # type: ignore[arg-type]
    with pytest.raises(TrainingConfigError, match=r"threads .* not -1"):
        Computation(threads=-1)
    with pytest.raises(TrainingConfigError, match=r"seconds .* not -1"):
        Checkpointing(Storage(str(tmp_path)), "key", "digest", seconds=-1)


def test_the_papers_training_is_the_default() -> None:
    assert (OPTIMIZATION.schedule, OPTIMIZATION.clip_norm, OPTIMIZATION.average_decay) == ("flat_decay", None, None)
    assert (CONFIG.loss, CONFIG.patience, CONFIG.computation.precision) == ("absolute", None, "auto")


@pytest.mark.parametrize("change", [{"seed": 1}, {"loss": "huber"}, {"optimization": Optimization("Adam", 0.2)}])
def test_what_decides_the_outcome_is_told_apart(change: dict[str, object]) -> None:
    assert replace(CONFIG, **change).decisive() != CONFIG.decisive()
    assert replace(CONFIG, scalars_folder=Path("anywhere")).decisive() == CONFIG.decisive()


def test_outputs_of_the_losses() -> None:
    assert output_names("quantile") == ("log_factor", "log_factor_16", "log_factor_84")
    assert output_names("absolute") == output_names("huber") == ("log_factor",)
