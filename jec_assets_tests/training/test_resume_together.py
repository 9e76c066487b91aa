"""Two processes that train together, are stopped and started again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from jec_assets.storage import Storage
from jec_assets.training.config import Checkpointing, Optimization, TrainingConfig
from jec_assets.training.loop import train
from jec_assets.training.step import Stepper
from jec_assets_tests.models.group_of_two import group_of_two
from jec_assets_tests.training.samples import SMALL_PARTICLE_NET, learnable_jets, small_network

TRAINING, VALIDATION = learnable_jets(203, seed=1), learnable_jets(61, seed=2)
PLAN = Optimization("Ranger", 0.01, schedule="cosine", average_decay=0.9)
CONFIG = TrainingConfig(PLAN, epochs=3, batch_size=32, seed=3)


class StoppedError(Exception):
    pass


@dataclass(frozen=True)
class Part:
    config: TrainingConfig
    stop_at: int | None = None


def run(part: Part) -> tuple[dict[str, torch.Tensor], list[float]] | None:
    """Weights and training losses; None for a training that was stopped."""
    network = small_network(hyperparameters=SMALL_PARTICLE_NET)
    take, taken = Stepper.take, 0

    def counted(*arguments: object) -> object:
        nonlocal taken
        if taken == part.stop_at:
            raise StoppedError
        taken += 1
        return take(*arguments)  # type: ignore[arg-type]

    Stepper.take = counted  # type: ignore[method-assign, assignment]
    try:
        result = train(network, TRAINING, VALIDATION, part.config, lambda _: None)
    except StoppedError:
        return None
    finally:
        Stepper.take = take  # type: ignore[method-assign]
    return dict(network.state_dict()), [figures.training_loss for figures in result.history]


def test_each_process_goes_on_with_its_own_random_numbers(tmp_path: Path) -> None:
    place = Checkpointing(Storage(str(tmp_path)), "checkpoint", "digest", seconds=0)
    kept = replace(CONFIG, checkpoints=place)
    with group_of_two(tmp_path / "meeting") as two:
        whole = two.run(run, (Part(CONFIG), Part(CONFIG)))
        assert two.run(run, (Part(kept, 10), Part(kept, 10))) == [None, None]
        resumed = two.run(run, (Part(kept), Part(kept)))
    expected = whole[0]
    assert expected is not None
    for ended in (whole[1], *resumed):
        assert ended is not None
        assert ended[1] == expected[1]
        assert all(torch.equal(tensor, ended[0][name]) for name, tensor in expected[0].items())
