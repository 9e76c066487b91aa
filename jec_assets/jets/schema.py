"""The JetNTuple schema, declared once: every branch's name, type, shape, unit and meaning.

Belongs here: what a file may hold and what its columns are called. Does not belong here: reading (`reading.py`) and
what is computed from branches (`features.py`). The simulation writes exactly this schema, so one reader serves both.

Source: CMS Open Data record 12100 (DOI 10.7483/OPENDATA.CMS.RY2V.T797), JetNtupleProducerTool's JetAnalyzer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TREE = "AK4jets/jetTree"

DType = Literal["float32", "int32", "uint64"]


@dataclass(frozen=True)
class Branch:
    """One branch. `counter` names the branch that counts its entries, None for a scalar; `aliases`: other spellings."""

    name: str
    dtype: DType
    unit: str
    meaning: str
    counter: str | None = None
    aliases: tuple[str, ...] = ()


def _scalars(dtype: DType, unit: str, meanings: dict[str, str]) -> tuple[Branch, ...]:
    return tuple(Branch(name, dtype, unit, meaning) for name, meaning in meanings.items())


def _particles(dtype: DType, unit: str, meanings: dict[str, str]) -> tuple[Branch, ...]:
    return tuple(Branch(name, dtype, unit, meaning, counter="nPF") for name, meaning in meanings.items())


def _gen_particles(dtype: DType, unit: str, meanings: dict[str, str]) -> tuple[Branch, ...]:
    # The record's text calls them genPF_*, the files genJetPF_*: both are read.
    return tuple(
        Branch(f"genJetPF_{name}", dtype, unit, meaning, counter="nGenJetPF", aliases=(f"genPF_{name}",))
        for name, meaning in meanings.items()
    )


JET = (
    *_scalars(
        "float32",
        "GeV",
        {
            "jetPt": "pT after the standard correction (L1, L2, L3)",
            "jetMass": "mass after the standard correction",
            "jetRawPt": "uncorrected pT",
            "jetRawMass": "uncorrected mass",
        },
    ),
    *_scalars(
        "float32",
        "1",
        {
            "jetEta": "pseudorapidity of the jet axis",
            "jetGirth": "sum over members of pT_i sqrt(dY^2 + dPhi^2) / jetPt",
            "jetArea": "catchment area",
            "jetQGl": "quark-gluon likelihood",
            "QG_ptD": "sqrt(sum pT^2) / sum pT of the members",
            "QG_axis2": "minor axis (sigma_2)",
        },
    ),
    *_scalars("float32", "rad", {"jetPhi": "azimuth of the jet axis"}),
    *_scalars(
        "int32",
        "1",
        {
            "jetLooseID": "passes the loose jet identification",
            "jetTightID": "passes the tight jet identification",
            "jetGenMatch": "1 where a particle-level jet is matched",
            "QG_mult": "multiplicity (neutral pT > 1 GeV, charged from the primary vertex)",
            "partonFlav": "ghost-clustered parton flavor: +-1..5, 21, 0",
            "hadronFlav": "hadron flavor: 5, 4 or 0",
            "physFlav": "PDG id of the matched parton, 0 if none",
            "isPhysUDS": "physFlav is u, d or s",
            "isPhysG": "physFlav is a gluon",
            "isPhysOther": "physFlav is neither",
            "isPartonUDS": "partonFlav is u, d or s",
            "isPartonG": "partonFlav is a gluon",
            "isPartonOther": "partonFlav is neither",
            "jetChargedHadronMult": "charged hadrons",
            "jetNeutralHadronMult": "neutral hadrons",
            "jetChargedMult": "charged members",
            "jetNeutralMult": "neutral members",
            "jetMult": "members",
        },
    ),
)

PARTICLES = (
    Branch("nPF", "int32", "1", "particle-flow candidates saved"),
    *_particles("float32", "GeV", {"PF_pT": "transverse momentum", "PF_mass": "mass"}),
    *_particles(
        "float32",
        "1",
        {
            "PF_dR": "sqrt(dEta^2 + dPhi^2) to the jet axis",
            "PF_dEta": "pseudorapidity relative to the jet axis",
        },
    ),
    *_particles(
        "float32",
        "rad",
        {
            "PF_dTheta": "atan2(dPhi, dEta), an angle in the eta-phi plane",
            "PF_dPhi": "azimuth relative to the jet axis",
        },
    ),
    *_particles(
        "int32",
        "1",
        {
            "PF_id": "PDG id of the hypothesis: +-211, 130, 22, +-11, +-13; 1, 2 in the forward calorimeter",
            "PF_fromPV": "association to the primary vertex, 0 (none) to 3 (used in its fit)",
            "PF_fromAK4Jet": "1 for the jet's own constituents",
        },
    ),
)

# genJet* and genJetPF_* are left over from the previous jet where jetGenMatch is 0: never read them there.
GEN_JET = (
    *_scalars("float32", "GeV", {"genJetPt": "pT of the matched particle-level jet", "genJetMass": "its mass"}),
    *_scalars("float32", "1", {"genJetEta": "its pseudorapidity"}),
    *_scalars("float32", "rad", {"genJetPhi": "its azimuth"}),
    Branch("nGenJetPF", "int32", "1", "particles of the matched particle-level jet"),
    *_gen_particles("float32", "GeV", {"pT": "transverse momentum", "mass": "mass"}),
    *_gen_particles("float32", "1", {"dR": "distance to the jet axis"}),
    *_gen_particles("float32", "rad", {"dTheta": "atan2(dPhi, dEta)"}),
    *_gen_particles("int32", "1", {"id": "PDG id"}),
)

EVENT = (
    *_scalars(
        "int32",
        "1",
        {
            "eventJetMult": "jets in the event",
            "jetPtOrder": "0-based rank of the jet in the event, by pT",
            "run": "run number",
            "lumi": "luminosity section",
            "PV_npvsGood": "good primary vertices",
            "Pileup_nPU": "pileup interactions",
        },
    ),
    Branch("event", "uint64", "1", "event number"),
    *_scalars("float32", "rad", {"dPhiJetsLO": "azimuth between the two leading jets"}),
    *_scalars(
        "float32",
        "1",
        {
            "dEtaJetsLO": "pseudorapidity between the two leading jets",
            "alpha": "pT of the third jet over the mean of the leading two",
            "eventWeight": "weight that turns the flat pTHat spectrum into a physical one",
            "Pileup_nTrueInt": "mean number of pileup interactions",
        },
    ),
    *_scalars(
        "float32",
        "GeV",
        {
            "pthat": "scale of the hard scatter",
            "rhoAll": "median pT density per unit area",
            "rhoCentral": "the same, central",
            "rhoCentralNeutral": "the same, central neutral",
            "rhoCentralChargedPileUp": "the same, central charged from pileup",
        },
    ),
)

BRANCHES: tuple[Branch, ...] = (*JET, *PARTICLES, *GEN_JET, *EVENT)
BY_NAME: dict[str, Branch] = {branch.name: branch for branch in BRANCHES}

# An event's identity, and a jet's within it.
EVENT_ID = ("run", "lumi", "event")
JET_ID = (*EVENT_ID, "jetPtOrder")
