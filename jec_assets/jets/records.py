"""Jets as awkward arrays: one record a jet with the branches of the JetNTuple, into columns.

Belongs here: which fields a feature set wants of such records, which of them follow from others, and their shapes.
Does not belong here: files (`reading.py`), and records in which a row is an event (`nanoaod.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jec_assets.jets.features import Columns
from jec_assets.jets.quark_gluon import Constituents, quark_gluon
from jec_assets.jets.schema import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from jec_assets.jets.features import FeatureSet

QUARK_GLUON = ("QG_ptD", "QG_axis2", "QG_mult")
# What is computed where it is missing, and what of.
DERIVED: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(QUARK_GLUON, ("PF_pT", "PF_dEta", "PF_dPhi", "PF_id", "PF_fromPV", "PF_fromAK4Jet")),
    "PF_dR": ("PF_dEta", "PF_dPhi"),
    "PF_dTheta": ("PF_dEta", "PF_dPhi"),
}


class RecordError(ValueError):
    """Jets that lack a field, or have one of another shape or unit; the message names it."""


def branches_of(features: FeatureSet) -> tuple[str, ...]:
    """Every branch that it takes to calibrate a jet with these features, whatever is known of its truth."""
    members = ("PF_fromAK4Jet", "PF_pT") if features.members_only else ()
    particles = () if any(name.startswith("PF_") for name in features.branches) else ("PF_pT",)
    return tuple(dict.fromkeys(("jetPt", "jetEta", *features.branches, *members, *particles)))


class MissingBranchError(RecordError):
    """Jets that lack branches."""

    def __init__(self, branches: Sequence[str]) -> None:
        super().__init__(f"there is no branch {', '.join(branches)}")
        self.branches = tuple(branches)


def columns_of_records(jets: Mapping[str, Any], fields: Collection[str], features: FeatureSet, rows: int) -> Columns:
    """What the features are computed from, of `rows` jets; `jets[name]` is needed for names among `fields` only.

    Raises RecordError.
    """
    wanted = branches_of(features)
    read = dict.fromkeys(base for name in wanted for base in _bases(name, fields))
    spelled = spellings(read, fields)
    columns = columns_of_branches({name: jets[field] for name, field in spelled.items()}, rows)
    return with_derived(columns, wanted)


def spellings(branches: Collection[str], fields: Collection[str]) -> dict[str, str]:
    """How each branch is spelled among `fields`; MissingBranchError names those that are not there."""
    found = {
        name: next((spelled for spelled in (name, *BY_NAME[name].aliases) if spelled in fields), None)
        for name in branches
    }
    missing = [name for name, spelled in found.items() if spelled is None]
    if missing:
        raise MissingBranchError(missing)
    return {name: spelled for name, spelled in found.items() if spelled is not None}


def with_derived(columns: Columns, wanted: Sequence[str]) -> Columns:
    """The columns and whatever is wanted beside them, computed from them."""
    scalars, particles = dict(columns.scalars), dict(columns.particles)
    if "PF_dR" in wanted and "PF_dR" not in particles:
        particles["PF_dR"] = np.hypot(particles["PF_dEta"], particles["PF_dPhi"])
    if "PF_dTheta" in wanted and "PF_dTheta" not in particles:
        particles["PF_dTheta"] = np.arctan2(particles["PF_dPhi"], particles["PF_dEta"])
    missing = [name for name in QUARK_GLUON if name in wanted and name not in scalars]
    if missing:
        computed = quark_gluon(_constituents(columns))
        scalars |= {name: computed[name] for name in missing}
    return Columns(scalars, particles, columns.offsets)


def columns_of_branches(arrays: Mapping[str, Any], jets: int) -> Columns:
    """Arrays of `jets` jets, by branch, with the schema's types: one number a jet, or one a particle.

    Raises RecordError where a branch has another shape, or two disagree in how many particles a jet has.
    """
    import awkward as ak

    scalars, particles = {}, {}
    offsets = np.zeros(jets + 1, np.int64)
    counted_by = ""
    for name, array in arrays.items():
        branch = BY_NAME[name]
        if (array.ndim == 1) != (branch.counter is None):
            raise RecordError(f"branch {name} has {array.ndim - 1} axes beside the jets")
        if branch.counter is None:
            scalars[name] = _numbers(name, array)
            continue
        counts = ak.to_numpy(ak.num(array))
        if not counted_by:
            offsets[1:], counted_by = np.cumsum(counts), name
        elif not np.array_equal(np.diff(offsets), counts):
            raise RecordError(f"{name} and {counted_by} differ in length")
        particles[name] = _numbers(name, ak.flatten(array))
    return Columns(scalars, particles, offsets)


def _numbers(name: str, values: Any) -> NDArray[Any]:
    import awkward as ak

    try:
        return np.asarray(ak.to_numpy(values, allow_missing=False).astype(BY_NAME[name].dtype, copy=False))
    except ValueError as fault:
        raise RecordError(f"branch {name} has missing values: fill them or drop these jets") from fault


def _bases(name: str, fields: Collection[str]) -> tuple[str, ...]:
    """What is read for a branch: itself, or what it is computed from."""
    present = name in fields or name not in DERIVED
    return (name,) if present else DERIVED[name]


def _constituents(columns: Columns) -> Constituents:
    member = columns.particles["PF_fromAK4Jet"] == 1
    jet = np.repeat(np.arange(len(columns)), np.diff(columns.offsets))[member]
    names = ("PF_pT", "PF_dEta", "PF_dPhi", "PF_id", "PF_fromPV")
    return Constituents(jet, len(columns), *(columns.particles[name][member] for name in names))
