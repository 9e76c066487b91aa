"""Proton-proton collisions from PYTHIA 8, as flat arrays.

Belongs here: the processes, the decays, the weights, and which entries of an event record are needed later. Does not
belong here: tunes (`tunes.py`), pileup (`pileup.py`), and what a detector sees of the particles.

Particles with a lifetime c tau < 1 m (K0S, Lambda, Sigma, Xi, Omega) decay where a tracker is: within 0.5 m of the beam
and 2 m along it. Particle-level jets are made of what lives longer than c tau = 10 mm, as in CMS, so for them those
decays are undone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jec_assets.simulation.errors import SimulationError
from jec_assets.simulation.particles import NEUTRINOS, Particles

if TYPE_CHECKING:
    import awkward as ak
    from numpy.typing import NDArray

    from jec_assets.simulation.tunes import Tune

PTHAT_MIN = 15.0  # GeV; also the reference of the bias below
PTHAT_BIAS_POWER = 4.5  # fills every pT range: undone by eventWeight

_COMMON = (
    "Print:quiet = on",
    "Beams:eCM = 13000",
    "ParticleDecays:limitTau0 = on",
    "ParticleDecays:tau0Max = 1000",
    "ParticleDecays:limitCylinder = on",
    "ParticleDecays:xyMax = 500",
    "ParticleDecays:zMax = 2000",
    "Random:setSeed = on",
)
_DIJETS = (
    "HardQCD:all = on",
    f"PhaseSpace:pTHatMin = {PTHAT_MIN}",
    "PhaseSpace:pTHatMax = 7000",
    "PhaseSpace:bias2Selection = on",
    f"PhaseSpace:bias2SelectionPow = {PTHAT_BIAS_POWER}",
    f"PhaseSpace:bias2SelectionRef = {PTHAT_MIN}",
)
# Diffractive systems get no parton scatters of their own: that changes the energy flow by less than 3 %, while
# PYTHIA would take ten times longer to start with them.
_MINIMUM_BIAS = ("SoftQCD:inelastic = on", "Diffraction:mMinPert = 1e5")

# Unstable strange hadrons that count as stable at particle level: c tau between 10 mm and 1 m.
_STABLE_AT_PARTICLE_LEVEL = (310, 3112, 3122, 3222, 3312, 3322, 3334)
_LONGEST_DECAY_CHAIN = 4  # Omega -> Xi pi, Xi -> Lambda pi, Lambda -> n pi0, pi0 -> gamma gamma
_OUTGOING_OF_HARD_PROCESS = 23


@dataclass(frozen=True)
class GeneratedEvents:
    """Some collisions.

    pthat: float32 (events,), GeV, scale of the hard scatter
    final: particles that a detector meets; stable: particles of particle-level jets; neither holds neutrinos
    partons: quarks and gluons just before hadronization; hadrons: the last b and c hadrons of each decay chain;
    hard_partons: the outgoing partons of the hard scatter
    """

    pthat: NDArray[np.float32]
    final: Particles
    stable: Particles
    partons: Particles
    hadrons: Particles
    hard_partons: Particles

    def __len__(self) -> int:
        return len(self.pthat)

    @property
    def weight(self) -> NDArray[np.float32]:
        """What turns the biased pTHat spectrum into the physical one, (15 GeV / pTHat)^4.5: float32 (events,)."""
        return ((PTHAT_MIN / self.pthat) ** PTHAT_BIAS_POWER).astype(np.float32)


class Generator:
    """One initialized PYTHIA; what it generates depends on the settings, the seed and the sizes of earlier batches."""

    def __init__(self, settings: tuple[str, ...], seed: int) -> None:
        import pythia8mc

        self._pythia = pythia8mc.Pythia("", False)
        for line in (*_COMMON, *settings, f"Random:seed = {seed}"):
            if not self._pythia.readString(line):
                raise SimulationError(f"PYTHIA does not know the setting {line!r}: is pythia8mc of the pinned version?")
        if not self._pythia.init():
            raise SimulationError(f"PYTHIA could not be initialized with the settings {settings}")

    def generate(self, count: int) -> GeneratedEvents:
        """At most `count` events; fewer where PYTHIA gives some up."""
        batch = self._pythia.nextBatch(count)
        if len(batch) == 0:
            raise SimulationError(f"PYTHIA gave up all {count} events of a batch")
        return _read(batch)


def dijet_generator(tune: Tune, seed: int) -> Generator:
    """Hard QCD scatters, pTHat from 15 GeV up, about as many in every pT range; `seed` is 1 to 900,000,000."""
    return Generator((*tune.settings, *_DIJETS), seed)


def minimum_bias_generator(tune: Tune, seed: int) -> Generator:
    """Inelastic collisions, as pileup consists of them; `seed` is 1 to 900,000,000."""
    return Generator((*tune.settings, *_MINIMUM_BIAS), seed)


@dataclass(frozen=True)
class _Record:
    """The entries of some event records, flat; `mother` and `daughter` are positions in these arrays."""

    event: NDArray[np.int32]
    pdg: NDArray[np.int32]
    status: NDArray[np.int32]
    mother: NDArray[np.int64]
    daughter: NDArray[np.int64]
    px: NDArray[np.float64]
    py: NDArray[np.float64]
    pz: NDArray[np.float64]
    mass: NDArray[np.float64]
    radius: NDArray[np.float64]

    def particles(self, chosen: NDArray[np.bool_]) -> Particles:
        """The chosen entries."""
        rows = np.flatnonzero(chosen)
        px, py, pz = self.px[rows], self.py[rows], self.pz[rows]
        pt = np.hypot(px, py)
        return Particles(
            event=self.event[rows],
            pdg=self.pdg[rows],
            pt=pt.astype(np.float32),
            eta=np.arcsinh(pz / np.maximum(pt, 1e-9)).astype(np.float32),
            phi=np.arctan2(py, px).astype(np.float32),
            mass=np.maximum(self.mass[rows], 0).astype(np.float32),
            radius=self.radius[rows].astype(np.float32),
        )


def _read(batch: ak.Array) -> GeneratedEvents:
    """What later steps need of a batch of PYTHIA's event records."""
    record = _flatten(batch)
    absolute = np.abs(record.pdg)
    final = (record.status > 0) & ~np.isin(absolute, NEUTRINOS)
    return GeneratedEvents(
        pthat=np.sqrt(batch["info", "pT2Hat"].to_numpy()).astype(np.float32),
        final=record.particles(final),
        stable=record.particles(_stable_at_particle_level(record, absolute)),
        partons=record.particles(_last_partons(record, absolute)),
        hadrons=record.particles(_last_heavy_hadrons(record, absolute)),
        hard_partons=record.particles(np.abs(record.status) == _OUTGOING_OF_HARD_PROCESS),
    )


