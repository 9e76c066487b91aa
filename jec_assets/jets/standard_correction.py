"""The standard correction of a source: the one in its files where jets come corrected, ours where they don't.

Belongs here: deriving ours from all files together, which of the two is used, and both in storage. Does not belong
here: a single file (`derivation_sample.py`), the mathematics (`jec_assets.correction`), applying it (`correcting.py`).

    standard_correction/<digest>.json           ours for analysts: correctionlib JSON
    standard_correction/tables/<digest>.json    ours for this package
    standard_correction.json                    the pointer: which one is used, both files, and what ours is made of
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl

import jec_assets.correction
from jec_assets.correction import (
    Provenance,
    StandardCorrection,
    TooFewJetsError,
    correctionlib_json,
    derive,
)
from jec_assets.jets import correcting, derivation_sample, identity, reading, schema, splits
from jec_assets.jets.derivation_sample import (
    BINNING,
    EMPTY_SAMPLE,
    MAX_JETS,
    FileSample,
    matched_jets,
    sample_file,
    smallest_by_hash,
)
from jec_assets.jets.manifest import NoJetsError, SourceUnavailableError
from jec_assets.jets.sources import source_version
from jec_assets.storage import code_digest, digest_of, package_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from jec_assets.jets.sources import JetFile
    from jec_assets.storage import Storage

POINTER = "standard_correction.json"
FOLDER = "standard_correction"

# Share of a file's jets whose jetPt differs from jetRawPt, up to which they are uncorrected and from which corrected:
# a correction leaves hardly a jet as it is.
UNCORRECTED, CORRECTED = 0.01, 0.99

Use = Literal["file", "derived"]


@cache
def _code_version() -> str:
    """Digest of the sources that decide what is derived from files."""
    here = sys.modules[__name__]
    return code_digest(jec_assets.correction, schema, reading, identity, splits, correcting, derivation_sample, here)


class MixedCorrectionsError(ValueError):
    """Some jets of a source come corrected and others don't."""


@dataclass(frozen=True)
class SourceCorrection:
    """The standard correction of a source.

    in_use: "file" where jetPt is what the files say, "derived" where it is made of jetRawPt by `derived`
    derived: ours, from `jets` jets of training events; None where there are too few, which `why_none` then says
    files, errors: how many files were read; a message for each that could not be
    """

    in_use: Use
    derived: StandardCorrection | None
    jets: int
    files: int
    errors: tuple[str, ...]
    why_none: str = ""

    @property
    def to_apply(self) -> StandardCorrection | None:
        """What `Recipe.correction` has to be: ours where jets come uncorrected."""
        return self.derived if self.in_use == "derived" else None

    @property
    def digest(self) -> str:
        """Digest of which correction is used and of the tables of ours: the data version."""
        return digest_of([self.in_use, self.derived and self.derived.digest])

    def correctionlib_json(self) -> str:
        """Ours as correctionlib JSON; `TooFewJetsError` where there is none."""
        if self.derived is None:
            raise TooFewJetsError(self.why_none)
        selection = f"training events, raw pT > 21 GeV, particle-level pT >= {self.derived.valid_from:g} GeV within 0.2"
        source = f"{self.files} JetNTuple files, jets cut on their corrected pT"
        return correctionlib_json(
            self.derived, Provenance(source, self.jets, selection, package_versions("numpy", "correctionlib"))
        )


