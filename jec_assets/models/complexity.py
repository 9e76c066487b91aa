"""Multiply-accumulates of a network in closed form.

Belongs here: the counts of the published study, so that ours can stand beside them. Does not belong here: parameters,
which a network counts itself, and what a computation costs on a machine (`benchmarks/`).

The study's convention: a linear layer counts inputs x outputs, plus outputs where it has a bias; batch normalization
counts 2 per number, layer normalization too; an activation or a scale 1 per number; sums, means and the search for
neighbors count nothing. EdgeConv counts as written, with its first layer on every edge, and every particle counts k
edges.
Attention counts its two products of matrices and its softmax, once for each pair of particles; the layers on pairs once
for each unordered pair and for each particle with itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jec_assets.models.hyperparameters import (
        ParticleNetHyperparameters,
        ParticleTransformerHyperparameters,
        PFNCommitteeHyperparameters,
        PFNHyperparameters,
    )
    from jec_assets.models.inputs import NetworkInputs

STEM_UNITS = 32  # width of ParticleNet's first layer, before its first graph
PAIR_FEATURES = 4  # what ParT is given of a pair of particles
FEED_FORWARD = 4  # width of the hidden layers of ParT, in widths of its blocks


def pfn_macs(hyperparameters: PFNHyperparameters, inputs: NetworkInputs, particles: int) -> int:
    """Multiply-accumulates of a PFN for one jet of so many particles."""
    units, layers = hyperparameters.phi_units, hyperparameters.phi_layers
    phi = _dense(inputs.particle_features, units) + (layers - 1) * _dense(units, units)
    return particles * phi + _head(hyperparameters, units + inputs.jet_features)


def pfn_committee_macs(hyperparameters: PFNCommitteeHyperparameters, inputs: NetworkInputs, particles: int) -> int:
    """Multiply-accumulates of a PFN committee for one jet of so many particles."""
    units, layers = hyperparameters.phi_units, hyperparameters.phi_layers
    phi = _dense(inputs.folded_particle_features, units) + (layers - 1) * _dense(units, units)
    member = particles * (phi + units) + _head(hyperparameters, 2 * units + inputs.folded_jet_features)
    return hyperparameters.members * member


def particle_net_macs(hyperparameters: ParticleNetHyperparameters, inputs: NetworkInputs, particles: int) -> int:
    """Multiply-accumulates of a ParticleNet for one jet of so many particles."""
    features = inputs.particle_features
    per_particle = 2 * features + _normalized(features, STEM_UNITS) + STEM_UNITS
    width = STEM_UNITS
    for _ in range(hyperparameters.blocks):
        per_particle += _edge_conv(hyperparameters, width)
        width = hyperparameters.units
    return particles * per_particle + _head(hyperparameters, width + inputs.jet_features)


def particle_transformer_macs(
    hyperparameters: ParticleTransformerHyperparameters, inputs: NetworkInputs, particles: int
) -> int:
    """Multiply-accumulates of a ParT for one jet of so many particles."""
    units, heads, features = hyperparameters.units, hyperparameters.heads, inputs.particle_features
    hidden = FEED_FORWARD * units
    embedding = 2 * features + _normal_first(features, units) + _normal_first(units, hidden)
    embedding += _normal_first(hidden, units)
    pair_units = hyperparameters.pair_units
    pair = 2 * PAIR_FEATURES + _pair_layer(PAIR_FEATURES, pair_units)
    pair += (hyperparameters.pair_layers - 1) * _pair_layer(pair_units, pair_units) + _pair_layer(pair_units, heads)
    # Normalization, queries, keys and values; the output with its scale and normalization; hidden layer and result; the
    # scale of what goes around them.
    projection = _normal_first(units, 3 * units) - 3 * units
    joined = (units * units + units) + units + 2 * units
    joined += _normal_first(units, hidden) + _normal_first(hidden, units) - units + units
    block = particles * (projection + joined) + particles**2 * (2 * units + heads)
    # Of a token: queries without normalization; keys and values of it and of the particles.
    others = (particles + 1) * (2 * units + 2 * (units * units + units) + 2 * units + heads)
    class_block = (units * units + units) + others + joined
    network = particles * embedding + particles * (particles + 1) // 2 * pair
    network += hyperparameters.blocks * block + hyperparameters.class_blocks * class_block + 2 * units
    return network + _head(hyperparameters, units + inputs.jet_features)


def _normal_first(inputs: int, outputs: int) -> int:
    """Normalization, linear with bias, then an activation."""
    return 2 * inputs + _dense(inputs, outputs)


def _pair_layer(inputs: int, outputs: int) -> int:
    """Linear with bias, normalization, then an activation."""
    return _dense(inputs, outputs) + 2 * outputs


def _edge_conv(hyperparameters: ParticleNetHyperparameters, width: int) -> int:
    units = hyperparameters.units
    edge = _normalized(2 * width, units) + units + (hyperparameters.layers - 1) * (_normalized(units, units) + units)
    shortcut = _normalized(width, units) if width != units else 0
    return hyperparameters.neighbors * edge + shortcut + units


def _head(
    hyperparameters: PFNHyperparameters
    | PFNCommitteeHyperparameters
    | ParticleNetHyperparameters
    | ParticleTransformerHyperparameters,
    width: int,
) -> int:
    macs = 0
    for _ in range(hyperparameters.head_layers):
        macs += _dense(width, hyperparameters.head_units)
        width = hyperparameters.head_units
    return macs + width + 1


def _dense(inputs: int, outputs: int) -> int:
    """Linear with bias, then an activation."""
    return inputs * outputs + 2 * outputs


def _normalized(inputs: int, outputs: int) -> int:
    """Linear without bias, then batch normalization."""
    return inputs * outputs + 2 * outputs
