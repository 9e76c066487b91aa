"""Pileup: the other collisions of the same and of neighboring bunch crossings.

Belongs here: the pool of minimum-bias collisions, how many of them overlay an event, and which. Does not belong here:
what the detector makes of them (`detector.py`).

The pool is generated once and used again and again, each time turned around the beam by a random angle and, every
second time, reflected along it. Collisions with a hard jet are left out: a pool is small, and each of them would come
back as the same jet thousands of times.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from jec_assets.simulation.calorimeter import hadron_response
from jec_assets.simulation.clustering import anti_kt
from jec_assets.simulation.incidence import OUT_OF_TIME, PHOTON, PILEUP, Incidence, join, propagate
from jec_assets.simulation.particles import Particles, ranges, wrap
from jec_assets.simulation.tracker import PT_MIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from jec_assets.simulation.generator import Generator

MEAN, SPREAD = 23.0, 7.5  # of the mean number of interactions, over the luminosities of RunIISummer16
OUT_OF_TIME_FRACTION = 0.4  # collisions out of time, per collision in time
HARD_JET_PT = 20.0  # GeV
_BATCH = 250


@dataclass(frozen=True)
class PileupPool:
    """Collisions ready for overlay: collision i owns `particles` offsets[i] to offsets[i + 1]; offsets int64."""

    particles: Incidence
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """The pool as arrays by name, for `from_columns`."""
        return {"offsets": self.offsets} | {
            field.name: getattr(self.particles, field.name) for field in fields(Incidence)
        }

    @classmethod
    def from_columns(cls, columns: Mapping[str, NDArray[Any]]) -> PileupPool:
        """The pool of which `columns` are the arrays."""
        return cls(
            Incidence(*(columns[field.name] for field in fields(Incidence))), columns["offsets"].astype(np.int64)
        )


@dataclass(frozen=True)
class Overlay:
    """Pileup of some events: its particles, and per event the mean (float32) and the actual number (int32) in time."""

    particles: Incidence
    mean: NDArray[np.float32]
    count: NDArray[np.int32]


def make_pool(generator: Generator, collisions: int, report: Callable[[int], None]) -> PileupPool:
    """A pool of exactly `collisions` minimum-bias collisions without a hard jet; `report` gets the number so far."""
    parts: list[Incidence] = []
    found = 0
    while found < collisions:
        events = generator.generate(_BATCH)
        soft = np.flatnonzero(~_has_hard_jet(events.stable, len(events)))[: collisions - found]
        renumbered = np.full(len(events), -1, np.int32)
        renumbered[soft] = found + np.arange(len(soft))
        particles = propagate(events.final, PILEUP)
        particles = particles.take((renumbered[particles.event] >= 0) & _leaves_a_signal(particles))
        parts.append(particles.with_event(renumbered[particles.event]))
        found += len(soft)
        report(found)
    particles = join(parts)
    offsets = np.searchsorted(particles.event, np.arange(collisions + 1)).astype(np.int64)
    return PileupPool(particles, offsets)


def join_pools(pools: Sequence[PileupPool]) -> PileupPool:
    """One pool of the collisions of several; at least one."""
    starts = np.cumsum([0] + [len(pool.particles) for pool in pools])
    offsets = [pool.offsets[:-1] + start for pool, start in zip(pools, starts[:-1], strict=True)]
    return PileupPool(join([pool.particles for pool in pools]), np.concatenate([*offsets, starts[-1:]]))


def draw_pileup(pool: PileupPool, events: int, rng: np.random.Generator) -> Overlay:
    """Collisions for `events` events: Poisson around a mean that is itself drawn from N(23, 7.5), cut off at 0."""
    mean = np.maximum(rng.normal(MEAN, SPREAD, events), 0)
    in_time = rng.poisson(mean)
    out_of_time = rng.poisson(OUT_OF_TIME_FRACTION * mean)
    particles = join([_draw(pool, in_time, PILEUP, rng), _draw(pool, out_of_time, OUT_OF_TIME, rng)])
    return Overlay(particles, mean.astype(np.float32), in_time.astype(np.int32))


def _draw(pool: PileupPool, counts: NDArray[np.int64], source: int, rng: np.random.Generator) -> Incidence:
    """`counts[i]` collisions for event i, each turned and reflected at random."""
    chosen = rng.integers(len(pool), size=counts.sum())
    turn = rng.uniform(-np.pi, np.pi, len(chosen)).astype(np.float32)
    side = rng.choice(np.array([-1, 1], np.float32), len(chosen))
    sizes = pool.offsets[chosen + 1] - pool.offsets[chosen]
    particles = pool.particles.take(ranges(pool.offsets[chosen], sizes))
    turn, side = np.repeat(turn, sizes), np.repeat(side, sizes)
    event = np.repeat(np.repeat(np.arange(len(counts), dtype=np.int32), counts), sizes)
    return Incidence(
        event=event,
        source=np.full(len(event), source, np.int8),
        kind=particles.kind,
        charge=particles.charge,
        pt=particles.pt,
        energy=particles.energy,
        eta=particles.eta * side,
        phi=wrap(particles.phi + turn),
        radius=particles.radius,
        calo_eta=particles.calo_eta * side,
        calo_phi=wrap(particles.calo_phi + turn),
        hits_calorimeter=particles.hits_calorimeter,
    )


def _has_hard_jet(stable: Particles, events: int) -> NDArray[np.bool_]:
    """Events with a particle-level jet above HARD_JET_PT, bool (events,)."""
    jets = anti_kt(stable.momenta, events, HARD_JET_PT)
    return np.bincount(jets.event, minlength=events) > 0


def _leaves_a_signal(particles: Incidence) -> NDArray[np.bool_]:
    """Particles that can give a track or a deposit; of minimum-bias hadrons, half cannot."""
    trackable = (particles.charge != 0) & (particles.pt > PT_MIN)
    deposits = (particles.kind == PHOTON) | (hadron_response(particles.energy, particles.calo_eta) > 0)
    visible: NDArray[np.bool_] = trackable | (particles.hits_calorimeter & deposits)
    return visible
