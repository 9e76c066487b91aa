"""The published size, and what is dropped."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from jec_assets.models.families import FAMILIES
from jec_assets.models.hyperparameters import HyperparameterError, ParticleTransformerHyperparameters
from jec_assets.models.inputs import NetworkInputs
from jec_assets_tests.models.test_networks import MIXED, SMALL, make, some_jets, tensors

PUBLISHED = dataclasses.replace(FAMILIES["particle_transformer"].optimum, head_layers=0)
TAGGING = NetworkInputs(particle_features=7, jet_features=0, points=(1, 2), log_pt=0)


def test_the_published_network_has_the_published_size() -> None:
    assert PUBLISHED.build(TAGGING, outputs=10).parameter_count == 2_142_166


def test_the_published_network_costs_about_the_published_operations() -> None:
    # 340 million with 128 particles, without activations and normalizations.
    assert PUBLISHED.macs(TAGGING, 128) == pytest.approx(340e6, rel=0.03)


def test_operations_counted_by_hand() -> None:
    network = ParticleTransformerHyperparameters(
        blocks=3,
        class_blocks=1,
        units=2,
        heads=1,
        pair_layers=1,
        pair_units=5,
        head_layers=0,
        head_units=1,
        dropout=0.0,
    )
    inputs, particles = NetworkInputs(3, 1, (0, 1), 2), 7
    embedding = 6 + (6 + 6 + 2 + 2) + (4 + 16 + 8 + 8) + (16 + 16 + 2 + 2)
    pair = 8 + (20 + 5 + 10 + 5) + (5 + 1 + 2 + 1)
    joined = (4 + 2) + 2 + 4 + (4 + 16 + 8 + 8) + (16 + 16 + 2) + 2
    block = particles * ((4 + 12 + 6) + joined) + particles**2 * (2 + 2 + 1)
    class_block = (4 + 2) + (particles + 1) * (4 + 8 + 4 + 2 + 2 + 1) + joined
    expected = particles * embedding + 28 * pair + 3 * block + class_block + 4 + (3 + 1)
    assert network.macs(inputs, particles) == expected


def test_units_that_heads_cannot_share_are_refused() -> None:
    with pytest.raises(HyperparameterError, match="multiple of its 8 heads"):
        dataclasses.replace(PUBLISHED, units=100)


def test_dropout_acts_in_training_alone_and_by_the_seed() -> None:
    family = "particle_transformer"
    network, jets = make(family), tensors(some_jets(MIXED))
    dropping = dataclasses.replace(SMALL[family], dropout=0.3).build(network.inputs)
    dropping.load_state_dict(network.state_dict())
    torch.testing.assert_close(dropping.eval()(*jets), network.eval()(*jets))
    outputs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outputs.append(dropping.train()(*jets))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
