"""A split as the evaluation sees it: the table of `synthetic.py` with packed features of the set `paper`."""

from __future__ import annotations

import numpy as np
import polars as pl

from jec_assets.jets.dataset import SplitJets
from jec_assets.jets.features import PAPER
from jec_assets.jets.packed import PackedJets
from jec_assets.jets.splits import Split
from jec_assets_tests.evaluation.synthetic import calibrated_table


def split_jets(table: pl.DataFrame | None = None, seed: int = 1) -> SplitJets:
    """The table's jets, as many particles each as it says; the last jet feature is a whole number, multiplicity."""
    table = calibrated_table(400) if table is None else table
    random = np.random.default_rng(seed)
    counts = table["constituents"].to_numpy().astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    particles = random.normal(size=(int(offsets[-1]), len(PAPER.particle_features))).astype(np.float32)
    jets = random.normal(size=(len(table), len(PAPER.jet_features))).astype(np.float32)
    jets[:, -1] = counts
    split = Split("test", "digest", len(table), len(table) // 2, len(table), "key", PAPER.name)
    return SplitJets(split, PackedJets(particles, offsets, jets), table)
