"""All families against their plain reference, and what must hold for every network."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from jec_assets.jets.features import EXTENDED, PAPER
from jec_assets.jets.packed import PackedJets
from jec_assets.models.families import FAMILIES, family_named
from jec_assets.models.hyperparameters import (
    Hyperparameters,
    ParticleNetHyperparameters,
    ParticleTransformerHyperparameters,
    PFNCommitteeHyperparameters,
    PFNHyperparameters,
)
from jec_assets.models.inputs import NetworkInputs, Standardization
from jec_assets.models.network import JetNetwork
from jec_assets.models.prediction import predict
from jec_assets.training.reproducible import threads
from jec_assets_tests.models import reference

SMALL: dict[str, Hyperparameters] = {
    "pfn": PFNHyperparameters(phi_layers=3, phi_units=12, head_layers=2, head_units=16, dropout=0.0),
    "particle_net": ParticleNetHyperparameters(
        blocks=3, neighbors=4, layers=2, units=10, head_layers=1, head_units=12, dropout=0.0
    ),
    "pfn_committee": PFNCommitteeHyperparameters(
        members=3, phi_layers=2, phi_units=12, head_layers=2, head_units=16, dropout=0.0
    ),
    "particle_transformer": ParticleTransformerHyperparameters(
        blocks=2,
        class_blocks=2,
        units=12,
        heads=3,
        pair_layers=2,
        pair_units=6,
        head_layers=1,
        head_units=10,
        dropout=0.0,
    ),
}
REFERENCES: dict[str, Callable[..., Tensor]] = {
    "pfn": reference.pfn,
    "particle_net": reference.particle_net,
    "pfn_committee": reference.pfn_committee,
    "particle_transformer": reference.particle_transformer,
}
FAMILY = pytest.mark.parametrize("family", SMALL)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with threads(1):
        yield


def some_jets(counts: list[int], seed: int = 0) -> PackedJets:
    random = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    particles = random.normal(0.2, 1.3, (offsets[-1], len(EXTENDED.particle_features))).astype(np.float32)
    jets = random.normal(1.0, 2.0, (len(counts), len(EXTENDED.jet_features))).astype(np.float32)
    return PackedJets(particles, offsets, jets)


# One particle, two, fewer than the neighbors wanted, exactly one more, and many.
MIXED = [1, 2, 4, 5, 6, 17, 40, 3, 1, 25]


def make(family: str, seed: int = 3) -> JetNetwork:
    torch.manual_seed(seed)
    network = SMALL[family].build(NetworkInputs.of(EXTENDED))
    network.set_standardization(Standardization.fit(some_jets([30] * 20, seed=9)))
    return network


def trained(family: str) -> JetNetwork:
    """A network whose running statistics and affine constants are not those of a fresh one."""
    network = make(family).train()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for seed in range(3):
            network(*tensors(some_jets(MIXED, seed)))
    return network.eval()


def tensors(jets: PackedJets) -> tuple[Tensor, Tensor, Tensor]:
    return torch.from_numpy(jets.particles), torch.from_numpy(jets.offsets), torch.from_numpy(jets.jets)


def padded(network: JetNetwork, jets: PackedJets, slots: int, filling: float = 0.0) -> Tensor:
    dense = np.full((len(jets), slots, jets.particles.shape[1]), filling, np.float32)
    counts = jets.counts
    for number, (start, count) in enumerate(zip(jets.offsets, counts, strict=False)):
        dense[number, :count] = jets.particles[start : start + count]
    with torch.no_grad():
        return network.forward_padded(
            torch.from_numpy(dense), torch.from_numpy(counts[:, None]), torch.from_numpy(jets.jets)
        )[:, 0]


@pytest.mark.parametrize(("family", "parameters"), [("pfn", 355_351), ("particle_net", 123_469)])
def test_published_networks_have_the_published_size(family: str, parameters: int) -> None:
    network = FAMILIES[family].optimum.build(NetworkInputs.of(PAPER))
    assert network.parameter_count == parameters


@pytest.mark.parametrize(("family", "macs"), [("pfn", 1_426_001), ("particle_net", 47_588_001)])
def test_published_networks_cost_the_published_operations(family: str, macs: int) -> None:
    assert FAMILIES[family].optimum.macs(NetworkInputs.of(PAPER), 100) == macs


def test_unknown_families_are_refused_with_the_known_ones() -> None:
    with pytest.raises(LookupError, match="particle_net"):
        family_named("particle_nut")


@FAMILY
def test_outputs_equal_the_reference_in_evaluation(family: str) -> None:
    network, jets = trained(family), some_jets(MIXED, seed=5)
    with torch.no_grad():
        expected = REFERENCES[family](network, *tensors(jets))
        torch.testing.assert_close(network(*tensors(jets)), expected, atol=1e-5, rtol=1e-5)


@FAMILY
def test_outputs_gradients_and_statistics_equal_the_reference_in_training(family: str) -> None:
    ours = trained(family).train()
    plain = copy.deepcopy(ours)
    jets = some_jets(MIXED, seed=6)
    target = torch.linspace(-0.2, 0.2, len(jets))
    results = [ours(*tensors(jets)), REFERENCES[family](plain, *tensors(jets))]
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-5)
    for result in results:
        (result[:, 0] - target).abs().mean().backward()
    for (name, parameter), expected in zip(ours.named_parameters(), plain.parameters(), strict=True):
        assert parameter.grad is not None, name
        assert expected.grad is not None, name
        assert torch.allclose(parameter.grad, expected.grad, atol=2e-6, rtol=1e-4), name
    for (name, buffer), expected in zip(ours.named_buffers(), plain.buffers(), strict=True):
        if "running" in name:
            torch.testing.assert_close(buffer, expected, atol=1e-6, rtol=1e-5)


@FAMILY
@pytest.mark.parametrize("filling", [0.0, 7.5, float("nan")])
def test_padding_never_enters_an_output(family: str, filling: float) -> None:
    network, jets = trained(family), some_jets(MIXED, seed=7)
    expected = torch.from_numpy(predict(network, jets))
    for slots in (max(MIXED), max(MIXED) + 1, 130):
        torch.testing.assert_close(padded(network, jets, slots, filling), expected, atol=1e-5, rtol=1e-5)


@FAMILY
def test_a_jet_does_not_depend_on_the_others_of_its_batch(family: str) -> None:
    network, jets = trained(family), some_jets(MIXED, seed=8)
    together = predict(network, jets)
    alone = np.concatenate([predict(network, jets.slice(number, number + 1)) for number in range(len(jets))])
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(predict(network, jets, batch_size=3), together, rtol=1e-5, atol=1e-6)


@FAMILY
def test_the_order_of_particles_does_not_matter(family: str) -> None:
    network, jets = trained(family), some_jets(MIXED, seed=9)
    random = np.random.default_rng(1)
    particles_of = [np.arange(start, stop) for start, stop in pairwise(jets.offsets)]
    rows = np.concatenate([random.permutation(particles) for particles in particles_of])
    shuffled = PackedJets(jets.particles[rows], jets.offsets, jets.jets)
    np.testing.assert_allclose(predict(network, shuffled), predict(network, jets), rtol=1e-4, atol=1e-5)


@FAMILY
def test_a_jet_without_particles_is_a_number(family: str) -> None:
    network = trained(family)
    empty = network.forward_padded(
        torch.full((2, 3, len(EXTENDED.particle_features)), float("nan")),
        torch.tensor([[0], [0]]),
        torch.ones(2, len(EXTENDED.jet_features)),
    )
    assert torch.isfinite(empty).all()


@FAMILY
def test_jets_of_one_particle_can_be_trained_on(family: str) -> None:
    network, jets = make(family).train(), some_jets([1] * 6)
    network(*tensors(jets)).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters() if parameter.grad is not None)


@FAMILY
def test_the_same_batch_gives_the_same_bits(family: str) -> None:
    first, second = trained(family), trained(family)
    jets = some_jets(MIXED, seed=2)
    np.testing.assert_array_equal(predict(first, jets), predict(second, jets))


@FAMILY
def test_clients_send_physical_features(family: str) -> None:
    """Features in other units, with constants fitted in those units, give the same prediction."""
    network, jets = trained(family), some_jets(MIXED, seed=4)
    before = predict(network, jets)
    scaled = PackedJets(jets.particles.copy(), jets.offsets, 1000 * jets.jets)
    now = network.standardization
    network.set_standardization(
        Standardization(now.particle_center, now.particle_scale, 1000 * now.jet_center, 1000 * now.jet_scale)
    )
    np.testing.assert_allclose(predict(network, scaled), before, rtol=1e-4, atol=1e-5)
