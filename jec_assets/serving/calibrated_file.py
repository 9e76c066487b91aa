"""A ROOT file of jets, calibrated: a copy of every row and branch with the calibration beside them.

Belongs here: the added branches, their names and what is written about them. Does not belong here: the calibration
(`calibrator.py`) and copying (`jec_assets.jets.extending`).

For a family F, per jet: `jetPt_F` and `jetMass_F` (GeV), calibrated by the same factor `jetFactor_F`;
`jetModelVersion_F`, the version of F that did it, with every jet since files are merged; `jetCalibrated_F`, false for
jets without constituents, or with a feature or a factor that is not finite, which keep their momentum (factor 1);
`jetOutsideRange_F`, true where the training had no such jet. A model with quantiles adds `jetFactor16_F`,
`jetFactor84_F` and `jetResolution_F` (-1 where not calibrated). The text `calibration_F` (JSON) says more of the model.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from jec_assets.jets.correcting import RAW_BRANCHES, comes_corrected, corrected
from jec_assets.jets.extending import Extension, extend_tree
from jec_assets.jets.features import UnknownFeatureSetError
from jec_assets.jets.reading import JetFileError
from jec_assets.jets.records import RecordError, columns_of_branches, columns_of_records, spellings
from jec_assets.jets.sources import JetFile
from jec_assets.serving.calibrator import ChangedFeaturesError
from jec_assets.serving.guard import OnnxRuntimeInstallationError
from jec_assets.serving.repository import UnpublishedModelError
from jec_assets.serving.runtime import UnusableModelError
from jec_assets.serving.tensors import BatchError
from jec_assets.serving.transport import AddressError, RequestRefusedError, ServerUnavailableError
from jec_assets.serving.units import UnitsError
from jec_assets.serving.version_store import BrokenRepositoryError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from jec_assets.correction import AppliedCorrection
    from jec_assets.jets.features import Columns
    from jec_assets.serving.calibrator import Calibration, Calibrator
    from jec_assets.serving.record import PublishedModel

# What can be wrong with a file, a server or a repository; each says in one message what to do.
FAULTS = (
    *(OSError, JetFileError, RecordError, UnitsError),
    *(RequestRefusedError, ServerUnavailableError, UnpublishedModelError, BrokenRepositoryError, UnusableModelError),
    *(OnnxRuntimeInstallationError, UnknownFeatureSetError, ChangedFeaturesError, BatchError, AddressError),
)
UNCORRECTED = "its jets come without a standard correction (jetPt is jetRawPt), and networks want one"
RESIDUAL = "derived from simulation: data, as opposed to simulation, still need the residual correction"


@dataclass(frozen=True)
class CalibratedFile:
    """What came of a file: how many jets it has, how many of them are not calibrated or outside the training's range.

    left_out: objects of the input beside the tree that are not in the output
    range_known: whether the model's record says which jets the training had; else all count as outside
    """

    jets: int
    not_calibrated: int
    outside_range: int
    left_out: tuple[str, ...]
    range_known: bool

    @property
    def remarks(self) -> tuple[str, ...]:
        """What whoever uses the file should know, a line each."""
        remarks = []
        if self.not_calibrated:
            unusable = f"{self.not_calibrated:,} jets without constituents, or with numbers that are not finite"
            remarks.append(f"{unusable}, keep their momentum")
        if not self.range_known:
            remarks.append("which jets the training had is not on record: all are flagged in jetOutsideRange")
        elif self.outside_range:
            remarks.append(f"{self.outside_range:,} jets are unlike any of the training: see jetOutsideRange")
        if self.left_out:
            remarks.append(f"not copied: {', '.join(self.left_out)}")
        return tuple(remarks)


def calibrate_file(
    source: str,
    out: Path,
    calibrator: Calibrator,
    report: Callable[[int, int], None],
    overwrite: bool = False,
    standard: AppliedCorrection | None = None,
) -> CalibratedFile:
    """Write the calibrated copy of a JetNTuple file (a path or a URL), with or without truth; memory holds one chunk.

    standard: the correction to make jetPt and jetMass with, from the raw ones; None where jets come corrected, as
    networks want them. `report` gets the jets done and the jets there are. Raises JetFileError, which names what is
    wrong with the file, OutputExistsError, and what the calibrator raises; there is no output then.
    """
    file = JetFile(source, 0, "")
    counts = {"not_calibrated": 0, "outside_range": 0}

    def values(arrays: dict[str, Any], jets: int) -> dict[str, NDArray[Any]]:
        try:
            columns = columns_of_records(arrays, arrays, calibrator.features, jets)
            if standard is not None:
                columns = _corrected(columns, arrays, standard)
            elif _come_uncorrected(arrays, jets):
                raise JetFileError(source, UNCORRECTED, "give one with --correction FILE.json")
        except RecordError as fault:
            raise JetFileError(source, str(fault), "give files in the JetNTuple schema or another family") from fault
        calibration = calibrator.calibration(columns)
        counts["not_calibrated"] += int(np.count_nonzero(~calibration.calibrated))
        counts["outside_range"] += int(np.count_nonzero(calibration.outside_range))
        return _branches(calibrator.model, columns, calibration)

    notes = {_named("calibration", calibrator.model.family): _note(calibrator)}
    written = extend_tree(file, out, Extension(_types(calibrator), values, notes), report, overwrite)
    range_known = calibrator.model.card.training_range is not None
    return CalibratedFile(written.rows, **counts, left_out=written.left_out, range_known=range_known)


def _corrected(columns: Columns, arrays: dict[str, Any], standard: AppliedCorrection) -> Columns:
    """The jets with this standard correction in place of the one that they may have; RecordError names a branch.

    A jet that it has no factor for keeps its raw momentum.
    """
    spelled = spellings(RAW_BRANCHES, arrays)
    raw = columns_of_branches({name: arrays[field] for name, field in spelled.items()}, len(columns)).scalars
    jets = corrected(replace(columns, scalars={**columns.scalars, **raw}), standard)
    known = np.isfinite(jets.scalars["jetPt"])
    momenta = {name: np.where(known, jets.scalars[name], raw[f"jetRaw{name[3:]}"]) for name in ("jetPt", "jetMass")}
    return replace(jets, scalars={**jets.scalars, **momenta})


def _come_uncorrected(arrays: dict[str, Any], jets: int) -> bool:
    """Whether jetPt is the raw momentum of every jet; not where a file doesn't tell the raw one."""
    if "jetRawPt" not in arrays:
        return False
    differs = comes_corrected(columns_of_branches({name: arrays[name] for name in ("jetPt", "jetRawPt")}, jets))
    return len(differs) > 0 and not differs.any()


