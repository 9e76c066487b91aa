from __future__ import annotations

import pytest
import torch

from jec_assets.training.averaging import AveragedNetwork, decay_at
from jec_assets_tests.training.samples import SMALL_PARTICLE_NET, small_network


def test_the_decay_rises_to_the_one_asked_for() -> None:
    assert [decay_at(0.9, steps) for steps in (0, 10, 1000)] == [0.1, 11 / 20, 0.9]


def test_weights_and_buffers_are_averaged_by_the_formula() -> None:
    network = small_network(hyperparameters=SMALL_PARTICLE_NET)
    average = AveragedNetwork(network, decay=0.5)
    floating = {name: tensor for name, tensor in network.state_dict().items() if tensor.is_floating_point()}
    expected = {}
    for step in range(12):
        for number, tensor in enumerate(floating.values()):
            tensor.fill_(1.0 + step * step + number)
        average.update_parameters(network)
        decay = decay_at(0.5, step)
        for name, tensor in floating.items():
            expected[name] = tensor.clone() if step == 0 else decay * expected[name] + (1 - decay) * tensor
    averaged = average.network.state_dict()
    assert any("running" in name or "mean" in name for name in expected), "the case is none: no buffers"
    for name, tensor in expected.items():
        torch.testing.assert_close(averaged[name], tensor)


def test_constants_stay_exactly_what_they_are() -> None:
    network = small_network()
    network.standardize_jets.center.fill_(0.1)
    average = AveragedNetwork(network, decay=0.9)
    for _ in range(20):
        average.update_parameters(network)
    assert torch.equal(average.network.standardize_jets.center, network.standardize_jets.center)
    assert average.network is not network


@pytest.mark.parametrize("decay", [0.3, 0.999])
def test_the_average_goes_on_where_it_was(decay: float) -> None:
    network, other = small_network(1), small_network(1)
    average, again = AveragedNetwork(network, decay), AveragedNetwork(other, decay)
    for step in range(3):
        for weight in network.parameters():
            weight.data.fill_(step)
        average.update_parameters(network)
    again.load_state_dict(average.state_dict())
    other.load_state_dict(network.state_dict())
    for weight, twin in zip(network.parameters(), other.parameters(), strict=True):
        weight.data.fill_(7.0)
        twin.data.fill_(7.0)
    average.update_parameters(network)
    again.update_parameters(other)
    for name, tensor in again.network.state_dict().items():
        assert torch.equal(tensor, average.network.state_dict()[name])
