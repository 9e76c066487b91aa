"""The layers on edges on a GPU against the same on a CPU in double precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jec_assets.models.edge_training import EdgeLayers
from jec_assets.models.edges import edge_mean_in_evaluation, edge_mean_in_training
from jec_assets.models.neighbors import arrangement_of

pytestmark = pytest.mark.needs("cuda")

COUNTS = [1, 2, 3, 9, 5, 14, 1, 7, 60, 31]
PARTICLES = sum(COUNTS)


def close(actual: Tensor, expected: Tensor, tolerance: float = 1e-4) -> None:
    """Equal to `tolerance` of the largest."""
    expected = expected.double().cpu()
    torch.testing.assert_close(actual.double().cpu(), expected, rtol=0, atol=tolerance * float(expected.abs().max()))


def some_tensors(layers: int, units: int) -> list[Tensor]:
    """Own and other, then gammas, betas, weights: gammas of both signs, and 0."""
    generator = torch.Generator().manual_seed(2)
    shapes = [(PARTICLES, units)] * 2 + [(units,)] * 2 * layers + [(units, units)] * (layers - 1)
    tensors = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in shapes]
    tensors[2][0] = 0.0
    return tensors


def results(device: str, tensors: list[Tensor], layers: int, neighbors: int) -> list[Tensor]:
    """The mean, moments, and derivatives of a sum of the mean's numbers by all tensors."""
    dtype = torch.float64 if device == "cpu" else torch.float32
    inputs = [tensor.detach().to(device, dtype, copy=True).requires_grad_() for tensor in tensors]
    offsets = torch.tensor([0, *COUNTS]).cumsum(0)
    arrangement = arrangement_of(offsets.to(device), neighbors, tensors[0].shape[1])
    points = torch.randn(PARTICLES, 2, generator=torch.Generator().manual_seed(1)).to(device)
    graph = arrangement.graph_of_points(arrangement.arrange(points))
    own, other, *rest = inputs
    gammas, betas, weights = rest[:layers], rest[layers : 2 * layers], rest[2 * layers :]
    parameters = EdgeLayers(tuple(gammas), tuple(betas), tuple(weights), 1e-5)
    mean, moments = edge_mean_in_training(graph, arrangement.arrange(own), arrangement.arrange(other), parameters)
    rows = arrangement.arrange(torch.arange(PARTICLES, device=device).unsqueeze(1)).flatten()
    importance = torch.randn(mean.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    (mean * importance.to(mean).index_select(0, rows)).sum().backward()
    derivatives = [tensor.grad for tensor in inputs if tensor.grad is not None]
    assert len(derivatives) == len(inputs)
    folded = [(weight.detach(), beta.detach()) for weight, beta in zip(weights, betas[1:], strict=True)]
    evaluated = edge_mean_in_evaluation(
        graph, arrangement.arrange(own.detach()), arrangement.arrange(other.detach()), folded
    )
    means = [torch.empty_like(values).index_copy(0, rows, values) for values in (mean.detach(), evaluated)]
    return [*means, moments.mean, moments.variance, *derivatives]


@pytest.mark.parametrize(
    ("layers", "units", "neighbors"), [(1, 6, 4), (2, 50, 16), (3, 100, 8), (3, 7, 5), (2, 200, 16)]
)
def test_outputs_moments_and_derivatives(layers: int, units: int, neighbors: int) -> None:
    tensors = some_tensors(layers, units)
    for actual, expected in zip(
        results("cuda", tensors, layers, neighbors), results("cpu", tensors, layers, neighbors), strict=True
    ):
        close(actual, expected)


@pytest.mark.filterwarnings("ignore:.*deterministic")
def test_deterministic_derivatives_are_the_same_bits() -> None:
    tensors = some_tensors(3, 50)
    torch.use_deterministic_algorithms(True)
    try:
        first, second = (results("cuda", tensors, 3, 16) for _ in range(2))
    finally:
        torch.use_deterministic_algorithms(False)
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)
    for actual, expected in zip(first, results("cpu", tensors, 3, 16), strict=True):
        close(actual, expected)


def test_under_autocast_results_are_those_of_its_numbers() -> None:
    tensors = some_tensors(2, 50)
    expected = results("cpu", tensors, 2, 16)
    with torch.autocast("cuda", torch.bfloat16):
        actual = results("cuda", tensors, 2, 16)
    close(actual[0], expected[0], 0.02)
    assert not torch.equal(actual[0].cpu(), results("cuda", tensors, 2, 16)[0].cpu())


def test_results_are_differentiated_once() -> None:
    offsets = torch.tensor([0, 5]).cuda()
    graph = arrangement_of(offsets, 2, 6).graph_of_points(torch.randn(5, 2).cuda())
    ones = torch.ones(6, device="cuda")
    own = torch.randn(5, 6, device="cuda", requires_grad=True)
    mean, _ = edge_mean_in_training(graph, own, own, EdgeLayers((ones,), (ones,), (), 1e-5))
    mean.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="once"):
        mean.sum().backward()
