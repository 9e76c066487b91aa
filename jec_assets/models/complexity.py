"""Multiply-accumulates of a network in closed form.

Belongs here: the counts of the published study, so that ours can stand beside them. Does not belong here: parameters,
which a network counts itself, and what a computation costs on a machine (`benchmarks/`).

The study's convention: a linear layer counts inputs x outputs, plus outputs where it has a bias; batch normalization
counts 2 per number; an activation 1 per number; sums, means and the search for neighbors count nothing. EdgeConv counts
as written, with its first layer on every edge, and every particle counts k edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jec_assets.models.hyperparameters import ParticleNetHyperparameters, PFNHyperparameters
    from jec_assets.models.inputs import NetworkInputs

STEM_UNITS = 32  # width of ParticleNet's first layer, before its first graph


def pfn_macs(hyperparameters: PFNHyperparameters, inputs: NetworkInputs, particles: int) -> int:
    """Multiply-accumulates of a PFN for one jet of so many particles."""
    units, layers = hyperparameters.phi_units, hyperparameters.phi_layers
    phi = _dense(inputs.particle_features, units) + (layers - 1) * _dense(units, units)
    return particles * phi + _head(hyperparameters, units + inputs.jet_features)


def particle_net_macs(hyperparameters: ParticleNetHyperparameters, inputs: NetworkInputs, particles: int) -> int:
    """Multiply-accumulates of a ParticleNet for one jet of so many particles."""
    features = inputs.particle_features
    per_particle = 2 * features + _normalized(features, STEM_UNITS) + STEM_UNITS
    width = STEM_UNITS
    for _ in range(hyperparameters.blocks):
        per_particle += _edge_conv(hyperparameters, width)
        width = hyperparameters.units
    return particles * per_particle + _head(hyperparameters, width + inputs.jet_features)


def _edge_conv(hyperparameters: ParticleNetHyperparameters, width: int) -> int:
    units = hyperparameters.units
    edge = _normalized(2 * width, units) + units + (hyperparameters.layers - 1) * (_normalized(units, units) + units)
    shortcut = _normalized(width, units) if width != units else 0
    return hyperparameters.neighbors * edge + shortcut + units


def _head(hyperparameters: PFNHyperparameters | ParticleNetHyperparameters, width: int) -> int:
    units, layers = hyperparameters.head_units, hyperparameters.head_layers
    return _dense(width, units) + (layers - 1) * _dense(units, units) + units + 1


def _dense(inputs: int, outputs: int) -> int:
    """Linear with bias, then ReLU."""
    return inputs * outputs + 2 * outputs


def _normalized(inputs: int, outputs: int) -> int:
    """Linear without bias, then batch normalization."""
    return inputs * outputs + 2 * outputs
