from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from jec_assets.jets.packed import PackedJets
from jec_assets.models.hyperparameters import Hyperparameters
from jec_assets.models.inputs import Standardization
from jec_assets.models.network import JetNetwork
from jec_assets.models.prediction import predict, predict_outputs
from jec_assets.training.config import (
    LOSSES,
    OPTIMIZERS,
    Computation,
    LossName,
    Optimization,
    TrainingConfig,
    TrainingConfigError,
    output_names,
)
from jec_assets.training.faults import TooFewJetsError
from jec_assets.training.loop import train
from jec_assets.training.losses import calibration_loss
from jec_assets.training.progress import Progress
from jec_assets.training.result import TrainingResult
from jec_assets_tests.training.samples import SMALL_PARTICLE_NET, SMALL_PFN, labeled, learnable_jets, small_network

TRAINING = learnable_jets(403, seed=1)
VALIDATION = learnable_jets(101, seed=2)
CONFIG = TrainingConfig(Optimization("Adam", 0.01), epochs=5, batch_size=32, seed=3)


def silent(_: Progress) -> None:
    pass


def trained(config: TrainingConfig, hyperparameters: Hyperparameters = SMALL_PFN) -> tuple[JetNetwork, TrainingResult]:
    network = small_network(hyperparameters=hyperparameters)
    return network, train(network, TRAINING, VALIDATION, config, silent)


def validation_loss(network: JetNetwork) -> float:
    prediction = torch.from_numpy(predict(network, VALIDATION.packed))
    return calibration_loss(prediction, torch.tensor(VALIDATION.labels.target)).item()


def same_weights(first: JetNetwork, second: JetNetwork) -> bool:
    others = second.state_dict()
    return all(torch.equal(tensor, others[name]) for name, tensor in first.state_dict().items())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_learns(optimizer: str) -> None:
    _, result = trained(replace(CONFIG, optimization=Optimization(optimizer, 0.01), epochs=20))
    standard = calibration_loss(torch.zeros(101), torch.tensor(VALIDATION.labels.target)).item()
    assert result.best_validation_loss < 0.75 * standard
    assert result.history[-1].training_loss < result.history[0].training_loss


def test_the_best_epochs_weights_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    spoiling = {1: 0.01, 2: 0.01, 3: 0.01, 4: 3.0, 5: 3.0}
    rate_of = "jec_assets.training.step.learning_rate"
    monkeypatch.setattr(rate_of, lambda _, __, moment: spoiling[moment.epoch])
    network, result = trained(CONFIG)
    losses = [figures.validation_loss for figures in result.history]
    assert result.best_epoch == int(np.argmin(losses)) + 1
    assert result.best_epoch <= 3
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
    jets = TRAINING.packed
    lone = labeled(PackedJets(jets.particles[:3], np.arange(4), jets.jets[:3]), TRAINING.labels.target[:3])
    result = train(small_network(hyperparameters=hyperparameters), lone, lone, replace(CONFIG, batch_size=2), silent)
    assert all(np.isfinite(figures.gradient_norm) for figures in result.history)


def test_another_seed_gives_other_weights() -> None:
    assert not same_weights(trained(CONFIG)[0], trained(replace(CONFIG, seed=4))[0])


def test_standardization_comes_from_the_training_jets() -> None:
    network, _ = trained(replace(CONFIG, epochs=1))
    expected, found = Standardization.fit(TRAINING.packed), network.standardization
    assert np.array_equal(found.particle_center, expected.particle_center)
    assert np.array_equal(found.jet_scale, expected.jet_scale)


def test_history_is_complete_and_true() -> None:
    network, result = trained(replace(CONFIG, epochs=10, optimization=Optimization("Adam", 1e-9)))
    assert [figures.epoch for figures in result.history] == list(range(1, 11))
    assert [figures.learning_rate for figures in result.history[:7]] == [1e-9] * 7
    assert result.history[-1].learning_rate == pytest.approx(1e-11)
    assert all(figures.jets_per_second > 0 and figures.gradient_norm > 0 for figures in result.history)
    # Weights hardly move at this rate, so every epoch's validation loss is the network's.
    assert [figures.validation_loss for figures in result.history] == pytest.approx([validation_loss(network)] * 10)
    assert result.seconds > 0


