"""Jets as rows of the JetNTuple, and its ROOT files.

Belongs here: every branch of the schema from a batch of collisions, and writing the tree. Does not belong here: the
schema (`jec_assets.jets.schema`) and what the branches are made of.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from jec_assets.jets.schema import BRANCHES, TREE
from jec_assets.simulation.clustering import pairs
from jec_assets.simulation.flavor import GLUON, LIGHT_QUARKS
from jec_assets.simulation.particles import ranges, wrap
from jec_assets.simulation.shapes import Columns, shapes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from jec_assets.simulation.reconstruction import Collisions
    from jec_assets.simulation.selection import SelectedJets

CandidateChoice = Literal["members", "square"]

PARTICLES, GEN_PARTICLES = "nPF", "nGenJetPF"  # the branches that count the entries of the others
SQUARE = 1.0  # half width in eta and phi of the square around the axis
_ROOT_DATE = (2016 - 1995) << 26 | 1 << 22 | 1 << 17  # 1 January 2016, ROOT's way
_COMPRESSION_LEVEL = 5


@dataclass(frozen=True)
class Identity:
    """What makes a jet's (run, lumi, event) its own: the sample's run, the file's lumi, events before this batch."""

    run: int
    lumi: int
    events_before: int


@dataclass(frozen=True)
class JetTable:
    """Rows of the JetNTuple: branches by name, scalars (jets,), the others flat; nPF and nGenJetPF are among them."""

    columns: Columns

    def __len__(self) -> int:
        return len(self.columns["event"])

    def first(self, jets: int) -> JetTable:
        """The first so many rows."""
        lengths = {
            None: jets,
            PARTICLES: int(self.columns[PARTICLES][:jets].sum()),
            GEN_PARTICLES: int(self.columns[GEN_PARTICLES][:jets].sum()),
        }
        return JetTable({branch.name: self.columns[branch.name][: lengths[branch.counter]] for branch in BRANCHES})

    def ends_of_events(self) -> NDArray[np.int64]:
        """Numbers of rows after which an event is complete, rising; the last one is the number of rows."""
        event = self.columns["event"]
        return np.append(np.flatnonzero(event[1:] != event[:-1]) + 1, len(event))


def join_tables(tables: Sequence[JetTable]) -> JetTable:
    """All rows of several tables, in order."""
    return JetTable(
        {branch.name: np.concatenate([table.columns[branch.name] for table in tables]) for branch in BRANCHES}
    )


def jet_table(
    collisions: Collisions, selected: SelectedJets, identity: Identity, candidates: CandidateChoice
) -> JetTable:
    """The chosen jets' branches, with the schema's types."""
    columns = {
        **_kinematics(collisions, selected),
        **_flavors(collisions, selected),
        **_members(collisions, selected, candidates),
        **_gen_jets(collisions, selected),
        **_events(collisions, selected, identity),
    }
    return JetTable({branch.name: columns[branch.name].astype(branch.dtype, copy=False) for branch in BRANCHES})


def write_root(table: JetTable, path: Path) -> None:
    """Write a ROOT file with the tree.

    The same rows in a file of the same name give the same bytes: the times and identifiers in it are fixed.
    """
    import awkward as ak
    import uproot

    arrays: dict[str, ak.Array | NDArray[np.generic]] = {
        branch.name: table.columns[branch.name]
        for branch in BRANCHES
        if branch.counter is None and branch.name not in (PARTICLES, GEN_PARTICLES)
    }
    for counter, prefix in ((PARTICLES, "PF"), (GEN_PARTICLES, "genJetPF")):
        fields = {
            branch.name.removeprefix(f"{prefix}_"): table.columns[branch.name]
            for branch in BRANCHES
            if branch.counter == counter
        }
        arrays[prefix] = ak.unflatten(ak.zip(fields), table.columns[counter])
    compression = uproot.ZSTD(_COMPRESSION_LEVEL)
    with (
        _fixed_date(),
        uproot.recreate(path, compression=compression, uuid_function=lambda: uuid.UUID(int=0)) as file,
    ):
        tree = file.mktree(
            TREE,
            {name: array.type if isinstance(array, ak.Array) else array.dtype for name, array in arrays.items()},
            counter_name=lambda counted: f"n{counted[0].upper()}{counted[1:]}",
        )
        tree.extend(arrays)


@contextmanager
def _fixed_date() -> Iterator[None]:
    """Let uproot write one date in place of the time of day; it has no setting for it."""
    from uproot import _util

    time_of_day = _util.datetime_to_code
    _util.datetime_to_code = lambda _: _ROOT_DATE
    try:
        yield
    finally:
        _util.datetime_to_code = time_of_day


def _kinematics(collisions: Collisions, selected: SelectedJets) -> Columns:
    jets, rows, factor = collisions.jets, selected.row, selected.factor
    branches = shapes(collisions.candidates, jets)
    chosen = {name: values[rows] for name, values in branches.items()}
    return {
        **chosen,
        "jetGirth": chosen["jetGirth"] / factor,
        "jetPt": factor * jets.pt[rows],
        "jetMass": factor * jets.mass[rows],
        "jetRawPt": jets.pt[rows],
        "jetRawMass": jets.mass[rows],
        "jetEta": jets.eta[rows],
        "jetPhi": jets.phi[rows],
        "jetArea": collisions.area[rows],
    }


