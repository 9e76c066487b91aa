"""Jets whose calibration is known: medians and quantiles given what is reconstructed, and ways to spoil them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from jec_assets.evaluation.calibrated_jets import CalibratedJets
from jec_assets_tests.evaluation.synthetic import calibrated_table

SIGMA = 0.1


def perfect_regression(jets: int = 40_000, seed: int = 3) -> CalibratedJets:
    """One jet an event. ln(pT_gen / jetPt) is Gaussian with the width SIGMA about a mean that depends on jetPt and eta.

    That mean is what the family `pfn` predicts, with the 16 % and 84 % quantiles. jetPt is flat in the logarithm.
    """
    random = np.random.default_rng(seed)
    jet_pt, eta = np.exp(random.uniform(np.log(30), np.log(3000), jets)), random.uniform(-2.5, 2.5, jets)
    median = 0.05 * np.abs(eta) - 0.02 * np.log(jet_pt / 30)
    target = random.normal(median, SIGMA)
    table = calibrated_table(jets, seed).drop("log_factor_particle_net")
    return CalibratedJets.from_table(
        table.with_columns(
            jetPt=jet_pt,
            jetEta=eta,
            genJetEta=eta,
            genJetPt=jet_pt * np.exp(target),
            target=target,
            event_hash=pl.int_range(jets).cast(pl.UInt64),
            log_factor_pfn=median,
            quantile_16_pfn=median - 0.99446 * SIGMA,
            quantile_84_pfn=median + 0.99446 * SIGMA,
        )
    )


def scaled(jets: CalibratedJets, factor: float | np.ndarray) -> CalibratedJets:
    """The jets with everything that the PFN predicts larger by a factor, one for all or (jets,)."""
    shift = np.log(factor)
    return replace(
        jets,
        log_factors={"standard": jets.log_factors["standard"], "pfn": jets.log_factors["pfn"] + shift},
        quantiles={"pfn": jets.quantiles["pfn"] + shift},
    )


def some(jets: CalibratedJets, rows: np.ndarray | slice) -> CalibratedJets:
    """Some of the jets."""
    columns = {
        name: {key: column[..., rows] for key, column in value.items()} if isinstance(value, dict) else value[rows]
        for name, value in vars(jets).items()
        if value is not None
    }
    return CalibratedJets(**columns)
