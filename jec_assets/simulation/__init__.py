"""Jets without an experiment: PYTHIA 8, pileup, a parametrized detector, FastJet, written as a JetNTuple.

Belongs here: everything between a random seed and ROOT files that `jec_assets.jets` reads like those of CMS. Does not
belong here: reading them, and the standard correction's own mathematics (`jec_assets.correction`).

The way of an event, one module a step: `generator` (with `tunes`) -> `pileup` -> `incidence` -> `tracker`,
`calorimeter` -> `detector` -> `density`, `clustering`, `flavor`, `shapes` -> `reconstruction` -> `selection` ->
`ntuple`. The way of a sample: `plan` -> `campaign` -> `workers` -> `units`.

PYTHIA and FastJet come with the extra `simulation`; importing this package needs neither.
"""

from jec_assets.simulation.campaign import simulate
from jec_assets.simulation.errors import (
    InvalidPlanError,
    SampleExistsError,
    SimulationError,
    SimulationPackagesMissingError,
    UnknownTuneError,
    WorkerDiedError,
)
from jec_assets.simulation.plan import Progress, SimulationPlan, SimulationSummary
from jec_assets.simulation.tunes import NOMINAL_TUNE, TUNES, Tune

__all__ = [
    "NOMINAL_TUNE",
    "TUNES",
    "InvalidPlanError",
    "Progress",
    "SampleExistsError",
    "SimulationError",
    "SimulationPackagesMissingError",
    "SimulationPlan",
    "SimulationSummary",
    "Tune",
    "UnknownTuneError",
    "WorkerDiedError",
    "simulate",
]