def test_weights_move_at_the_schedules_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    only_the_first_epoch = {1: 0.01, 2: 0.0, 3: 0.0}
    rate_of = "jec_assets.training.step.learning_rate"
    monkeypatch.setattr(rate_of, lambda _, __, moment: only_the_first_epoch[moment.epoch])
    _, result = trained(replace(CONFIG, epochs=3))
    assert len({figures.validation_loss for figures in result.history}) == 1
    assert len({figures.training_loss for figures in result.history}) == 3  # other batches, other dropout


def test_progress_begins_with_the_first_step() -> None:
    reports: list[Progress] = []
    train(small_network(), TRAINING, VALIDATION, CONFIG, reports.append)
    assert (reports[0].epoch, reports[0].epochs, reports[0].step, reports[0].steps) == (1, 5, 1, 13)


def test_threads_and_random_numbers_are_left_as_they_were() -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    trained(replace(CONFIG, computation=Computation(threads=2), epochs=1))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("jets", "validation_jets"), [(1, 9), (0, 9), (9, 0)])
def test_too_few_jets_are_refused(jets: int, validation_jets: int) -> None:
    few, some = learnable_jets(9).slice(0, jets), learnable_jets(9).slice(0, validation_jets)
    with pytest.raises(TooFewJetsError, match=f"got {jets} and {validation_jets}: add files or loosen the selection"):
        train(small_network(), few, some, CONFIG, silent)


def test_a_network_with_other_outputs_than_its_loss_is_refused() -> None:
    with pytest.raises(TrainingConfigError, match=r"'quantile' is that of .* build it with outputs=3"):
        trained(replace(CONFIG, loss="quantile"))


def test_the_last_uneven_batch_counts() -> None:
    """Training on jets whose targets carry no loss leaves the weights alone; one jet more moves them."""
    silent_jets = np.full_like(TRAINING.labels.target, 2.0)
    one_speaks = silent_jets.copy()
    one_speaks[-1] = 0.5
    for target, moved in ((silent_jets, False), (one_speaks, True)):
        network = small_network()
        jets = replace(TRAINING, labels=replace(TRAINING.labels, target=target))
        train(network, jets, VALIDATION, replace(CONFIG, epochs=1), silent)
        before = dict(small_network().named_parameters())
        assert any(not torch.equal(weight, before[name]) for name, weight in network.named_parameters()) is moved


@pytest.mark.parametrize("loss", LOSSES)
def test_trials_are_ranked_by_the_predictions_absolute_error_whatever_they_minimize(loss: LossName) -> None:
    network = small_network(outputs=len(output_names(loss)))
    result = train(network, TRAINING, VALIDATION, replace(CONFIG, loss=loss, epochs=8), silent)
    assert result.best_validation_loss == pytest.approx(validation_loss(network), rel=1e-6)
    assert result.history[-1].training_loss < result.history[0].training_loss


def test_quantiles_enclose_their_share_of_jets() -> None:
    jets = learnable_jets(4000, seed=5)
    noise = np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32)
    target = (0.3 * jets.labels.target + noise).clip(-0.9, 0.9)
    noisy = labeled(jets.packed, target)
    network = small_network(outputs=3)
    plan = Optimization("Adam", 0.01, schedule="one_cycle")
    train(network, noisy, noisy, replace(CONFIG, optimization=plan, loss="quantile", batch_size=128), silent)
    median, low, high = predict_outputs(network, noisy.packed).T
    shares = [np.mean(target < level) for level in (low, median, high)]
    assert shares == pytest.approx([0.16, 0.5, 0.84], abs=0.05)
    assert (low <= median).all()
    assert (median <= high).all()
    assert np.median(high - low) / 2 == pytest.approx(0.1, abs=0.03)


