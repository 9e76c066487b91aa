from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from jec_assets.models.network import JetNetwork
from jec_assets.storage import Storage
from jec_assets.training.checkpoint import Checkpoints, remove_checkpoint
from jec_assets.training.config import Checkpointing, Optimization, TrainingConfig
from jec_assets.training.loop import train
from jec_assets.training.progress import Progress
from jec_assets.training.result import TrainingResult
from jec_assets_tests.training.samples import learnable_jets, small_network

KEY = "trials/pfn/checkpoints/abc.safetensors"
CONFIG = TrainingConfig(Optimization("Adam", 0.01), epochs=3, batch_size=32, seed=3)


@pytest.fixture
def place(tmp_path: Path) -> Checkpointing:
    return Checkpointing(Storage(str(tmp_path)), KEY, "digest", seconds=30)


class InterruptedTrainingError(Exception):
    """What a test ends a training with."""


def trained(config: TrainingConfig, network: JetNetwork | None = None) -> tuple[list[Progress], TrainingResult]:
    heard: list[Progress] = []
    jets = learnable_jets(203, seed=1)
    result = train(network or small_network(), jets, jets, config, heard.append)
    return heard, result


def interrupted(config: TrainingConfig, monkeypatch: pytest.MonkeyPatch, epochs: int) -> None:
    """Train until so many epochs are over and one more has no validation."""
    losses = iter([0.5] * epochs)

    def loss(*_: object) -> float:
        value = next(losses, None)
        if value is None:
            raise InterruptedTrainingError
        return value

    with monkeypatch.context() as patch:
        patch.setattr("jec_assets.training.loop.validation_loss", loss)
        with pytest.raises(InterruptedTrainingError):
            trained(config)


def test_checkpoints_are_due_when_their_time_has_come(place: Checkpointing) -> None:
    now = [100.0]
    checkpoints = Checkpoints(place, {}, clock=lambda: now[0])
    assert not checkpoints.due()
    now[0] = 130.0
    assert checkpoints.due()
    checkpoints.write({"weights": torch.ones(3)})
    assert not checkpoints.due()
    state = checkpoints.read()
    assert state is not None
    assert torch.equal(state["weights"], torch.ones(3))


def test_without_a_place_nothing_is_kept() -> None:
    checkpoints = Checkpoints(None, {})
    checkpoints.write({"weights": torch.ones(3)})
    assert not checkpoints.due()
    assert checkpoints.read() is None


def test_a_training_goes_on_after_its_last_whole_epoch(place: Checkpointing, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(CONFIG, checkpoints=place)
    interrupted(config, monkeypatch, epochs=2)
    heard, result = trained(config)
    assert (heard[0].epoch, heard[0].step) == (3, 1)
    assert [figures.validation_loss for figures in result.history[:2]] == [0.5, 0.5]
    assert len(result.history) == 3


def test_a_training_whose_result_was_never_published_is_over_at_once(place: Checkpointing) -> None:
    config = replace(CONFIG, checkpoints=place)
    first, second = small_network(), small_network()
    _, result = trained(config, first)
    heard, again = trained(config, second)
    assert heard == []
    assert again.history == result.history
    assert all(torch.equal(tensor, second.state_dict()[name]) for name, tensor in first.state_dict().items())
    remove_checkpoint(place)
    assert not place.storage.exists(KEY)
    remove_checkpoint(place)


@pytest.mark.parametrize(
    "change",
    [
        {"checkpoints": "another digest"},
        {"optimization": Optimization("Adam", 0.02)},
        {"epochs": 4},
        {"seed": 4},
        {"loss": "huber"},
    ],
    ids=str,
)
def test_the_checkpoint_of_another_training_is_not_used(
    change: dict[str, object], place: Checkpointing, caplog: pytest.LogCaptureFixture
) -> None:
    config = replace(CONFIG, checkpoints=place)
    trained(config)
    changed = {"checkpoints": replace(place, digest="another")} if "checkpoints" in change else change
    heard, _ = trained(replace(config, **changed))
    assert (heard[0].epoch, heard[0].step) == (1, 1)
    assert f"{place.storage.uri(KEY)} is another training's" in caplog.text


def test_a_broken_checkpoint_is_named_and_the_training_begins_anew(
    place: Checkpointing, caplog: pytest.LogCaptureFixture
) -> None:
    config = replace(CONFIG, checkpoints=place)
    _, expected = trained(CONFIG)
    for data in (b"", b"not a checkpoint"):
        place.storage.publish_bytes(KEY, data)
        with caplog.at_level(logging.WARNING):
            _, result = trained(config)
        assert f"{place.storage.uri(KEY)} cannot be read, the training begins anew" in caplog.text
        assert [f.validation_loss for f in result.history] == [f.validation_loss for f in expected.history]
