"""Attention in training, by hand, against torch's own; and blocks of any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jec_assets.models.particle_transformer import jet_blocks
from jec_assets.models.particle_transformer.attention import attend
from jec_assets.models.particle_transformer.jet_blocks import ArrangedJets
from jec_assets.models.prediction import predict
from jec_assets_tests.models.test_networks import MIXED, some_jets, tensors, trained

HEADS, WIDTH = 2, 6
COUNTS = [3, 1, 7, 4, 4, 8]


def some_attention() -> tuple[ArrangedJets, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    arranged = ArrangedJets(torch.tensor([0, *COUNTS]).cumsum(0))
    pairs = len(arranged.blocks.pairs()[0])
    projected = torch.randn(sum(COUNTS), 3 * WIDTH, generator=generator, dtype=torch.float64)
    return arranged, projected, torch.randn(HEADS, pairs, generator=generator, dtype=torch.float64)


def test_each_pair_of_a_jet_is_there_once() -> None:
    arranged, _, _ = some_attention()
    first, second = arranged.blocks.pairs()
    assert len(first) == sum(count * (count + 1) // 2 for count in COUNTS)
    assert len(set(zip(first.tolist(), second.tolist(), strict=True))) == len(first)
    jet = np.repeat(np.arange(len(COUNTS)), sorted(COUNTS))
    assert (jet[first] == jet[second]).all()
    assert (second <= first).all()


def test_by_hand_equals_torchs_own() -> None:
    arranged, projected, pairs = some_attention()
    blocks = arranged.blocks
    with torch.no_grad():
        expected = attend(projected, blocks, blocks.biases(pairs), 0.0)
    found = attend(projected.requires_grad_(), blocks, blocks.biases(pairs), 0.0)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_derivatives(dropout: float) -> None:
    arranged, projected, pairs = some_attention()

    def attended(projected: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(2)
        return attend(projected, arranged.blocks, arranged.blocks.biases(pairs), dropout)

    assert torch.autograd.gradcheck(attended, (projected.requires_grad_(), pairs.requires_grad_()))


def test_dropped_weights_keep_the_mean() -> None:
    arranged, projected, pairs = some_attention()
    blocks = arranged.blocks
    with torch.no_grad():
        expected = attend(projected, blocks, blocks.biases(pairs), 0.0)
    projected.requires_grad_()
    torch.manual_seed(3)
    draws = torch.stack([attend(projected, blocks, blocks.biases(pairs), 0.3).detach() for _ in range(2000)])
    assert draws.std(dim=0).min() > 0
    assert (draws.mean(dim=0) - expected).abs().max() < 6 * draws.std(dim=0).max() / 2000**0.5


@pytest.mark.parametrize("pairs", [1, 600])
def test_blocks_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    network, jets = trained("particle_transformer"), some_jets(MIXED, seed=2)
    expected = predict(network, jets)
    monkeypatch.setattr(jet_blocks, "BLOCK_PAIRS", pairs)
    np.testing.assert_allclose(predict(network, jets), expected, rtol=1e-5, atol=1e-6)


def test_a_jet_without_particles_is_a_number_when_packed() -> None:
    network = trained("particle_transformer")
    particles, _, jets = tensors(some_jets([3, 2]))
    with torch.no_grad():
        outputs = network(particles, torch.tensor([0, 0, 3, 3, 5]), torch.cat([jets, jets]))
    assert torch.isfinite(outputs).all()
