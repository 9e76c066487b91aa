"""NanoAOD with candidates: one record an event, jets linked to their constituents, into columns.

Belongs here: the fields of such records, and how they become the branches of the JetNTuple. Does not belong here: the
features (`features.py`) and records in which a row is a jet (`records.py`).

The layout is that of PFNano. Fields may be flat (`Jet_pt`) or nested (`Jet.pt`), per event:

- `Jet_pt` (GeV), with the standard correction, `Jet_eta`, `Jet_phi`, `Jet_mass` (GeV), `Jet_area`;
- `PFCands_pt` (GeV), `PFCands_eta`, `PFCands_phi`, `PFCands_mass` (GeV), `PFCands_pdgId`, and `PFCands_fromPV`: the
  candidate's association to the primary vertex, 0 to 3, which PFNano writes only if asked (`Var("fromPV()", int)`);
- `JetPFCands_jetIdx` and `JetPFCands_pFCandsIdx`: each entry says that a candidate is a constituent of a jet, none if
  either is -1;
- rho (GeV), a number per event: `Rho_fixedGridRhoFastjetAll` or, in older files, `fixedGridRhoFastjetAll`.

What a model does not look at is not needed. The quark-gluon variables and what is relative to the jet's axis are
computed from the constituents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from jec_assets.jets.features import Columns
from jec_assets.jets.records import DERIVED, RecordError, branches_of, with_derived

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.jets.features import FeatureSet

JET_FIELDS = {
    "jetPt": "Jet_pt",
    "jetEta": "Jet_eta",
    "jetPhi": "Jet_phi",
    "jetMass": "Jet_mass",
    "jetArea": "Jet_area",
}
CANDIDATE_FIELDS = {
    "PF_pT": "PFCands_pt",
    "PF_mass": "PFCands_mass",
    "PF_id": "PFCands_pdgId",
    "PF_fromPV": "PFCands_fromPV",
}
RHO_FIELDS = ("Rho_fixedGridRhoFastjetAll", "fixedGridRhoFastjetAll")
AXES = ("jetEta", "jetPhi")


def is_nanoaod(records: Any) -> bool:
    """Whether rows are events with jets in them, rather than jets."""
    return "Jet_pt" in records.fields or "Jet" in records.fields


def columns_of_events(events: Any, features: FeatureSet) -> Columns:
    """What the features are computed from, of all jets of all events, one after another.

    Raises RecordError where a field is missing, an index points nowhere, or the set wants more than constituents.
    """
    import awkward as ak

    if not features.members_only:
        raise RecordError(
            f"the features {features.name} look at all candidates around a jet, and these records link constituents "
            "alone: use a model of other features"
        )
    wanted = branches_of(features)
    counts = ak.to_numpy(ak.num(_field(events, "Jet_pt")))
    scalars = {name: _flat(events, field) for name, field in JET_FIELDS.items() if name in wanted or name in AXES}
    if "rhoAll" in wanted:
        scalars["rhoAll"] = np.repeat(ak.to_numpy(_rho(events)), counts)
    jet, candidate = _links(events, counts)
    needed = {*wanted, *(base for name in wanted for base in DERIVED.get(name, ()))}
    particles = {name: _flat(events, field)[candidate] for name, field in CANDIDATE_FIELDS.items() if name in needed}
    axis_eta, axis_phi = (scalars[name][jet] for name in AXES)
    particles["PF_dEta"] = _flat(events, "PFCands_eta")[candidate] - axis_eta
    particles["PF_dPhi"] = _wrapped(_flat(events, "PFCands_phi")[candidate] - axis_phi)
    particles["PF_fromAK4Jet"] = np.ones(len(jet), np.int32)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(jet, minlength=counts.sum()))]).astype(np.int64)
    return with_derived(Columns(scalars, particles, offsets), wanted)


def _links(events: Any, jets: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The jet and the candidate of each link, counted over all events, jet by jet; jets: per event."""
    import awkward as ak

    found = []
    candidates = ak.to_numpy(ak.num(_field(events, "PFCands_pt")))
    for name, counts in (("JetPFCands_jetIdx", jets), ("JetPFCands_pFCandsIdx", candidates)):
        links = _field(events, name)
        index, of_event = _flat(events, name), np.repeat(np.arange(len(counts)), ak.to_numpy(ak.num(links)))
        found.append((index, of_event, (index >= 0) & (index < counts[of_event]), np.cumsum(counts) - counts))
    (jet, event, jet_there, first_jet), (candidate, event_too, candidate_there, first_candidate) = found
    if not np.array_equal(event, event_too):
        raise RecordError("JetPFCands_jetIdx and JetPFCands_pFCandsIdx differ in length")
    # NanoAOD's index of nothing is -1.
    kept = (jet != -1) & (candidate != -1)
    if not (jet_there & candidate_there)[kept].all():
        raise RecordError("JetPFCands_jetIdx or JetPFCands_pFCandsIdx points to a jet or candidate that is not there")
    jet, candidate = (first_jet[event] + jet)[kept], (first_candidate[event] + candidate)[kept]
    order = np.argsort(jet, kind="stable")
    return jet[order], candidate[order]


def _rho(events: Any) -> Any:
    for name in RHO_FIELDS:
        try:
            return _field(events, name)
        except RecordError:
            continue
    raise RecordError(f"there is no {' or '.join(RHO_FIELDS)}")


def _field(events: Any, name: str) -> Any:
    """A field by its flat name, whether it is flat or nested; RecordError where it is neither."""
    if name in events.fields:
        return events[name]
    collection, _, field = name.partition("_")
    if collection in events.fields and field in events[collection].fields:
        return events[collection][field]
    raise RecordError(f"there is no {name} (nor {collection}.{field})")


def _flat(events: Any, name: str) -> NDArray[Any]:
    import awkward as ak

    array = _field(events, name)
    if array.ndim != 2:
        raise RecordError(f"{name} has {array.ndim - 1} axes beside the events")
    values: NDArray[Any] = ak.to_numpy(ak.flatten(array))
    return values.astype(np.int64 if values.dtype.kind in "iu" else np.float32, copy=False)


def _wrapped(angle: NDArray[np.floating]) -> NDArray[np.floating]:
    """Angles in radians brought to [-pi, pi]."""
    return np.asarray(angle - 2 * np.pi * np.rint(angle / (2 * np.pi)), np.float32)
