"""Particles of many events as flat arrays.

Belongs here: the container that goes from the generator through pileup to the detector, and how to select, join and
order it. Does not belong here: what happens to the particles.

All particles of all events stand in one array per quantity, and `event` says whose they are, so that every step is a
few NumPy calls for a whole batch of events.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Charges of particles that live long enough to meet a detector, in units of e; every other one is neutral. The sign is
# that of the particle with the positive PDG id.
_CHARGES = {11: -1, 13: -1, 211: 1, 321: 1, 2212: 1, 3112: -1, 3222: 1, 3312: -1, 3334: -1}
_HIGHEST = max(_CHARGES)
_CHARGE_OF = np.zeros(_HIGHEST + 2, np.int8)
_CHARGE_OF[list(_CHARGES)] = list(_CHARGES.values())

NEUTRINOS = (12, 14, 16)


def charge_of(pdg: NDArray[np.int32]) -> NDArray[np.int8]:
    """Charges in units of e of long-lived particles, int8 (particles,)."""
    sign = np.sign(pdg).astype(np.int8)
    return sign * _CHARGE_OF[np.minimum(np.abs(pdg), _HIGHEST + 1)]


@dataclass(frozen=True)
class Momenta:
    """What clusters into jets; every array is (momenta,): event int32; pt, mass in GeV, eta, phi: float64."""

    event: NDArray[np.int32]
    pt: NDArray[np.float64]
    eta: NDArray[np.float64]
    phi: NDArray[np.float64]
    mass: NDArray[np.float64]


@dataclass(frozen=True)
class Particles:
    """Particles of some events; every array is (particles,).

    event: int32, index of the event in its batch
    pdg: int32; pt, mass: float32, GeV; eta, phi: float32, direction at production
    radius: float32, mm, transverse distance from the beam at which it was produced
    """

    event: NDArray[np.int32]
    pdg: NDArray[np.int32]
    pt: NDArray[np.float32]
    eta: NDArray[np.float32]
    phi: NDArray[np.float32]
    mass: NDArray[np.float32]
    radius: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.event)

    @property
    def energy(self) -> NDArray[np.float32]:
        """sqrt(pT^2 cosh^2 eta + m^2), GeV, float32 (particles,)."""
        return np.hypot(self.pt * np.cosh(self.eta), self.mass)

    @property
    def momenta(self) -> Momenta:
        """The same particles for clustering."""
        return momenta(self.event, self.pt, self.eta, self.phi, self.mass)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> Particles:
        """Some of the particles, by a mask or by positions."""
        return Particles(*(getattr(self, field.name)[rows] for field in fields(self)))


def momenta(
    event: NDArray[np.int32],
    pt: NDArray[np.float32],
    eta: NDArray[np.float32],
    phi: NDArray[np.float32],
    mass: NDArray[np.float32],
) -> Momenta:
    """`Momenta` in double precision of single-precision columns."""
    return Momenta(event, *(column.astype(np.float64) for column in (pt, eta, phi, mass)))


def wrap(angle: NDArray[np.floating]) -> NDArray[np.floating]:
    """Angles in radians brought to [-pi, pi]."""
    turns: NDArray[np.floating] = np.rint(angle * (0.5 / np.pi))
    return angle - 2 * np.pi * turns


def ranges(starts: NDArray[np.integer], counts: NDArray[np.integer]) -> NDArray[np.int64]:
    """The positions start, start + 1, ..., of each range, one range after another: int64 (sum of counts,)."""
    ends = np.cumsum(counts)
    shifts: NDArray[np.int64] = np.repeat(np.asarray(starts, np.int64) - (ends - counts), counts)
    return np.arange(len(shifts), dtype=np.int64) + shifts