def _flatten(batch: ak.Array) -> _Record:
    import awkward as ak

    counts = ak.to_numpy(ak.num(batch["prt"]))
    first = np.repeat(np.cumsum(counts) - counts, counts)
    entries = ak.flatten(batch["prt"])

    def column(*path: str) -> NDArray[Any]:
        # An entry without a production vertex of its own comes from the beam.
        values: NDArray[Any] = ak.to_numpy(ak.fill_none(entries[path], 0))
        return values

    return _Record(
        event=np.repeat(np.arange(len(counts), dtype=np.int32), counts),
        pdg=column("id"),
        status=column("status"),
        mother=first + column("mother1"),
        daughter=first + column("daughter1"),
        px=column("p", "px"),
        py=column("p", "py"),
        pz=column("p", "pz"),
        mass=column("m"),
        radius=np.hypot(column("vProd", "px"), column("vProd", "py")),
    )


def _stable_at_particle_level(record: _Record, absolute: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Final particles, with unstable strange hadrons in place of what they decayed to; without neutrinos."""
    strange = np.isin(absolute, _STABLE_AT_PARTICLE_LEVEL)
    from_strange = np.zeros(len(strange), bool)
    for _ in range(_LONGEST_DECAY_CHAIN):
        from_strange = (strange | from_strange)[record.mother]
    return ((record.status > 0) | strange) & ~from_strange & ~np.isin(absolute, NEUTRINOS)


def _last_partons(record: _Record, absolute: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Quarks (but top) and gluons whose daughters are hadrons, diquarks or other compounds."""
    is_parton = ((absolute >= 1) & (absolute <= 5)) | (absolute == 21)
    chosen: NDArray[np.bool_] = is_parton & (record.status < 0) & (absolute[record.daughter] > 100)
    return chosen


def _last_heavy_hadrons(record: _Record, absolute: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Bottom and charm hadrons none of whose daughters has the same heavy flavor."""
    flavor = heavy_flavor(record.pdg)
    heavy = flavor > 0
    has_heavy_daughter = np.zeros(len(heavy), bool)
    has_heavy_daughter[record.mother[heavy & (flavor == flavor[record.mother])]] = True
    return heavy & ~has_heavy_daughter & (absolute > 100)


def heavy_flavor(pdg: NDArray[np.int32]) -> NDArray[np.int8]:
    """5 for bottom hadrons, 4 for charm hadrons, 0 for everything else, from the quark digits of the PDG id."""
    absolute = np.abs(pdg)
    thousands, hundreds = absolute // 1000 % 10, absolute // 100 % 10
    heaviest = np.maximum(thousands, hundreds)
    # The tens digit is 0 only for diquarks, which are no hadrons.
    is_hadron = (absolute > 100) & (absolute // 10 % 10 > 0)
    return np.where(is_hadron & np.isin(heaviest, (4, 5)), heaviest, 0).astype(np.int8)
