"""Which jets are kept, and why the others are not: every rejected jet is counted under the first cut that rejects it.

Belongs here: the cuts on one chunk of jets. Does not belong here: duplicates, which only all files together show
(`index.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.jets.features import Columns, FeatureSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

# In the order in which they are applied.
CUTS = ("no_gen_match", "low_gen_pt", "outside_gen_eta", "no_constituents", "not_finite")

# genJet* are read only where jetGenMatch is 1: elsewhere they are left over from another jet.
SELECTION_BRANCHES = ("jetGenMatch", "genJetPt", "genJetEta", "jetPt")


@dataclass(frozen=True)
class Selection:
    """The kinematic cuts at particle level (paper, Section 3.1). min_gen_pt in GeV."""

    min_gen_pt: float = 20.0
    max_abs_gen_eta: float = 2.5


@dataclass(frozen=True)
class Cutflow:
    """Jets before the cuts, and how many each cut rejected, in the order of `CUTS`."""

    jets: int
    rejected: dict[str, int]

    @property
    def kept(self) -> int:
        """Jets that pass every cut."""
        return self.jets - sum(self.rejected.values())

    def __add__(self, other: Cutflow) -> Cutflow:
        rejected = {cut: self.rejected[cut] + other.rejected[cut] for cut in CUTS}
        return Cutflow(self.jets + other.jets, rejected)


EMPTY_CUTFLOW = Cutflow(0, dict.fromkeys(CUTS, 0))


def select_particles(columns: Columns, features: FeatureSet) -> Columns:
    """The particles a feature set sees: its members by falling pT, or the first candidates in file order."""
    counts = np.diff(columns.offsets)
    jet = np.repeat(np.arange(len(columns)), counts)
    order = np.arange(len(jet))
    if features.members_only:
        order = order[columns.particles["PF_fromAK4Jet"] == 1]
        # Sorted by jet, then by falling pT; file order decides between equals.
        order = order[np.lexsort((order, -columns.particles["PF_pT"][order], jet[order]))]
    if features.max_particles is not None:
        kept = jet[order]
        first = np.searchsorted(kept, np.arange(len(columns)))
        order = order[np.arange(len(order)) - first[kept] < features.max_particles]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(jet[order], minlength=len(columns)))]).astype(np.int64)
    return Columns(columns.scalars, {name: values[order] for name, values in columns.particles.items()}, offsets)


def select_jets(columns: Columns, finite: NDArray[np.bool_], selection: Selection) -> tuple[NDArray[np.bool_], Cutflow]:
    """Mask of the kept jets (jets,) and the cut flow; `finite` says where all features and the target are finite."""
    scalars = columns.scalars
    passes = {
        "no_gen_match": scalars["jetGenMatch"] == 1,
        # Written so that NaN passes here and is counted as what it is, not finite.
        "low_gen_pt": ~(scalars["genJetPt"] <= selection.min_gen_pt),
        "outside_gen_eta": ~(np.abs(scalars["genJetEta"]) >= selection.max_abs_gen_eta),
        "no_constituents": np.diff(columns.offsets) > 0,
        "not_finite": finite,
    }
    kept = np.ones(len(columns), np.bool_)
    rejected = {}
    for cut in CUTS:
        rejected[cut] = int(np.count_nonzero(kept & ~passes[cut]))
        kept &= passes[cut]
    return kept, Cutflow(len(columns), rejected)
