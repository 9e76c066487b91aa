from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from jec_assets.jets.packed import PackedJets
from jec_assets.models.hyperparameters import Hyperparameters
from jec_assets.models.inputs import Standardization
from jec_assets.models.network import JetNetwork
from jec_assets.models.prediction import predict
from jec_assets.training.config import OPTIMIZERS, TrainingConfig
from jec_assets.training.faults import TooFewJetsError, TrainingDivergedError
from jec_assets.training.loop import train
from jec_assets.training.losses import calibration_loss
from jec_assets.training.progress import Progress
from jec_assets.training.result import TrainingResult
from jec_assets_tests.training.samples import SMALL_PARTICLE_NET, SMALL_PFN, learnable_jets, small_network

TRAINING = learnable_jets(403, seed=1)
VALIDATION = learnable_jets(101, seed=2)
CONFIG = TrainingConfig("Adam", 0.01, epochs=5, batch_size=32, seed=3)


def silent(_: Progress) -> None:
    pass


def trained(config: TrainingConfig, hyperparameters: Hyperparameters = SMALL_PFN) -> tuple[JetNetwork, TrainingResult]:
    network = small_network(hyperparameters=hyperparameters)
    return network, train(network, TRAINING, VALIDATION, config, silent)


def validation_loss(network: JetNetwork) -> float:
    prediction = torch.from_numpy(predict(network, VALIDATION))
    return calibration_loss(prediction, torch.tensor(VALIDATION.target)).item()


def same_weights(first: JetNetwork, second: JetNetwork) -> bool:
    others = second.state_dict()
    return all(torch.equal(tensor, others[name]) for name, tensor in first.state_dict().items())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_learns(optimizer: str) -> None:
    _, result = trained(replace(CONFIG, optimizer=optimizer, epochs=20))
    standard = calibration_loss(torch.zeros(101), torch.tensor(VALIDATION.target)).item()
    assert result.best_validation_loss < 0.75 * standard
    assert result.history[-1].training_loss < result.history[0].training_loss


def test_the_best_epochs_weights_are_kept() -> None:
    network, result = trained(replace(CONFIG, learning_rate=0.08, epochs=8, optimizer="RMSProp"))
    losses = [figures.validation_loss for figures in result.history]
    assert result.best_epoch == int(np.argmin(losses)) + 1
    assert result.best_epoch < 8, "the case is none: the last epoch is the best"
    assert validation_loss(network) == pytest.approx(min(losses), rel=1e-6) == result.best_validation_loss
    assert not network.training


@pytest.mark.parametrize("hyperparameters", [SMALL_PFN, SMALL_PARTICLE_NET])
def test_equal_seeds_give_bit_equal_weights(hyperparameters: Hyperparameters) -> None:
    first, figures = trained(CONFIG, hyperparameters)
    torch.rand(17)  # random numbers drawn elsewhere don't matter
    second, again = trained(CONFIG, hyperparameters)
    assert same_weights(first, second)
    assert [f.validation_loss for f in figures.history] == [f.validation_loss for f in again.history]


@pytest.mark.parametrize("hyperparameters", [SMALL_PFN, SMALL_PARTICLE_NET])
def test_jets_of_one_particle_can_be_trained_on(hyperparameters: Hyperparameters) -> None:
    lone = PackedJets(TRAINING.particles[:3], np.arange(4), TRAINING.jets[:3], TRAINING.target[:3])
    result = train(small_network(hyperparameters=hyperparameters), lone, lone, replace(CONFIG, batch_size=2), silent)
    assert all(np.isfinite(figures.gradient_norm) for figures in result.history)


def test_another_seed_gives_other_weights() -> None:
    assert not same_weights(trained(CONFIG)[0], trained(replace(CONFIG, seed=4))[0])


def test_standardization_comes_from_the_training_jets() -> None:
    network, _ = trained(replace(CONFIG, epochs=1))
    expected, found = Standardization.fit(TRAINING), network.standardization
    assert np.array_equal(found.particle_center, expected.particle_center)
    assert np.array_equal(found.jet_scale, expected.jet_scale)


