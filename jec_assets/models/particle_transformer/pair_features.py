"""What a pair of particles looks like: ln kT, ln z, ln Delta and ln m^2.

H. Qu, C. Li, S. Qian, arXiv:2202.03772, Eq. 3 and 4. Belongs here: the four numbers, in forms that stay finite. Does
not belong here: which pairs there are (`jet_blocks.py`), and what a network makes of them (`pair_embedding.py`).

Momenta are taken in the frame where the jet's axis is the origin of the (eta, phi) plane. For massless particles the
way there is a boost along the beam and a rotation around it, which change none of the four numbers. A particle's mass m
moves its rapidity against its pseudorapidity by a term of order (m / pT)^2; only there does the frame matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from jec_assets.models.inputs import MissingFeatureError

if TYPE_CHECKING:
    from jec_assets.models.inputs import NetworkInputs


# What a logarithm is taken of is at least this, as published: kT in GeV, z, Delta, m^2 in GeV^2.
SMALLEST = 1e-8
# Wider than anything in a collider; numbers beyond come from broken particles, whose squares must not overflow.
LARGEST_LOG_PT = 15.0
LARGEST_ETA = 10.0
LARGEST_MASS = 1e6


@dataclass(frozen=True)
class Kinematics:
    """Columns of particle features that make a four-momentum; without `mass` every particle is massless."""

    log_pt: int
    eta: int
    phi: int
    mass: int | None

    @classmethod
    def of(cls, inputs: NetworkInputs) -> Kinematics:
        """Those of a network's inputs; MissingFeatureError if they hold no log pT."""
        if inputs.log_pt is None:
            raise MissingFeatureError(
                "ParT needs the particle feature log_pt, the logarithm of pT in GeV: choose a feature set that has it"
            )
        return cls(inputs.log_pt, *inputs.points, inputs.mass)

    def momenta(self, particles: Tensor) -> Tensor:
        """(particles, features) in physical units to what `pair_features` takes, (7, particles).

        Rows: log pT, pT, rapidity, phi, m^2, transverse mass mT and mT - pT, in powers of GeV.
        """
        log_pt = particles[:, self.log_pt].clamp(-LARGEST_LOG_PT, LARGEST_LOG_PT)
        eta = particles[:, self.eta].clamp(-LARGEST_ETA, LARGEST_ETA)
        phi, pt = particles[:, self.phi], log_pt.exp()
        if self.mass is None:
            nothing = torch.zeros_like(pt)
            return torch.stack([log_pt, pt, eta, phi, nothing, pt, nothing])
        squared_mass = particles[:, self.mass].clamp(-LARGEST_MASS, LARGEST_MASS).square()
        transverse_mass = (pt * pt + squared_mass).sqrt()
        rapidity = (pt * eta.sinh() / transverse_mass).asinh()
        excess = squared_mass / (transverse_mass + pt)
        return torch.stack([log_pt, pt, rapidity, phi, squared_mass, transverse_mass, excess])


def pair_features(momenta: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """ln kT, ln z, ln Delta, ln m^2 of each pair, (pairs, 4); the same for (j, i) as for (i, j).

    momenta: (7, particles) from `Kinematics.momenta`; first, second: int64 (pairs,), its columns. A pair may be a
    particle with itself.

    kT = min(pT_i, pT_j) Delta, z = min(pT_i, pT_j) / (pT_i + pT_j), Delta^2 = dy^2 + dphi^2. The mass

        m^2 = m_i^2 + m_j^2 + 2 (mT_i mT_j cosh dy - pT_i pT_j cos dphi)

    is a small difference of large numbers for particles close to each other. With mT = pT + e and

        cosh dy = 1 + 2 sinh^2(dy / 2), cos dphi = 1 - 2 sin^2(dphi / 2)

    it is a sum of positive terms.
    """
    log_pt_i, pt_i, rapidity_i, phi_i, mass2_i, mt_i, excess_i = momenta.index_select(1, first)
    log_pt_j, pt_j, rapidity_j, phi_j, mass2_j, mt_j, excess_j = momenta.index_select(1, second)
    across, along = rapidity_i - rapidity_j, phi_i - phi_j
    along = along - 2 * torch.pi * (along / (2 * torch.pi)).round()
    distance2 = across * across + along * along
    softer = torch.minimum(pt_i, pt_j)
    mass2 = (
        (mass2_i + mass2_j)
        + 2 * (pt_i * excess_j + pt_j * excess_i + excess_i * excess_j)
        + 4 * (mt_i * mt_j * (across / 2).sinh().square() + pt_i * pt_j * (along / 2).sin().square())
    )
    return torch.stack(
        [
            0.5 * (softer * softer * distance2).clamp(min=SMALLEST**2).log(),
            -torch.nn.functional.softplus((log_pt_i - log_pt_j).abs()),
            0.5 * distance2.clamp(min=SMALLEST**2).log(),
            mass2.clamp(min=SMALLEST).log(),
        ],
        dim=1,
    )
