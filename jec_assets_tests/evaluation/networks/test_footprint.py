from __future__ import annotations

import numpy as np
import pytest
import torch

from jec_assets.evaluation.networks.footprint import BATCH_SIZE, _watched, footprint
from jec_assets.jets.features import EXTENDED, PAPER, FeatureSet
from jec_assets.jets.packed import PackedJets
from jec_assets.models.families import FAMILIES
from jec_assets.models.inputs import NetworkInputs


def jets(features: FeatureSet, number: int, particles: int) -> PackedJets:
    random = np.random.default_rng(1)
    return PackedJets(
        random.normal(size=(number * particles, len(features.particle_features))).astype(np.float32),
        particles * np.arange(number + 1),
        random.normal(size=(number, len(features.jet_features))).astype(np.float32),
    )


def test_products_of_the_published_pfn_are_its_macs_without_biases_and_activations():
    network = FAMILIES["pfn"].optimum.build(NetworkInputs.of(PAPER)).eval()
    found = footprint(network, jets(PAPER, 8, 100))
    # per particle 5 layers of 50, per jet 3 layers of 400: a bias and an activation each; then one bias
    assert found.macs == 1_426_001 - (100 * 5 * 2 * 50 + 3 * 2 * 400 + 1)
    assert (found.jets, found.mean_particles) == (8, 100)
    # 355,351 weights, and a center and a scale for each of 14 features
    assert found.weights_bytes == 4 * (355_351 + 2 * 14)


def test_particle_net_spares_its_first_layer_on_every_edge():
    optimum = FAMILIES["particle_net"].optimum
    found = footprint(optimum.build(NetworkInputs.of(PAPER)).eval(), jets(PAPER, 4, 100))
    assert 0.3 < found.macs / optimum.macs(NetworkInputs.of(PAPER), 100) < 0.8


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_be_counted_and_is_left_as_it_was(family: str):
    network = FAMILIES[family].optimum.build(NetworkInputs.of(EXTENDED)).eval()
    found = footprint(network, jets(EXTENDED, 4, 20))
    assert found == footprint(network, jets(EXTENDED, 4, 20))
    assert found.macs > 0
    assert found.activation_bytes > 4 * 20 * 4
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_batch_is_bounded():
    network = FAMILIES["pfn"].optimum.build(NetworkInputs.of(PAPER)).eval()
    assert footprint(network, jets(PAPER, BATCH_SIZE + 5, 1)).jets == BATCH_SIZE
    assert footprint(network, jets(PAPER, 1, 3)).jets == 1


def test_memory_is_that_of_storages_while_they_live():
    given = torch.zeros(1000)
    with _watched() as memory:
        first = given + 1
        view = first.view(10, 100)
        assert memory.now == 4000
        second = view * 2
        assert (memory.now, memory.most) == (8000, 8000)
        del first, view
        assert memory.now == 4000
        second.add_(1)
        assert (memory.now, memory.most) == (4000, 8000)