def derive_from_files(
    files: Sequence[JetFile], executor: Executor, report: Callable[[FileSample, int], None]
) -> SourceCorrection:
    """Derive ours from the training events of all files, and see which correction their jets need.

    The result does not depend on the order of the files or on the number of processes. A file that cannot be read is
    left out and named in `errors`; `report` is called with what each file gave and the number still to come. Raises
    SourceUnavailableError where a server failed, NoJetsError where no file gave a jet, MixedCorrectionsError where
    some jets come corrected and others don't, TooFewJetsError where none do and ours cannot be derived.
    """
    jets, samples = EMPTY_SAMPLE, []
    for sample in _sampled(files, executor):
        jets = pl.concat([jets, sample.jets])
        if len(jets) > 2 * MAX_JETS:
            jets = smallest_by_hash(jets, MAX_JETS)
        samples.append(replace(sample, jets=EMPTY_SAMPLE))
        report(samples[-1], len(files) - len(samples))
    samples.sort(key=lambda sample: sample.url)
    in_use = _use(samples)
    errors = tuple(sample.error for sample in samples if sample.error)
    matched = matched_jets(smallest_by_hash(jets, MAX_JETS))
    derived, why_none = None, ""
    try:
        derived = derive(matched, BINNING.joined_for(matched))
    except TooFewJetsError as fault:
        if in_use == "derived":
            raise
        why_none = str(fault)
    used = int(np.count_nonzero(matched.usable)) if derived else 0
    return SourceCorrection(in_use, derived, used, len(files) - len(errors), errors, why_none)


def _sampled(files: Sequence[JetFile], executor: Executor) -> Iterator[FileSample]:
    """What each file gave, as soon as it was read; files that were not begun are not read where the caller stops."""
    running = {executor.submit(sample_file, file) for file in files}
    try:
        for future in as_completed(running):
            running.discard(future)  # or all samples would stay in memory
            yield future.result()
    finally:
        for future in running:
            future.cancel()


def _use(samples: Sequence[FileSample]) -> Use:
    """Which correction the jets of all files need."""
    failed = [str(sample.error) for sample in samples if sample.transient]
    if failed:
        named = "\n".join(failed)
        raise SourceUnavailableError(f"{len(failed)} files could not be had from their servers; run it again:\n{named}")
    told = [sample for sample in samples if sample.compared]
    if not told:
        faults = "\n".join(f"- {sample.error or f'{sample.url}: it holds no jets'}" for sample in samples)
        raise NoJetsError(f"no file of the source gave a jet:\n{faults}")
    if all(sample.differing >= CORRECTED * sample.compared for sample in told):
        return "file"
    if all(sample.differing <= UNCORRECTED * sample.compared for sample in told):
        return "derived"
    shares = "\n".join(f"- {sample.url}: {sample.differing} of {sample.compared}" for sample in told)
    raise MixedCorrectionsError(
        "some jets of the source come with a standard correction and others without; give either kind as a source of "
        f"its own. Jets whose jetPt differs from jetRawPt:\n{shares}"
    )


def publish_standard_correction(storage: Storage, found: SourceCorrection, inputs: str = "") -> None:
    """Publish ours in both formats, then the pointer; `inputs` is the digest of what it was made of."""
    record: dict[str, Any] = {**asdict(found), "derived": None, "inputs": inputs, "correctionlib": None, "tables": None}
    if found.derived is not None:
        tables = json.dumps(found.derived.tables, sort_keys=True).encode()
        record["tables"] = storage.publish_named_by_digest(f"{FOLDER}/tables", ".json", tables).key
        export = found.correctionlib_json().encode()
        record["correctionlib"] = storage.publish_named_by_digest(FOLDER, ".json", export).key
        record["derived"] = {"digest": found.derived.digest, "valid_from_gen_pt": found.derived.valid_from}
    storage.publish_json(POINTER, record)


def load_standard_correction(storage: Storage) -> SourceCorrection:
    """The published correction; ArtifactMissingError where `standard_correction` was not materialized."""
    record = storage.read_json(POINTER)
    derived = StandardCorrection.from_tables(storage.read_json(record["tables"])) if record["tables"] else None
    return SourceCorrection(
        record["in_use"], derived, record["jets"], record["files"], tuple(record["errors"]), record["why_none"]
    )


def update_standard_correction(
    storage: Storage, files: Sequence[JetFile], executor: Executor, report: Callable[[FileSample, int], None]
) -> SourceCorrection:
    """The published correction if it was made of these files by this code, otherwise `derive_from_files`, published."""
    inputs = digest_of([source_version(files), _code_version()])
    if storage.exists(POINTER) and storage.read_json(POINTER)["inputs"] == inputs:
        return load_standard_correction(storage)
    found = derive_from_files(files, executor, report)
    publish_standard_correction(storage, found, inputs)
    return found
