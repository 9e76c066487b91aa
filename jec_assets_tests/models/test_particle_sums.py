"""Sums over particles, against torch's own layers and derivatives."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from jec_assets.models import particle_sums as module
from jec_assets.models.particle_sums import particle_sums
from jec_assets.models.segments import segment_sum
from jec_assets.training.reproducible import threads

WIDTHS = [3, 7, 5, 6]


@pytest.fixture(autouse=True)
def _many_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Chunks of five particles: some jets are larger, some chunks are several jets."""
    monkeypatch.setattr(module, "CHUNK_NUMBERS", 4 * WIDTHS[-1])
    with threads(1):
        yield


def case(counts: list[int]) -> tuple[nn.Sequential, Tensor, Tensor]:
    torch.manual_seed(4)
    layers: list[nn.Module] = []
    for width, units in pairwise(WIDTHS):
        layers += [nn.Linear(width, units), nn.ReLU()]
    offsets = torch.tensor([0, *counts]).cumsum(0)
    return nn.Sequential(*layers).double(), torch.randn(sum(counts), WIDTHS[0], dtype=torch.float64), offsets


def sums_of(network: nn.Sequential, rows: Tensor, offsets: Tensor) -> Tensor:
    linears = [layer for layer in network if isinstance(layer, nn.Linear)]
    return particle_sums(rows, offsets, [linear.weight for linear in linears], [linear.bias for linear in linears])


@pytest.mark.parametrize("counts", [[3, 1, 12, 4, 2, 2, 9], [0, 4, 0, 0, 11, 0], [1], [0, 0], []])
def test_sums_and_derivatives_are_those_of_torchs_layers(counts: list[int]) -> None:
    network, rows, offsets = case(counts)
    rows.requires_grad_()
    gradients = []
    for sums in (sums_of(network, rows, offsets), segment_sum(network(rows), offsets)):
        weights = torch.linspace(-1, 2, sums.numel(), dtype=torch.float64).view(sums.shape)
        gradients.append((sums, *torch.autograd.grad((sums * weights).sum(), [rows, *network.parameters()])))
    for ours, torchs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, torchs, atol=1e-12, rtol=1e-12)


def test_evaluation_gives_the_same_bits() -> None:
    network, rows, offsets = case([3, 1, 12, 4, 2, 2, 9])
    training = sums_of(network, rows, offsets)
    with torch.no_grad():
        assert torch.equal(sums_of(network, rows, offsets), training)


def test_nothing_is_overwritten() -> None:
    """The derivative can be taken again, and the rows are as they were."""
    network, rows, offsets = case([3, 1, 12])
    before = rows.clone()
    total = sums_of(network, rows, offsets).sum()
    first = torch.autograd.grad(total, list(network.parameters()), retain_graph=True)
    for one, other in zip(first, torch.autograd.grad(total, list(network.parameters())), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(rows, before)