def _flavors(collisions: Collisions, selected: SelectedJets) -> Columns:
    rows = selected.row
    columns: Columns = {"hadronFlav": collisions.hadron_flavor[rows]}
    for label, pdg in (("phys", collisions.physics_flavor[rows]), ("parton", collisions.parton_flavor[rows])):
        light, gluon = np.isin(np.abs(pdg), LIGHT_QUARKS), pdg == GLUON
        name = label.capitalize()
        columns |= {
            f"{label}Flav": pdg,
            f"is{name}UDS": light,
            f"is{name}G": gluon,
            f"is{name}Other": ~(light | gluon),
        }
    return columns


def _members(collisions: Collisions, selected: SelectedJets, choice: CandidateChoice) -> Columns:
    """Candidates of the chosen jets, relative to their axes."""
    owner, row = (_constituents if choice == "members" else _in_square)(collisions, selected)
    found = collisions.candidates.take(row)
    jet = selected.row[owner]
    relative = _relative(collisions, jet, found.eta, found.phi)
    return {
        PARTICLES: np.bincount(owner, minlength=len(selected)),
        "PF_pT": found.pt,
        "PF_mass": found.mass,
        "PF_dR": np.hypot(*relative),
        "PF_dEta": relative[0],
        "PF_dPhi": relative[1],
        "PF_dTheta": np.arctan2(relative[1], relative[0]),
        "PF_id": found.pdg,
        "PF_fromPV": found.from_pv,
        "PF_fromAK4Jet": _is_member(collisions, jet, row),
    }


def _constituents(collisions: Collisions, selected: SelectedJets) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The chosen jet (its number among the chosen) and the candidate (its row) of each constituent."""
    jets = collisions.jets
    counts = jets.counts[selected.row]
    starts = (np.cumsum(jets.counts) - jets.counts)[selected.row]
    return np.repeat(np.arange(len(selected)), counts), jets.constituents[ranges(starts, counts)]


def _in_square(collisions: Collisions, selected: SelectedJets) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The same for every candidate with |dEta| < 1 and |dPhi| < 1, members or not, removed by CHS or not."""
    event = collisions.jets.event[selected.row]
    owner, row = pairs(event, collisions.candidates.event)
    candidates = collisions.candidates
    delta_eta, delta_phi = _relative(collisions, selected.row[owner], candidates.eta[row], candidates.phi[row])
    inside = (np.abs(delta_eta) < SQUARE) & (np.abs(delta_phi) < SQUARE)
    return owner[inside], row[inside]


def _is_member(collisions: Collisions, jet: NDArray[np.int64], row: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each candidate belongs to that jet; a candidate belongs to one jet at most."""
    jet_of = np.full(len(collisions.candidates), -1, np.int64)
    jet_of[collisions.jets.constituents] = collisions.jets.owner
    own: NDArray[np.bool_] = jet_of[row] == jet
    return own


def _gen_jets(collisions: Collisions, selected: SelectedJets) -> Columns:
    """Matched particle-level jets and their particles by falling pT; zeros and no particles where there is no match."""
    gen_jets, match = collisions.gen_jets, collisions.match[selected.row]
    found = match >= 0
    matched = match[found]

    def scalar(values: NDArray[np.float64]) -> NDArray[np.float64]:
        filled = np.zeros(len(selected))
        filled[found] = values[matched]
        return filled

    counts = np.zeros(len(selected), np.int64)
    counts[found] = gen_jets.counts[matched]
    starts = (np.cumsum(gen_jets.counts) - gen_jets.counts)[matched]
    owner = np.repeat(np.arange(len(selected)), counts)
    particles = collisions.generated.stable.take(gen_jets.constituents[ranges(starts, counts[found])])
    particles = particles.take(np.lexsort((-particles.pt, owner)))
    delta_eta, delta_phi = _relative(collisions, selected.row[owner], particles.eta, particles.phi)
    return {
        "jetGenMatch": found,
        "genJetPt": scalar(gen_jets.pt),
        "genJetEta": scalar(gen_jets.eta),
        "genJetPhi": scalar(gen_jets.phi),
        "genJetMass": scalar(gen_jets.mass),
        GEN_PARTICLES: counts,
        "genJetPF_pT": particles.pt,
        "genJetPF_mass": particles.mass,
        "genJetPF_dR": np.hypot(delta_eta, delta_phi),
        "genJetPF_dTheta": np.arctan2(delta_phi, delta_eta),
        "genJetPF_id": particles.pdg,
    }


def _events(collisions: Collisions, selected: SelectedJets, identity: Identity) -> Columns:
    event = collisions.jets.event[selected.row]
    generated, overlay, density = collisions.generated, collisions.overlay, collisions.densities
    return {
        "run": np.full(len(event), identity.run),
        "lumi": np.full(len(event), identity.lumi),
        "event": identity.events_before + 1 + event.astype(np.int64),
        "eventJetMult": selected.multiplicity,
        "jetPtOrder": selected.rank,
        "dPhiJetsLO": selected.delta_phi,
        "dEtaJetsLO": selected.delta_eta,
        "alpha": selected.alpha,
        "pthat": generated.pthat[event],
        "eventWeight": generated.weight[event],
        "PV_npvsGood": collisions.vertices[event],
        "Pileup_nPU": overlay.count[event],
        "Pileup_nTrueInt": overlay.mean[event],
        "rhoAll": density.all[event],
        "rhoCentral": density.central[event],
        "rhoCentralNeutral": density.central_neutral[event],
        "rhoCentralChargedPileUp": density.central_charged_pileup[event],
    }


def _relative(
    collisions: Collisions, jet: NDArray[np.int64], eta: NDArray[np.float32], phi: NDArray[np.float32]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Pseudorapidity and azimuth relative to the axes of jets."""
    jets = collisions.jets
    return eta - jets.eta[jet], wrap(phi - jets.phi[jet])
