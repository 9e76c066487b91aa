"""The loop on a GPU: it learns, in the numbers that suit the GPU, and does the same again if asked to."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from jec_assets.models.hyperparameters import Hyperparameters
from jec_assets.models.prediction import predict
from jec_assets.training.config import Computation
from jec_assets.training.loop import train
from jec_assets_tests.training.samples import SMALL_PARTICLE_NET, SMALL_PFN, learnable_jets, small_network
from jec_assets_tests.training.test_loop import CONFIG, silent

pytestmark = pytest.mark.needs("cuda")
NETWORK = pytest.mark.parametrize("hyperparameters", [SMALL_PFN, SMALL_PARTICLE_NET], ids=["pfn", "particle_net"])


@NETWORK
@pytest.mark.parametrize("precision", ["auto", "float32", "float16"])
def test_training_learns(hyperparameters: Hyperparameters, precision: str) -> None:
    network = small_network(hyperparameters=hyperparameters)
    config = replace(CONFIG, computation=Computation(precision=precision))  # type: ignore[arg-type]
    result = train(network, learnable_jets(400), learnable_jets(100, seed=1), config, silent)
    assert result.device == "cuda"
    assert result.history[-1].validation_loss < 0.9 * result.history[0].validation_loss
    assert next(network.parameters()).device.type == "cpu"


@NETWORK
def test_a_deterministic_training_ends_with_the_same_bits(hyperparameters: Hyperparameters) -> None:
    config = replace(CONFIG, computation=Computation(deterministic=True))
    networks = [small_network(hyperparameters=hyperparameters) for _ in range(2)]
    for network in networks:
        train(network, learnable_jets(400), learnable_jets(100, seed=1), config, silent)
    first, second = (network.state_dict().values() for network in networks)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert (predict(networks[0], learnable_jets(50).packed) == predict(networks[1], learnable_jets(50).packed)).all()
