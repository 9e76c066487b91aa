"""The networks as their papers write them: jet by jet, edge by edge, with torch's own batch normalization.

Slow and plain on purpose. The project's networks must give the same outputs, gradients and running statistics.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from jec_assets.models.particle_net import ParticleNet
from jec_assets.models.pfn import PFN


def pfn(network: PFN, particles: Tensor, offsets: Tensor, jets: Tensor) -> Tensor:
    """(jets, outputs): phi on each particle, the sum, the head."""
    sums = []
    for start, stop in pairwise(offsets.tolist()):
        embedded = network.phi(network.standardize_particles(particles[start:stop]))
        sums.append(embedded.sum(dim=0))
    return network.head(torch.cat([torch.stack(sums), network.standardize_jets(jets)], dim=1))


def particle_net(network: ParticleNet, particles: Tensor, offsets: Tensor, jets: Tensor) -> Tensor:
    """(jets, outputs): stem, blocks, the mean over particles, the head."""
    bounds = list(pairwise(offsets.tolist()))
    rows = network.standardize_particles(particles)
    norm, linear, second, activation = network.stem
    rows = activation(_batch_norm(second, linear(_batch_norm(norm, rows))))
    positions = particles[:, network.points]
    for block in network.blocks:
        rows = _edge_conv(block, rows, positions, bounds, network.neighbors)
        positions = rows
    means = torch.stack([rows[start:stop].mean(dim=0) for start, stop in bounds])
    return network.head(torch.cat([means, network.standardize_jets(jets)], dim=1))


def _edge_conv(
    block: nn.Module, rows: Tensor, positions: Tensor, bounds: list[tuple[int, int]], neighbors: int
) -> Tensor:
    sources, targets = _edges(positions, bounds, neighbors)
    values = torch.cat([rows[sources], rows[targets] - rows[sources]], dim=1)
    for linear, norm in zip(block.linears, block.norms, strict=True):
        values = functional.relu(_batch_norm(norm, linear(values)))
    means = []
    for particle in range(len(rows)):
        own = values[sources == particle]
        means.append(own.mean(dim=0) if len(own) else own.new_zeros(values.shape[1]))
    shortcut = rows
    if len(block.shortcut):
        linear, norm = block.shortcut
        shortcut = _batch_norm(norm, linear(rows))
    return functional.relu(shortcut + torch.stack(means))


def _edges(positions: Tensor, bounds: list[tuple[int, int]], neighbors: int) -> tuple[Tensor, Tensor]:
    """Source and target of every edge: each particle and its nearest others in the same jet."""
    sources, targets = [], []
    for start, stop in bounds:
        for particle in range(start, stop):
            distance = (positions[start:stop] - positions[particle]).square().sum(dim=1)
            distance[particle - start] = torch.inf
            nearest = distance.argsort(stable=True)[: min(neighbors, stop - start - 1)]
            sources += [particle] * len(nearest)
            targets += (start + nearest).tolist()
    return torch.tensor(sources, dtype=torch.int64), torch.tensor(targets, dtype=torch.int64)


def _batch_norm(norm: nn.BatchNorm1d, rows: Tensor) -> Tensor:
    if len(rows) == 0:
        return rows
    return functional.batch_norm(
        rows,
        norm.running_mean,
        norm.running_var,
        norm.weight,
        norm.bias,
        training=norm.training,
        momentum=norm.momentum or 0.0,
        eps=norm.eps,
    )
