from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from jec_assets.jets.labels import LabeledJets
from jec_assets.training.config import WEIGHTINGS, Optimization, TrainingConfig, WeightingName
from jec_assets.training.loop import train
from jec_assets.training.reweighting import FlatSpectrum, ReweightingError, loss_weights, probabilities
from jec_assets.training.weighting import batch_plan, event_weights
from jec_assets_tests.training.samples import learnable_jets, small_network

JETS = learnable_jets(403, seed=1)
CONFIG = TrainingConfig(Optimization("Adam", 0.01), epochs=2, batch_size=32, seed=3)


def with_event_weights(values: np.ndarray) -> LabeledJets:
    return replace(JETS, labels=replace(JETS.labels, event_weight=values.astype(np.float32)))


def test_plans_hold_what_their_names_say() -> None:
    plain = batch_plan(CONFIG, JETS.labels)
    assert plain.weights is None
    assert plain.sampling is None
    by_events = batch_plan(replace(CONFIG, weighting="event_weights"), JETS.labels)
    np.testing.assert_allclose(by_events.weights, JETS.labels.event_weight / JETS.labels.event_weight.mean(), rtol=1e-6)
    flat = batch_plan(replace(CONFIG, weighting="flat_weights"), JETS.labels)
    np.testing.assert_array_equal(flat.weights, loss_weights(JETS.labels, FlatSpectrum()))
    drawn = batch_plan(replace(CONFIG, weighting="flat_sampling"), JETS.labels)
    np.testing.assert_array_equal(drawn.sampling, probabilities(JETS.labels, FlatSpectrum()))


def test_jets_of_weight_zero_do_not_train() -> None:
    """Their targets may be anything."""
    weights = np.where(np.arange(403) < 200, 0, 1)
    other = JETS.labels.target.copy()
    other[:200] = 0.77
    config, ends = replace(CONFIG, weighting="event_weights"), []
    for target in (JETS.labels.target, other):
        network, jets = small_network(), with_event_weights(weights)
        train(network, replace(jets, labels=replace(jets.labels, target=target)), JETS, config, lambda _: None)
        ends.append(network.state_dict())
    assert all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items())


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_every_weighting_trains_and_is_validated_without(weighting: WeightingName) -> None:
    still = Optimization("Adam", 1e-12)
    losses = []
    for name in ("none", weighting):
        config = replace(CONFIG, optimization=still, weighting=name)
        losses.append(train(small_network(), JETS, JETS, config, lambda _: None).best_validation_loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("wrong", [np.full(403, 0), np.full(403, np.nan), np.linspace(-0.1, 1, 403)])
def test_event_weights_that_are_none_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ReweightingError, match="train with weighting none"):
        event_weights(with_event_weights(wrong).labels)
