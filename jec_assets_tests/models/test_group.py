"""Two processes with a part of a batch each against one with the whole batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from jec_assets.models import group
from jec_assets.models import neighbors as neighbors_module
from jec_assets.models.hyperparameters import (
    Hyperparameters,
    ParticleNetHyperparameters,
    ParticleTransformerHyperparameters,
    PFNCommitteeHyperparameters,
    PFNHyperparameters,
)
from jec_assets.models.inputs import NetworkInputs
from jec_assets.models.network import JetNetwork
from jec_assets.models.row_norm import RowNorm
from jec_assets.training.reproducible import threads
from jec_assets_tests.models.group_of_two import GroupOfTwo, group_of_two

INPUTS = NetworkInputs(particle_features=3, jet_features=2, points=(0, 1), log_pt=2, log_share=2, jet_eta=0)
PFN = PFNHyperparameters(phi_layers=2, phi_units=6, head_layers=1, head_units=7, dropout=0.0)
PARTICLE_NET = ParticleNetHyperparameters(
    blocks=3, neighbors=4, layers=3, units=6, head_layers=1, head_units=7, dropout=0.0
)
TRANSFORMER = ParticleTransformerHyperparameters(
    blocks=2, class_blocks=1, units=8, heads=2, pair_layers=2, pair_units=6, head_layers=1, head_units=7, dropout=0.0
)
COMMITTEE = PFNCommitteeHyperparameters(members=3, phi_layers=2, phi_units=6, head_layers=1, head_units=7, dropout=0.0)
FAMILIES = [PFN, PARTICLE_NET, TRANSFORMER, COMMITTEE]
FAMILY = pytest.mark.parametrize("hyperparameters", FAMILIES, ids=lambda some: some.family)
# Particles of each jet of a batch, and how many jets the first process gets.
BATCHES = {
    "uneven": ([5, 1, 9, 3, 14, 2, 7], 4),
    "one jet": ([5, 1, 9, 3, 14, 2, 7], 6),
    "no edges in the second": ([5, 9, 3, 1, 1], 3),
    "no edges in the first": ([1, 5, 9], 1),
    "no edges at all": ([1, 1, 1], 2),
}


@dataclass(frozen=True)
class Part:
    """Some of a batch's jets."""

    hyperparameters: Hyperparameters
    particles: Tensor
    offsets: Tensor
    jets: Tensor
    weights: Tensor

    def to(self, dtype: torch.dtype) -> Part:
        """The same in another precision."""
        tensors = (self.particles.to(dtype), self.offsets, self.jets.to(dtype), self.weights.to(dtype))
        return Part(self.hyperparameters, *tensors)


@dataclass(frozen=True)
class Computed:
    """What a network gives for jets; its state after two steps; gradients, summed over the processes."""

    outputs: Tensor
    state: dict[str, Tensor]
    gradients: dict[str, Tensor]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GroupOfTwo]:
    with group_of_two(tmp_path_factory.mktemp("group") / "meeting") as group:
        yield group


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with threads(1):
        yield


def a_batch(hyperparameters: Hyperparameters, counts: list[int]) -> Part:
    generator = torch.Generator().manual_seed(5)

    def random(*shape: int) -> Tensor:
        return 3 + torch.randn(*shape, generator=generator, dtype=torch.float64)

    offsets = torch.tensor([0, *counts]).cumsum(0)
    return Part(hyperparameters, random(sum(counts), 3), offsets, random(len(counts), 2), random(len(counts)))


def halves(batch: Part, cut: int) -> tuple[Part, Part]:
    return jets_of(batch, 0, cut), jets_of(batch, cut, len(batch.jets))


def jets_of(batch: Part, first: int, last: int) -> Part:
    start, stop = batch.offsets[first], batch.offsets[last]
    return Part(
        batch.hyperparameters,
        batch.particles[start:stop],
        batch.offsets[first : last + 1] - start,
        batch.jets[first:last],
        batch.weights[first:last],
    )


def a_network(hyperparameters: Hyperparameters) -> JetNetwork:
    torch.manual_seed(1)
    network = hyperparameters.build(INPUTS)
    for module in network.modules():
        if isinstance(module, RowNorm):
            torch.nn.init.normal_(module.weight)  # of both signs, unlike a fresh network's
            torch.nn.init.normal_(module.bias)
    return network