def test_clipped_gradients_move_less() -> None:
    """Of plain descent; the norm that is reported is the one before clipping."""
    moves, norms = [], []
    for clip in (None, 1e-3):
        network = small_network()
        plan = Optimization("AdaGrad", 1e-3, schedule="constant", clip_norm=clip)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "jec_assets.training.step.make_optimizer", lambda _, weights, rate: torch.optim.SGD(weights, rate)
            )
            result = train(network, TRAINING, VALIDATION, replace(CONFIG, optimization=plan, epochs=1), silent)
        before = dict(small_network().named_parameters())
        moves.append(sum((weight - before[name]).square().sum() for name, weight in network.named_parameters()) ** 0.5)
        norms.append(result.history[0].gradient_norm)
    assert norms[1] == pytest.approx(norms[0], rel=0.1)
    assert moves[1] <= 13 * 1e-3 * 1e-3 * 1.001
    assert moves[0] > 10 * moves[1]


def test_averaged_weights_are_validated_and_kept() -> None:
    plain, _ = trained(replace(CONFIG, epochs=3))
    network, result = trained(replace(CONFIG, optimization=replace(CONFIG.optimization, average_decay=0.99), epochs=3))
    assert not same_weights(network, plain)
    assert result.best_validation_loss == pytest.approx(validation_loss(network), rel=1e-6)


def test_averaging_smooths_a_rate_that_is_too_high() -> None:
    wild = Optimization("Adam", 0.05, schedule="constant")
    losses = []
    for decay in (None, 0.98):
        _, result = trained(replace(CONFIG, optimization=replace(wild, average_decay=decay), epochs=12))
        losses.append(np.median([figures.validation_loss for figures in result.history[4:]]))
    assert losses[1] < losses[0]


def test_training_ends_early_when_patience_does(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = [0.5, 0.4, 0.45, 0.4, 0.3, 0.31, 0.3, 0.32, 0.1]
    to_come = iter(losses)
    monkeypatch.setattr("jec_assets.training.loop.validation_loss", lambda *_: next(to_come))
    _, result = trained(replace(CONFIG, epochs=9, patience=3))
    assert [figures.validation_loss for figures in result.history] == losses[:8]
    assert result.best_epoch == 5


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_less_precise_products_learn_as_well(precision: str) -> None:
    _, exact = trained(replace(CONFIG, epochs=8))
    _, rounded = trained(replace(CONFIG, epochs=8, computation=Computation(precision=precision)))
    assert rounded.best_validation_loss == pytest.approx(exact.best_validation_loss, rel=0.2)
    assert rounded.history != exact.history


def test_asking_for_determinism_changes_nothing_on_the_cpu() -> None:
    first, _ = trained(CONFIG)
    second, _ = trained(replace(CONFIG, computation=Computation(deterministic=True)))
    assert same_weights(first, second)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("hyperparameters", [SMALL_PFN, SMALL_PARTICLE_NET])
def test_a_constant_feature_is_harmless(hyperparameters: Hyperparameters) -> None:
    particles, jets = TRAINING.packed.particles.copy(), TRAINING.packed.jets.copy()
    particles[:, 3], jets[:, 0] = 7.5, -1e6
    constant = replace(TRAINING, packed=replace(TRAINING.packed, particles=particles, jets=jets))
    result = train(small_network(hyperparameters=hyperparameters), constant, VALIDATION, CONFIG, silent)
    assert np.isfinite([figures.training_loss for figures in result.history]).all()


@pytest.mark.parametrize("hyperparameters", [SMALL_PFN, SMALL_PARTICLE_NET])
def test_jets_without_constituents_can_be_trained_on(hyperparameters: Hyperparameters) -> None:
    counts = TRAINING.packed.counts[:64].copy()
    counts[:32] = 0
    offsets = np.concatenate([[0], np.cumsum(counts)])
    particles = TRAINING.packed.particles[: offsets[-1]]
    # Batches of two bring some without any particle.
    jets = labeled(PackedJets(particles, offsets, TRAINING.packed.jets[:64]), TRAINING.labels.target[:64])
    network = small_network(hyperparameters=hyperparameters)
    result = train(network, jets, VALIDATION, replace(CONFIG, batch_size=2), silent)
    assert np.isfinite([figures.training_loss for figures in result.history]).all()
