"""The layers on edges against the same written with torch's own operations, in double precision."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from jec_assets.models import neighbors as neighbors_module
from jec_assets.models.edge_training import EdgeLayers
from jec_assets.models.edges import edge_mean_in_training
from jec_assets.models.neighbors import Arrangement, Graph
from jec_assets.training.reproducible import threads

UNITS, NEIGHBORS, EPSILON = 6, 4, 1e-5
COUNTS = [1, 2, 3, 9, 5, 14, 1, 7]


@pytest.fixture(autouse=True)
def _many_chunks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(neighbors_module, "CHUNK_NUMBERS", 20 * UNITS)
    with threads(1):
        yield


def a_graph() -> Graph:
    offsets = torch.tensor([0, *COUNTS]).cumsum(0)
    generator = torch.Generator().manual_seed(1)
    graph = Arrangement(offsets, NEIGHBORS, UNITS).graph_of_points(torch.randn(sum(COUNTS), 2, generator=generator))
    assert len(graph.edges.chunks) > 3
    return graph


def some_tensors(layers: int) -> list[Tensor]:
    """Own and other, then gammas, betas, weights: gammas of both signs, as small as can be, and 0."""
    generator = torch.Generator().manual_seed(2)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    gammas = [random(UNITS) for _ in range(layers)]
    for gamma in gammas:
        gamma[:3] = torch.tensor([0.0, 1e-9, -1e-9], dtype=torch.float64)
    betas = [random(UNITS) for _ in range(layers)]
    tensors = [random(sum(COUNTS), UNITS), random(sum(COUNTS), UNITS), *gammas, *betas]
    tensors += [random(UNITS, UNITS) for _ in range(layers - 1)]
    return [tensor.requires_grad_() for tensor in tensors]


def ours(graph: Graph, tensors: list[Tensor], layers: int) -> tuple[Tensor, Tensor, Tensor]:
    own, other, *rest = tensors
    parameters = EdgeLayers(tuple(rest[:layers]), tuple(rest[layers : 2 * layers]), tuple(rest[2 * layers :]), EPSILON)
    mean, moments = edge_mean_in_training(graph, own, other, parameters)
    return mean, moments.mean, moments.variance


def plain(graph: Graph, tensors: list[Tensor], layers: int) -> tuple[Tensor, Tensor, Tensor]:
    own, other, *rest = tensors
    receivers, degrees = graph.edges.receivers, graph.edges.offsets.diff()
    rows = own[receivers] + other[graph.neighbors]
    means, variances = [], []
    for layer in range(layers):
        if layer:
            rows = rows @ rest[2 * layers + layer - 1].T
        means.append(rows.mean(0))
        variances.append(rows.var(0, correction=0))
        rows = functional.batch_norm(
            rows, None, None, rest[layer], rest[layers + layer], training=True, eps=EPSILON
        ).relu()
    mean = torch.zeros_like(own).index_add(0, receivers, rows) / degrees.clamp(min=1)[:, None]
    return mean, torch.stack(means), torch.stack(variances)


@pytest.mark.parametrize("layers", [1, 2, 3, 5])
def test_outputs_moments_and_derivatives(layers: int) -> None:
    graph = a_graph()
    weights = torch.randn(sum(COUNTS), UNITS, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    results = []
    for compute in (ours, plain):
        tensors = some_tensors(layers)
        outputs = compute(graph, tensors, layers)
        (outputs[0] * weights).sum().backward()
        results.append([*(output.detach() for output in outputs), *(tensor.grad for tensor in tensors)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_particles_without_edges_get_zero() -> None:
    graph = a_graph()
    mean, _, _ = ours(graph, some_tensors(2), 2)
    lonely = graph.edges.offsets.diff() == 0
    assert lonely.sum() == COUNTS.count(1)
    assert (mean[lonely] == 0).all()
    assert (mean[~lonely] != 0).any(dim=1).all()


def test_a_second_derivative_of_what_was_overwritten_is_refused() -> None:
    mean, _, _ = ours(a_graph(), some_tensors(2), 2)
    mean.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="differentiated once"):
        mean.sum().backward()