def computed(part: Part) -> Computed:
    """Two steps of plain descent, and what the second one saw."""
    network = a_network(part.hyperparameters).to(part.jets.dtype)
    for _ in range(2):
        network.zero_grad()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(neighbors_module, "CHUNK_NUMBERS", 20 * PARTICLE_NET.units)  # several chunks of edges
            outputs = network(part.particles, part.offsets, part.jets)
        (outputs[:, 0] * part.weights).sum().backward()
        gradients = {
            name: group.sum_over_processes(weight.grad)
            for name, weight in network.named_parameters()
            if weight.grad is not None
        }
        with torch.no_grad():
            for name, weight in network.named_parameters():
                weight.sub_(1e-3 * gradients[name])
    return Computed(outputs.detach(), dict(network.state_dict()), gradients)


@pytest.mark.parametrize("counts_and_cut", BATCHES.values(), ids=BATCHES)
@FAMILY
def test_two_processes_compute_what_one_does(
    two: GroupOfTwo, hyperparameters: Hyperparameters, counts_and_cut: tuple[list[int], int]
) -> None:
    counts, cut = counts_and_cut
    batch = a_batch(hyperparameters, counts)
    expected = computed(batch)
    found = two.run(computed, halves(batch, cut))
    torch.testing.assert_close(torch.cat([one.outputs for one in found]), expected.outputs, rtol=1e-9, atol=1e-9)
    for one in found:
        torch.testing.assert_close(one.gradients, expected.gradients, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(one.state, expected.state, rtol=1e-9, atol=1e-9)


@FAMILY
def test_single_precision_leaves_the_same_bits_in_both_processes(
    two: GroupOfTwo, hyperparameters: Hyperparameters
) -> None:
    batch = a_batch(hyperparameters, BATCHES["uneven"][0]).to(torch.float32)
    first, second = two.run(computed, halves(batch, 4))
    torch.testing.assert_close(first.gradients, computed(batch).gradients, rtol=1e-4, atol=1e-4)
    for name, tensor in first.state.items():
        assert torch.equal(tensor, second.state[name]), name


def test_alone_a_sum_is_the_tensor_itself() -> None:
    tensor = torch.ones(3)
    assert group.sum_over_processes(tensor) is tensor
    assert (group.rank(), group.size()) == (0, 1)


def moments_of(rows: Tensor) -> group.Moments:
    mean = rows.mean(0) if len(rows) else torch.zeros(rows.shape[1])
    variance = rows.var(0, correction=0) if len(rows) else torch.zeros(rows.shape[1])
    return group.joined_moments(len(rows), mean, variance)


@pytest.mark.parametrize("cut", [0, 1, 7, 20])
def test_moments_of_parts_are_those_of_the_whole(two: GroupOfTwo, cut: int) -> None:
    rows = 1000 + torch.randn(20, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for found in two.run(moments_of, (rows[:cut], rows[cut:])):
        assert found.rows == 20
        torch.testing.assert_close(found.mean, rows.mean(0), rtol=1e-12, atol=0)
        torch.testing.assert_close(found.variance, rows.var(0, correction=0), rtol=1e-8, atol=0)


def identity(rank: int) -> tuple[int, int]:
    assert group.rank() == rank
    return group.rank(), group.size()


def test_processes_know_their_number(two: GroupOfTwo) -> None:
    assert two.run(identity, (0, 1)) == [(0, 2), (1, 2)]


def gradient_of_a_sum(summand: float) -> tuple[float, float]:
    """Of the loss rank-dependent factor x (sum over processes)^2, by this process's summand."""
    own = torch.tensor(summand, requires_grad=True)
    total = group.sum_over_processes(own)
    ((group.rank() + 1) * total**2).backward()
    assert own.grad is not None
    return total.item(), own.grad.item()


def test_a_sum_has_the_derivative_of_the_joined_loss(two: GroupOfTwo) -> None:
    # L = (1 + 2) (a + b)^2 with a + b = 5: dL/da = dL/db = 30.
    assert two.run(gradient_of_a_sum, (2.0, 3.0)) == [(5.0, 30.0), (5.0, 30.0)]
