"""Toy jets in the JetNTuple schema, for tests that need files but no physics: seconds, no PYTHIA.

A toy jet is a handful of charged hadrons, photons and neutral hadrons; neutral hadrons lose energy, so that a network
that sees particle types can learn the correction and one that sees only the jet's pT cannot.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from jec_assets.jets.schema import BRANCHES, TREE

Branches = dict[str, Any]


def toy_jets(events: int, seed: int, run: int = 1, outsiders: bool = False) -> Branches:
    """Branches of 2 * `events` jets, two an event, in random order of particles; `outsiders` adds non-members."""
    random = np.random.default_rng(seed)
    jets = 2 * events
    counts = random.integers(3, 40, jets)
    total = int(counts.sum())
    kind = random.choice([211, -211, 22, 130], total, p=[0.3, 0.3, 0.25, 0.15])
    gen_particle_pt = random.exponential(1.0, total) + 0.05
    scale = np.repeat(random.uniform(40, 400, jets), counts)
    share = gen_particle_pt / np.repeat(np.add.reduceat(gen_particle_pt, _starts(counts)), counts)
    response = np.where(kind == 130, random.normal(0.5, 0.05, total), 1.0)
    particle_pt = np.maximum(share * scale * response, 0.2)
    d_eta, d_phi = random.normal(0, 0.12, total), random.normal(0, 0.12, total)
    raw_pt = np.add.reduceat(particle_pt, _starts(counts))
    gen_pt = np.add.reduceat(share * scale, _starts(counts))
    member = random.random(total) > 0.3 if outsiders else np.ones(total, bool)
    member[_starts(counts)] = True
    eta = random.uniform(-2.4, 2.4, jets)
    branches: Branches = {branch.name: _filler(branch.dtype, counts, branch.counter) for branch in BRANCHES}
    branches |= {
        "jetPt": raw_pt * 1.09,
        "jetRawPt": raw_pt,
        "jetMass": 0.1 * raw_pt,
        "jetEta": eta,
        "jetPhi": (phi := random.uniform(-3.1, 3.1, jets)),
        "jetArea": random.normal(0.5, 0.02, jets),
        "jetGenMatch": np.ones(jets),
        "QG_ptD": random.uniform(0.2, 0.8, jets),
        "QG_axis2": random.uniform(0.0, 0.1, jets),
        "QG_mult": counts,
        "partonFlav": random.choice([1, -2, 3, 4, 5, 21, 0], jets, p=[0.15, 0.15, 0.1, 0.05, 0.05, 0.45, 0.05]),
        "genJetPt": gen_pt,
        "genJetEta": eta + random.normal(0, 0.01, jets),
        "genJetPhi": phi + random.uniform(-0.02, 0.02, jets),
        "PF_pT": _jagged(particle_pt, counts),
        "PF_dEta": _jagged(d_eta, counts),
        "PF_dPhi": _jagged(d_phi, counts),
        "PF_dR": _jagged(np.hypot(d_eta, d_phi), counts),
        "PF_dTheta": _jagged(np.arctan2(d_phi, d_eta), counts),
        "PF_mass": _jagged(np.where(np.abs(kind) == 211, 0.1396, 0.0), counts),
        "PF_id": _jagged(kind, counts),
        "PF_fromPV": _jagged(np.where(np.abs(kind) == 211, 3, 1), counts),
        "PF_fromAK4Jet": _jagged(member, counts),
        "run": np.full(jets, run),
        "lumi": np.full(jets, seed + 1),
        "event": np.repeat(np.arange(events), 2),
        "jetPtOrder": np.tile([0, 1], events),
        "rhoAll": random.normal(12, 3, jets),
        "Pileup_nPU": random.poisson(23, jets),
        "PV_npvsGood": random.poisson(18, jets),
        "eventWeight": random.uniform(0.1, 1.0, jets),
        "pthat": scale[_starts(counts)],
    }
    return branches


def toy_events(branches: Branches, nested: bool = False) -> ak.Array:
    """The jets of `toy_jets`, two an event, as NanoAOD with candidates; candidates stand in an order of their own."""
    counts = ak.to_numpy(ak.num(branches["PF_pT"]))
    owner = np.repeat(np.arange(len(counts)), counts)
    flat = {name: ak.to_numpy(ak.flatten(values)) for name, values in branches.items() if name.startswith("PF_")}
    random = np.random.default_rng(len(counts))
    order = np.lexsort((random.random(len(owner)), owner // 2))
    per_event = np.bincount(owner // 2)
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    first = np.concatenate([[0], np.cumsum(per_event)[:-1]])
    phi = branches["jetPhi"][owner] + flat["PF_dPhi"]
    candidates = {
        "PFCands_pt": flat["PF_pT"],
        "PFCands_eta": branches["jetEta"][owner] + flat["PF_dEta"],
        "PFCands_phi": np.arctan2(np.sin(phi), np.cos(phi)),
        "PFCands_mass": flat["PF_mass"],
        "PFCands_pdgId": flat["PF_id"],
        "PFCands_fromPV": flat["PF_fromPV"],
    }
    fields = {name: ak.unflatten(values[order], per_event) for name, values in candidates.items()}
    names = {"Jet_pt": "jetPt", "Jet_eta": "jetEta", "Jet_phi": "jetPhi", "Jet_mass": "jetMass", "Jet_area": "jetArea"}
    fields |= {name: ak.unflatten(branches[branch], 2) for name, branch in names.items()}
    fields["JetPFCands_jetIdx"] = ak.unflatten(owner % 2, per_event)
    fields["JetPFCands_pFCandsIdx"] = ak.unflatten(position - first[owner // 2], per_event)
    rho = branches["rhoAll"][::2]
    if not nested:
        return ak.Array({**fields, "Rho_fixedGridRhoFastjetAll": rho})
    collections = {name.partition("_")[0] for name in fields}
    return ak.Array(
        {
            **{
                each: ak.zip({name.partition("_")[2]: fields[name] for name in fields if name.startswith(f"{each}_")})
                for each in collections
            },
            "fixedGridRhoFastjetAll": rho,
        }
    )


def write_jet_file(path: Path, branches: Branches) -> Path:
    """Write branches as a JetNTuple file; branches that are left out of the dict are left out of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    declared = {branch.name: branch for branch in BRANCHES}
    counters = {branch.counter for branch in BRANCHES if branch.counter}
    directory, name = TREE.split("/")
    columns = {
        key: ak.values_astype(ak.Array(values), declared[key].dtype)
        for key, values in branches.items()
        if key not in counters
    }
    with uproot.recreate(path) as file:
        tree = file.mkdir(directory).mktree(
            name, {key: values.type.content for key, values in columns.items()}, counter_name=_counter_name
        )
        if len(columns["jetPt"]):
            tree.extend(columns)
    return path


def _counter_name(branch: str) -> str:
    return "nGenJetPF" if branch.startswith("genJetPF") else "nPF"


def _starts(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)[:-1]])


def _jagged(values: np.ndarray, counts: np.ndarray) -> ak.Array:
    return ak.unflatten(values, counts)


def _filler(dtype: str, counts: np.ndarray, counter: str | None) -> Any:
    if counter is None:
        return np.zeros(len(counts), dtype)
    if counter == "nGenJetPF":
        return _jagged(np.zeros(len(counts), dtype), np.ones(len(counts), int))
    return _jagged(np.zeros(int(counts.sum()), dtype), counts)
