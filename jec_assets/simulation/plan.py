"""What to simulate, and what came of it.

Belongs here: the plan with its checks, the division into units of work, the summary. Does not belong here: doing it
(`campaign.py`).

A sample is divided into units that depend on nothing but the plan: each has random numbers of its own, so the files are
the same byte by byte whatever the number of processes, and an interrupted simulation goes on with the units it lacks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from jec_assets.correction import CorrectionError, CorrectionFile
from jec_assets.simulation.errors import InvalidPlanError
from jec_assets.simulation.tunes import NOMINAL_TUNE, tune_named
from jec_assets.storage import digest_file, digest_of

Stage = Literal["pileup", "correction", "jets"]

Progress = Callable[[int, int, Stage], None]
"""Called with (done, wanted, stage) at least once a second; collisions in the stage `pileup`, else jets."""

COLLISIONS_PER_UNIT = 750
MATCHED_JETS_PER_UNIT = 1000
_LEAST = {"jets": 1, "jobs": 1, "jets_per_file": 1, "derivation_jets": 1, "pileup_collisions": 1, "seed": 0}


@dataclass(frozen=True)
class SimulationPlan:
    """A sample of simulated jets.

    jets: least number of jets; each file ends with the event in which it reaches its share, so there may be a few more
    folder: where the files go; it must not hold other jets
    seed: same seed, same jets; tune: a name in `tunes.TUNES`; jobs: processes at a time, about 300 MB each
    candidates: which particle-flow candidates are written: a jet's own `members`, or all in the `square` around it
    jets_per_file; derivation_jets: jets behind the standard correction; pileup_collisions: size of pileup's pool
    correction: the correctionlib file of another sample, applied instead of deriving one; None: derive it
    """

    jets: int
    folder: Path
    seed: int = 1
    tune: str = NOMINAL_TUNE
    jobs: int = 1
    candidates: Literal["members", "square"] = "members"
    jets_per_file: int = 1250
    derivation_jets: int = 8000
    pileup_collisions: int = 3000
    correction: Path | None = None

    def __post_init__(self) -> None:
        tune_named(self.tune)
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise InvalidPlanError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if self.correction:
            try:
                CorrectionFile.read(self.correction)
            except CorrectionError as fault:
                raise InvalidPlanError(str(fault)) from fault
        if self.candidates not in ("members", "square"):
            raise InvalidPlanError(f"candidates must be 'members' or 'square', not {self.candidates!r}")

    @property
    def recipe(self) -> dict[str, Any]:
        """What the jets depend on: all but the folder and the number of processes; a given file by its digest."""
        fields = {name: value for name, value in asdict(self).items() if name not in ("folder", "jobs", "correction")}
        return {**fields, "correction": digest_file(self.correction)} if self.correction else fields

    @property
    def run(self) -> int:
        """The run number of the jets, of its own for each seed and tune, so that samples can be read together."""
        return 1 + int(digest_of({"seed": self.seed, "tune": self.tune})[:7], 16)

    @property
    def file_names(self) -> tuple[str, ...]:
        """The files of the sample, one for each unit."""
        return tuple(f"jets_{unit:04d}.root" for unit in range(len(self.file_sizes)))

    @property
    def file_sizes(self) -> tuple[int, ...]:
        """Least number of jets in each file."""
        return shares(self.jets, self.jets_per_file)


@dataclass(frozen=True)
class SimulationSummary:
    """A finished sample. `reused` says that it was there already."""

    jets: int
    files: tuple[Path, ...]
    correction: Path
    manifest: Path
    reused: bool


def shares(total: int, largest: int) -> tuple[int, ...]:
    """`total` in shares of `largest`; the last one is what is left."""
    return tuple(min(largest, total - done) for done in range(0, total, largest))
