"""The networks as their papers write them: jet by jet, edge by edge, with torch's own batch normalization.

Slow and plain on purpose. The project's networks must give the same outputs, gradients and running statistics.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from jec_assets.models.inputs import NetworkInputs
from jec_assets.models.particle_net import ParticleNet
from jec_assets.models.particle_transformer.network import ParticleTransformer
from jec_assets.models.pfn import PFN
from jec_assets.models.pfn_committee import PFNCommittee


def pfn(network: PFN, particles: Tensor, offsets: Tensor, jets: Tensor) -> Tensor:
    """(jets, outputs): phi on each particle, the sum, the head."""
    sums = []
    for start, stop in pairwise(offsets.tolist()):
        embedded = network.phi(network.standardize_particles(particles[start:stop]))
        sums.append(embedded.sum(dim=0))
    return network.head(torch.cat([torch.stack(sums), network.standardize_jets(jets)], dim=1))


def pfn_committee(network: PFNCommittee, particles: Tensor, offsets: Tensor, jets: Tensor) -> Tensor:
    """(jets, outputs): folded features, then each member on its share of the jets, or the mean of all on every jet."""
    outputs = []
    for number, (start, stop) in enumerate(pairwise(offsets.tolist())):
        rows, own = _folded(network, particles[start:stop], jets[number])
        weights = 5 * particles[start:stop, 1].clamp(max=1).exp()  # the second feature is log(pT / jetPt)
        of_members = []
        for member in network.members:
            embedded = member.phi(rows)
            sums = [embedded.sum(dim=0), (weights[:, None] * embedded).sum(dim=0)]
            of_members.append(0.1 * member.head(torch.cat([*sums, own])[None]))
        whose = [len(jets) * (place + 1) // len(network.members) > number for place in range(len(network.members))]
        outputs.append(of_members[whose.index(True)] if network.training else torch.stack(of_members).mean(dim=0))
    return torch.cat(outputs)


def _folded(network: PFNCommittee, particles: Tensor, jet: Tensor) -> tuple[Tensor, Tensor]:
    """One jet's features with |eta| and without azimuth, its particles' as if it were on the positive side."""
    inputs = network.inputs
    assert inputs.jet_eta is not None
    eta, phi = inputs.points
    scale = network.standardize_particles.scale
    abs_eta = (jet[inputs.jet_eta] / network.standardize_jets.scale[inputs.jet_eta]).abs().clamp(max=10)
    away = particles[:, eta] * (1 if jet[inputs.jet_eta] >= 0 else -1) / scale[eta]
    rows = [
        torch.full_like(away, float(abs_eta)),
        away.clamp(-10, 10),
        (particles[:, phi] / scale[phi]).abs().clamp(max=10),
    ]
    particles, own = network.standardize_particles(particles), network.standardize_jets(jet)
    rows += [
        particles[:, number]
        for number in range(inputs.particle_features)
        if number not in (*inputs.points, *inputs.oriented)
    ]
    others = [
        own[number] for number in range(inputs.jet_features) if number not in (inputs.jet_eta, *inputs.jet_oriented)
    ]
    return torch.stack(rows, dim=1), torch.stack([abs_eta, *others])


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


def particle_transformer(network: ParticleTransformer, particles: Tensor, offsets: Tensor, jets: Tensor) -> Tensor:
    """(jets, outputs): embeddings, blocks of attention, the class token, the head."""
    bounds = list(pairwise(offsets.tolist()))
    rows = _batch_norm(network.embedding.input_norm, network.standardize_particles(particles))
    for norm, linear in zip(network.embedding.norms, network.embedding.linears, strict=True):
        rows = functional.gelu(linear(norm(rows)))
    biases = _pair_biases(network, particles, bounds)
    tokens = []
    for (start, stop), bias in zip(bounds, biases, strict=True):
        own = rows[start:stop]
        for block in network.blocks:
            normal = block.norm(own)
            own = _joined(block, own, _attention(block, normal, normal, bias))
        token = network.token[None]
        for block in network.class_blocks:
            token = _joined(block, token, _attention(block, token, block.norm(torch.cat([token, own]))))
        tokens.append(network.norm(token))
    return network.head(torch.cat([torch.cat(tokens), network.standardize_jets(jets)], dim=1))


def _pair_biases(network: ParticleTransformer, particles: Tensor, bounds: list[tuple[int, int]]) -> list[Tensor]:
    """Of each jet, (heads, particles, particles); all pairs of the batch are normalized together."""
    momenta = four_momenta(particles, network.inputs)
    pairs = [(i, j) for start, stop in bounds for i in range(start, stop) for j in range(start, i + 1)]
    features = torch.stack([pair_features(momenta[i], momenta[j]) for i, j in pairs]).to(particles.dtype)
    norm, *norms = network.pair_embedding.norms
    rows = _batch_norm(norm, features)
    for linear, norm in zip(network.pair_embedding.linears, norms, strict=True):
        rows = functional.gelu(_batch_norm(norm, linear(rows)))
    of_pair = dict(zip(pairs, rows, strict=True))
    return [
        torch.stack(
            [
                torch.stack([of_pair[max(i, j), min(i, j)] for j in range(start, stop)], dim=1)
                for i in range(start, stop)
            ],
            dim=1,
        )
        for start, stop in bounds
    ]


def four_momenta(particles: Tensor, inputs: NetworkInputs) -> Tensor:
    """px, py, pz, E of each particle in double precision, (particles, 4)."""
    particles = particles.double()
    assert inputs.log_pt is not None
    pt, eta, phi = particles[:, inputs.log_pt].exp(), particles[:, inputs.points[0]], particles[:, inputs.points[1]]
    mass = torch.zeros_like(pt) if inputs.mass is None else particles[:, inputs.mass]
    energy = ((pt * eta.cosh()) ** 2 + mass**2).sqrt()
    return torch.stack([pt * phi.cos(), pt * phi.sin(), pt * eta.sinh(), energy], dim=1)


def pair_features(first: Tensor, second: Tensor) -> Tensor:
    """ln kT, ln z, ln Delta, ln m^2 of two four-momenta, arXiv:2202.03772, Eq. 3 and 4, each cut at ln 1e-8."""
    (pt, rapidity, phi), (other_pt, other_rapidity, other_phi) = map(_cylindrical, (first, second))
    turn = torch.remainder(phi - other_phi + torch.pi, 2 * torch.pi) - torch.pi
    delta = ((rapidity - other_rapidity) ** 2 + turn**2).sqrt()
    softer = torch.minimum(pt, other_pt)
    px, py, pz, energy = first + second
    numbers = [softer * delta, softer / (pt + other_pt), delta, energy**2 - px**2 - py**2 - pz**2]
    return torch.stack(numbers).clamp(min=1e-8).log()


def _cylindrical(momentum: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    px, py, pz, energy = momentum
    return torch.hypot(px, py), 0.5 * torch.log((energy + pz) / (energy - pz)), torch.atan2(py, px)


def _attention(block: nn.Module, queries: Tensor, others: Tensor, bias: Tensor | None = None) -> Tensor:
    """Of the rows of queries to others, head by head."""
    width = queries.shape[1]
    of_queries, of_keys, of_values = block.projection.weight.split(width)
    query_bias, key_bias, value_bias = block.projection.bias.split(width)
    attended = []
    for head in range(block.heads):
        own = slice(head * width // block.heads, (head + 1) * width // block.heads)
        query, key, value = (
            functional.linear(rows, weight[own], shift[own])
            for rows, weight, shift in (
                (queries, of_queries, query_bias),
                (others, of_keys, key_bias),
                (others, of_values, value_bias),
            )
        )
        logits = query @ key.T / query.shape[1] ** 0.5
        attended.append((logits if bias is None else logits + bias[head]).softmax(dim=1) @ value)
    return torch.cat(attended, dim=1)


def _joined(block: nn.Module, rows: Tensor, attended: Tensor) -> Tensor:
    output = block.output(attended).unflatten(1, (block.heads, -1)) * block.head_scale[:, None]
    rows = rows + block.output_norm(output.flatten(1))
    hidden = functional.gelu(block.hidden(block.hidden_norm(rows)))
    return block.residual_scale * rows + block.result(block.result_norm(hidden))


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
