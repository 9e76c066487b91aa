"""What can go wrong in a simulation, as exceptions.

Belongs here: the exception classes of this package. Does not belong here: errors of the correction
(`jec_assets.correction`).
"""

from __future__ import annotations


class SimulationError(RuntimeError):
    """A simulation cannot start, go on or end; the message names the remedy."""


class UnknownTuneError(SimulationError, ValueError):
    """A tune's name isn't in the table."""


class InvalidPlanError(SimulationError, ValueError):
    """A plan's field is out of range."""


class SimulationPackagesMissingError(SimulationError, ImportError):
    """PYTHIA or FastJet isn't installed."""


class SampleExistsError(SimulationError):
    """The folder holds another sample, or files that are no sample's."""


class WorkerDiedError(SimulationError):
    """A worker process ended without an answer."""