def test_history_is_complete_and_true() -> None:
    network, result = trained(replace(CONFIG, epochs=10, learning_rate=1e-9))
    assert [figures.epoch for figures in result.history] == list(range(1, 11))
    assert [figures.learning_rate for figures in result.history[:7]] == [1e-9] * 7
    assert result.history[-1].learning_rate == pytest.approx(1e-11)
    assert all(figures.jets_per_second > 0 and figures.gradient_norm > 0 for figures in result.history)
    # Weights hardly move at this rate, so every epoch's validation loss is the network's.
    assert [figures.validation_loss for figures in result.history] == pytest.approx([validation_loss(network)] * 10)
    assert result.seconds > 0


def test_weights_move_at_the_schedules_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    only_the_first_epoch = {1: 0.01, 2: 0.0, 3: 0.0}
    monkeypatch.setattr("jec_assets.training.loop.learning_rate", lambda _, epoch, __: only_the_first_epoch[epoch])
    _, result = trained(replace(CONFIG, epochs=3))
    assert len({figures.validation_loss for figures in result.history}) == 1
    assert len({figures.training_loss for figures in result.history}) == 3  # other batches, other dropout


def test_progress_begins_with_the_first_step() -> None:
    reports: list[Progress] = []
    train(small_network(), TRAINING, VALIDATION, CONFIG, reports.append)
    assert (reports[0].epoch, reports[0].epochs, reports[0].step, reports[0].steps) == (1, 5, 1, 13)


def test_scalars_of_every_epoch_go_to_tensorboard(tmp_path: Path) -> None:
    _, result = trained(replace(CONFIG, scalars_folder=tmp_path / "trial"))
    events = EventAccumulator(str(tmp_path / "trial")).Reload()
    assert set(events.Tags()["scalars"]) == {
        "loss/training",
        "loss/validation",
        "learning_rate",
        "gradient_norm",
        "jets_per_second",
    }
    written = [(event.step, event.value) for event in events.Scalars("loss/validation")]
    assert written == [(f.epoch, pytest.approx(f.validation_loss)) for f in result.history]


def test_a_later_training_hides_the_earlier_ones_curves(tmp_path: Path) -> None:
    trained(replace(CONFIG, scalars_folder=tmp_path))
    trained(replace(CONFIG, scalars_folder=tmp_path, epochs=2))
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Scalars("learning_rate")] == [1, 2]


def test_threads_and_random_numbers_are_left_as_they_were() -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    trained(replace(CONFIG, threads=2, epochs=1))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_divergence_names_step_and_remedy() -> None:
    config = replace(CONFIG, optimizer="RMSProp", learning_rate=1e30)
    with pytest.raises(TrainingDivergedError, match=r"in epoch 1, step \d+, with RMSProp at .* 1e\+30: lower"):
        trained(config)


def test_a_broken_validation_loss_is_a_divergence() -> None:
    broken = replace(VALIDATION, target=np.full_like(VALIDATION.target, np.nan))
    with pytest.raises(TrainingDivergedError, match="validation loss nan after epoch 1"):
        train(small_network(), TRAINING, broken, CONFIG, silent)


@pytest.mark.parametrize(("jets", "validation_jets"), [(1, 9), (0, 9), (9, 0)])
def test_too_few_jets_are_refused(jets: int, validation_jets: int) -> None:
    few, some = learnable_jets(9).slice(0, jets), learnable_jets(9).slice(0, validation_jets)
    with pytest.raises(TooFewJetsError, match="add files or loosen the selection"):
        train(small_network(), few, some, CONFIG, silent)


def test_the_last_uneven_batch_counts() -> None:
    """Training on jets whose targets carry no loss leaves the weights alone; one jet more moves them."""
    silent_jets = replace(TRAINING, target=np.full_like(TRAINING.target, 2.0))
    one_speaks = silent_jets.target.copy()
    one_speaks[-1] = 0.5
    for target, moved in ((silent_jets.target, False), (one_speaks, True)):
        network = small_network()
        jets = PackedJets(TRAINING.particles, TRAINING.offsets, TRAINING.jets, target)
        train(network, jets, VALIDATION, replace(CONFIG, epochs=1), silent)
        before = dict(small_network().named_parameters())
        assert any(not torch.equal(weight, before[name]) for name, weight in network.named_parameters()) is moved
