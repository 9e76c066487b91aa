"""Units of work: some pileup, some jets for the correction, one file of the sample.

Belongs here: what one worker process does with one task, from random numbers to a file. Does not belong here: which
units there are and in which order (`campaign.py`).

A unit's random numbers follow from (seed, stage, unit) alone.
"""

from __future__ import annotations

import io
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from jec_assets.correction.derivation import MatchedJets, join_matched_jets
from jec_assets.simulation.generator import dijet_generator, minimum_bias_generator
from jec_assets.simulation.ntuple import CandidateChoice, Identity, JetTable, jet_table, join_tables, write_root
from jec_assets.simulation.pileup import PileupPool, join_pools, make_pool
from jec_assets.simulation.reconstruction import Collisions, matched_jets, reconstruct
from jec_assets.simulation.selection import select
from jec_assets.simulation.tunes import NOMINAL_TUNE, TUNES
from jec_assets.storage import digest_file, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from jec_assets.correction import AppliedCorrection

    Report = Callable[[int], None]

PILEUP_STAGE, CORRECTION_STAGE, JETS_STAGE = range(3)
_EVENTS_PER_BATCH = 50
_HIGHEST_PYTHIA_SEED = 900_000_000


@dataclass(frozen=True)
class Seed:
    """Where a unit's random numbers begin."""

    seed: int
    stage: int
    unit: int

    def split(self) -> tuple[int, np.random.Generator]:
        """A seed for PYTHIA and a generator for everything else."""
        for_pythia, for_numpy = np.random.SeedSequence((self.seed, self.stage, self.unit)).spawn(2)
        return 1 + int(for_pythia.generate_state(1)[0]) % _HIGHEST_PYTHIA_SEED, np.random.default_rng(for_numpy)


@dataclass(frozen=True)
class PileupTask:
    """Make `size` collisions for the pool and write them to `path` (.npz)."""

    path: Path
    seed: Seed
    size: int

    @property
    def finished(self) -> bool:
        """Whether an earlier simulation did it."""
        return self.path.exists()


@dataclass(frozen=True)
class CorrectionTask:
    """Make at least `size` matched, uncorrected jets and write them to `path` (.npz)."""

    path: Path
    seed: Seed
    size: int
    pools: tuple[Path, ...]

    @property
    def finished(self) -> bool:
        """Whether an earlier simulation did it."""
        return self.path.exists()


@dataclass(frozen=True)
class JetsTask:
    """Make at least `size` selected jets of a tune, write them to `draft` and then, whole, to `path` (.root).

    `draft` has the name of `path`: a ROOT file holds its own name.
    """

    path: Path
    draft: Path
    seed: Seed
    size: int
    tune: str
    run: int
    candidates: CandidateChoice
    pools: tuple[Path, ...]
    correction: AppliedCorrection

    @property
    def record(self) -> Path:
        """Where a finished file's `FileRecord` is kept until the sample is complete."""
        return self.draft.with_suffix(".json")

    @property
    def finished(self) -> bool:
        """Whether an earlier simulation did it."""
        return self.path.exists() and self.record.exists()


@dataclass(frozen=True)
class FileRecord:
    """A finished file of the sample."""

    name: str
    jets: int
    events: int
    digest: str


def make_pileup(task: PileupTask, report: Report) -> None:
    """Fill a part of the pool. Pileup is always of the nominal tune: a tune varies the hard collision alone."""
    pythia_seed, _ = task.seed.split()
    pool = make_pool(minimum_bias_generator(TUNES[NOMINAL_TUNE], pythia_seed), task.size, report)
    _write_npz(task.path, pool.columns)


def make_matched_jets(task: CorrectionTask, report: Report) -> None:
    """Make jets for the derivation of the correction, always of the nominal tune: `campaign.py` says why."""
    collide = _collider(NOMINAL_TUNE, task.seed, task.pools)
    parts: list[MatchedJets] = []
    found = 0
    while found < task.size:
        jets = matched_jets(collide(_events_for(task.size - found)))
        parts.append(jets.take(jets.usable))
        found += len(parts[-1])
        report(min(found, task.size))
    _write_npz(task.path, asdict(join_matched_jets(parts)))


def make_jets(task: JetsTask, report: Report) -> None:
    """Make a file of the sample and its record."""
    table, events = _selected_jets(task, report)
    task.draft.parent.mkdir(parents=True, exist_ok=True)
    write_root(table, task.draft)
    record = FileRecord(task.path.name, len(table), events, digest_file(task.draft))
    write_atomically(task.record, json.dumps(asdict(record)).encode())
    task.draft.replace(task.path)


def read_record(task: JetsTask) -> FileRecord:
    """The record of a finished file."""
    return FileRecord(**json.loads(task.record.read_text()))


def read_matched_jets(tasks: Sequence[CorrectionTask]) -> MatchedJets:
    """The jets of finished tasks, in order."""
    return join_matched_jets([MatchedJets(**_read_npz(task.path)) for task in tasks])


def _selected_jets(task: JetsTask, report: Report) -> tuple[JetTable, int]:
    """Rows up to the end of the event in which the share is reached, and how many events were generated for them."""
    collide = _collider(task.tune, task.seed, task.pools)
    tables: list[JetTable] = []
    found = events = 0
    while found < task.size:
        collisions = collide(_events_for(task.size - found))
        identity = Identity(run=task.run, lumi=task.seed.unit + 1, events_before=events)
        tables.append(jet_table(collisions, select(collisions, task.correction), identity, task.candidates))
        events += len(collisions.generated)
        found += len(tables[-1])
        report(min(found, task.size))
    table = join_tables(tables)
    ends = table.ends_of_events()
    return table.first(int(ends[np.searchsorted(ends, task.size)])), events


def _collider(tune: str, seed: Seed, pools: tuple[Path, ...]) -> Callable[[int], Collisions]:
    """A function that makes so many reconstructed events, other ones each time."""
    pythia_seed, rng = seed.split()
    generator, pool = dijet_generator(TUNES[tune], pythia_seed), _pool(pools)
    return lambda events: reconstruct(generator.generate(events), pool, rng)


def _events_for(jets: int) -> int:
    """Events of the next batch when so many jets are missing: an event gives 2 to 4."""
    return min(1 + jets // 2, _EVENTS_PER_BATCH)


@lru_cache(maxsize=1)
def _pool(paths: tuple[Path, ...]) -> PileupPool:
    """The whole pool, read once a process."""
    return join_pools([PileupPool.from_columns(_read_npz(path)) for path in paths])


def _write_npz(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **columns)
    write_atomically(path, buffer.getvalue())


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)
