"""From generated collisions to jets: overlay, detection, clustering, matching, flavor, for one batch of events.

Belongs here: the order of the steps and what they hand on. Does not belong here: the steps themselves, and anything
that needs the standard correction (`selection.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.correction import MatchedJets
from jec_assets.simulation.clustering import Jets, anti_kt, area, area_ghosts, match
from jec_assets.simulation.density import Densities, densities
from jec_assets.simulation.detector import Candidates, detect
from jec_assets.simulation.flavor import GHOST_SCALE, PARTON_PT_MIN, hadron_flavor, parton_flavor, physics_flavor
from jec_assets.simulation.incidence import HARD, join, propagate
from jec_assets.simulation.particles import Momenta, Particles, momenta, wrap
from jec_assets.simulation.pileup import Overlay, PileupPool, draw_pileup

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.simulation.generator import GeneratedEvents

PT_MIN, GEN_PT_MIN = 10.0, 8.0  # GeV, of uncorrected and of particle-level jets, as in CMS's slimmed jets
VERTEX_EFFICIENCY = 0.7  # the share of pileup vertices that is found as one of their own


@dataclass(frozen=True)
class Collisions:
    """A batch of reconstructed events.

    jets: uncorrected, above 10 GeV, constituents are rows of `candidates`; gen_jets: constituents are rows of
    `generated.stable`; match: int64 (jets,), row of the particle-level jet or -1; area: float64 (jets,)
    hadron_flavor, parton_flavor, physics_flavor: int32 (jets,); vertices: int32 (events,), good primary vertices
    """

    generated: GeneratedEvents
    overlay: Overlay
    candidates: Candidates
    densities: Densities
    vertices: NDArray[np.int32]
    jets: Jets
    area: NDArray[np.float64]
    gen_jets: Jets
    match: NDArray[np.int64]
    hadron_flavor: NDArray[np.int32]
    parton_flavor: NDArray[np.int32]
    physics_flavor: NDArray[np.int32]


def reconstruct(generated: GeneratedEvents, pool: PileupPool, rng: np.random.Generator) -> Collisions:
    """Overlay pileup, detect, cluster, match and tag."""
    events = len(generated)
    overlay = draw_pileup(pool, events, rng)
    candidates = detect(join([propagate(generated.final, HARD), overlay.particles]), events, rng)
    partons = generated.partons.take(generated.partons.pt > PARTON_PT_MIN)
    in_jets = np.flatnonzero(~candidates.subtracted)
    inputs = (_momenta(candidates.take(in_jets)), _ghosts(partons), _ghosts(generated.hadrons))
    clustered = _cluster((*inputs, area_ghosts(events, rng)), events)
    members, parton_ghosts, hadron_ghosts = (clustered.part(index) for index in range(3))
    gen_jets = anti_kt(generated.stable.momenta, events, GEN_PT_MIN)
    return Collisions(
        generated=generated,
        overlay=overlay,
        candidates=candidates,
        densities=densities(candidates, events),
        vertices=(1 + rng.binomial(overlay.count, VERTEX_EFFICIENCY)).astype(np.int32),
        jets=members.with_constituents(in_jets[members.constituents]),
        area=area(clustered.part(3)),
        gen_jets=gen_jets,
        match=match(members, gen_jets),
        hadron_flavor=hadron_flavor(generated.hadrons, hadron_ghosts),
        parton_flavor=parton_flavor(partons, parton_ghosts),
        physics_flavor=physics_flavor(generated.hard_partons, members),
    )


def matched_jets(collisions: Collisions) -> MatchedJets:
    """The matched jets of a batch, for the derivation of the standard correction."""
    jets, others = collisions.jets, collisions.gen_jets
    found = np.flatnonzero(collisions.match >= 0)
    partner = collisions.match[found]
    distance = np.hypot(jets.eta[found] - others.eta[partner], wrap(jets.phi[found] - others.phi[partner]))
    return MatchedJets(
        raw_pt=jets.pt[found],
        eta=jets.eta[found],
        rho=collisions.densities.all[jets.event[found]].astype(np.float64),
        area=collisions.area[found],
        gen_pt=others.pt[partner],
        delta_r=distance,
    )


@dataclass(frozen=True)
class _Clustered:
    """Jets of several kinds of momenta, clustered together; `origin` says of which kind each of them is."""

    jets: Jets
    origin: NDArray[np.int8]
    row: NDArray[np.int64]

    def part(self, kind: int) -> Jets:
        """The jets with constituents of one kind only, as rows of that kind's own table."""
        constituents = self.jets.constituents
        own = self.jets.keep_constituents(self.origin[constituents] == kind)
        return own.with_constituents(self.row[own.constituents])


def _cluster(kinds: tuple[Momenta, ...], events: int) -> _Clustered:
    joined = Momenta(*(np.concatenate([getattr(kind, field.name) for kind in kinds]) for field in fields(Momenta)))
    sizes = [len(kind.event) for kind in kinds]
    order = np.argsort(joined.event, kind="stable")
    ordered = Momenta(*(getattr(joined, field.name)[order] for field in fields(Momenta)))
    origin = np.repeat(np.arange(len(kinds), dtype=np.int8), sizes)[order]
    row = np.concatenate([np.arange(size) for size in sizes])[order]
    return _Clustered(anti_kt(ordered, events, PT_MIN), origin, row)


def _momenta(candidates: Candidates) -> Momenta:
    return momenta(candidates.event, candidates.pt, candidates.eta, candidates.phi, candidates.mass)


def _ghosts(particles: Particles) -> Momenta:
    scaled = particles.momenta
    return Momenta(scaled.event, scaled.pt * GHOST_SCALE, scaled.eta, scaled.phi, scaled.mass * GHOST_SCALE)