def _branches(model: PublishedModel, columns: Columns, calibration: Calibration) -> dict[str, NDArray[Any]]:
    scalars = columns.scalars
    branches: dict[str, NDArray[Any]] = {
        "jetPt": calibration.factor * scalars["jetPt"],
        "jetMass": calibration.factor * scalars["jetMass"],
        "jetFactor": calibration.factor,
        "jetModelVersion": np.full(len(calibration.factor), model.version, np.int32),
        "jetCalibrated": calibration.calibrated,
        "jetOutsideRange": calibration.outside_range,
    }
    if calibration.quantiles is not None and calibration.resolution is not None:
        low, high = calibration.quantiles.T
        branches |= {"jetFactor16": low, "jetFactor84": high, "jetResolution": calibration.resolution}
    return {_named(name, model.family): values for name, values in branches.items()}


def _types(calibrator: Calibrator) -> dict[str, str]:
    numbers, flags = ["jetPt", "jetMass", "jetFactor"], ["jetCalibrated", "jetOutsideRange"]
    if len(calibrator.model.card.outputs) > 1:
        numbers += ["jetFactor16", "jetFactor84", "jetResolution"]
    types = {**dict.fromkeys(numbers, "float32"), "jetModelVersion": "int32", **dict.fromkeys(flags, "bool")}
    return {_named(name, calibrator.model.family): kind for name, kind in types.items()}


def _named(name: str, family: str) -> str:
    return f"{name}_{family}"


def _note(calibrator: Calibrator) -> str:
    model = calibrator.model
    note = {
        "family": model.family,
        "version": model.version,
        "onnx_digest": model.onnx_digest,
        "network_digest": model.card.network_digest,
        "published": model.published,
        "feature_set": model.card.feature_set,
        "note": RESIDUAL,
    }
    return json.dumps(note)
