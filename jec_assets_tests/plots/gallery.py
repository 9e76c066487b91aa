"""Every figure once, of fixed synthetic numbers: what the stored pictures show.

Belongs here: a line for each figure, `<module>.<function>` and, where a figure has several looks, a third word. Does
not belong here: the comparison (`pictures.py`).

For another figure, add its line and store its picture: `pytest jec_assets_tests/plots --update-pictures`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from numpy.typing import NDArray

from jec_assets.evaluation.baselines import CONSTANT, KINEMATICS
from jec_assets.evaluation.bins import FLAVORS, GEN_PT_INTERVALS, INCLUSIVE, REGIONS
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.evaluation.calibrated_jets import STANDARD, CalibratedJets
from jec_assets.evaluation.jets.dataset import gen_kinematics_histogram, target_histogram, target_summary
from jec_assets.evaluation.jets.distributions import Sample, feature_distributions
from jec_assets.evaluation.loss import compare_losses
from jec_assets.evaluation.number import Number
from jec_assets.evaluation.response.generator import generator_shifts
from jec_assets.evaluation.response.jet_resolution import coverages, pulls, resolution_classes
from jec_assets.evaluation.response.resolution import BINS, resolution
from jec_assets.evaluation.response.response_curves import GEN_PT_EDGES, median_responses
from jec_assets.evaluation.response.response_curves import response_maps as maps_of
from jec_assets.evaluation.response.standard_correction import CURVES
from jec_assets.evaluation.response.tails import tails
from jec_assets.plots.closure import closure_panels
from jec_assets.plots.correction import closure_curves, offset_slopes, response_factors
from jec_assets.plots.dataset import gen_kinematics, target_distribution
from jec_assets.plots.distributions import small_multiples
from jec_assets.plots.flavor import flavor_response
from jec_assets.plots.flavor_panels import FlavorAxes, flavor_panels
from jec_assets.plots.generator import generator_shift
from jec_assets.plots.jet_resolution import coverage, predicted_against_measured, pull_distribution
from jec_assets.plots.latency import ROUND_TRIP, latency
from jec_assets.plots.load import load
from jec_assets.plots.loss import loss_bars
from jec_assets.plots.parallel_coordinates import parallel_coordinates
from jec_assets.plots.resolution import flavor_resolution, resolution_curves
from jec_assets.plots.response import response_curves, response_maps, response_per_flavor
from jec_assets.plots.search import best_so_far, training_history, trial_losses
from jec_assets.plots.tails import tail_shares
from jec_assets_tests.evaluation.synthetic import calibrated_table
from jec_assets_tests.evaluation.synthetic_split import split_jets
from jec_assets_tests.plots import (
    test_closure,
    test_correction,
    test_flavor,
    test_jet_resolution,
    test_parallel_coordinates,
    test_resolution,
    test_search,
)
from jec_assets_tests.plots.latencies import latency_table, load_table

BARREL, ENDCAP = REGIONS


def two_flavors() -> dict[str, list[Number]]:
    """Two corrections; there are no jets of the second flavor."""
    none = Number.missing(0, "no jets")
    return {STANDARD: [Number(1.5, 0.2, 50), none], "pfn": [Number(1.9, 0.1, 50), none]}


@cache
def table(seed: int = 1) -> pl.DataFrame:
    """Jets calibrated by four families; there is none of b above 300 GeV."""
    factor, hidden = pl.col("log_factor_particle_net"), (pl.col("flavor") == FLAVORS["b"]) & (pl.col("genJetPt") >= 300)
    more = {"log_factor_particle_transformer": 1.1 * factor, "log_factor_pfn_committee": 0.9 * factor}
    return calibrated_table(4000, seed).filter(~hidden).with_columns(**more)


@cache
def jets(seed: int = 1) -> CalibratedJets:
    """The same as arrays."""
    return CalibratedJets.from_table(table(seed))


@cache
def draws() -> NDArray[np.uint8]:
    """Resamples of `jets()`."""
    return Resampling(10).draws(jets().event)


def losses() -> Figure:
    """Of the baselines and the families."""
    factors = {CONSTANT: np.full(len(jets()), 0.01), KINEMATICS: 0.05 * jets().target, **jets().log_factors}
    return loss_bars(compare_losses(jets().target, factors, (STANDARD,), draws()))


FIGURES: dict[str, Callable[[], Figure]] = {
    "flavor_panels.flavor_panels": lambda: flavor_panels(
        FlavorAxes(("uds", "g"), "A number per flavor", 2.0), BARREL, {INCLUSIVE: two_flavors()}
    ),
    "closure.closure_panels": lambda: closure_panels(test_closure.measured(4000), "reconstructed"),
    "closure.closure_panels.generated": lambda: closure_panels(test_closure.measured(4000), "generated"),
    "correction.closure_curves": lambda: closure_curves(test_correction.measured(6000, CURVES[0]), CURVES[0]),
    "correction.offset_slopes": lambda: offset_slopes(test_correction.CORRECTION),
    "correction.response_factors": lambda: response_factors(test_correction.CORRECTION),
    "dataset.gen_kinematics": lambda: gen_kinematics(gen_kinematics_histogram(table())),
    "dataset.target_distribution": lambda: target_distribution(target_histogram(table()), target_summary(table())),
    "distributions.small_multiples": lambda: small_multiples(feature_distributions(split_jets(), Sample()).of_jets),
    "flavor.flavor_response": lambda: flavor_response(test_flavor.measured(3000), BARREL, [INCLUSIVE]),
    "flavor.flavor_response.intervals": lambda: flavor_response(test_flavor.measured(3000), ENDCAP, GEN_PT_INTERVALS),
    "generator.generator_shift": lambda: generator_shift(
        generator_shifts(jets(), jets(2), Resampling(10)), BARREL, [INCLUSIVE]
    ),
    "generator.generator_shift.intervals": lambda: generator_shift(
        generator_shifts(jets(), jets(2), Resampling(10)), ENDCAP, GEN_PT_INTERVALS
    ),
    "jet_resolution.coverage": lambda: coverage(coverages(test_jet_resolution.JETS, test_jet_resolution.DRAWS)),
    "jet_resolution.predicted_against_measured": lambda: predicted_against_measured(
        resolution_classes(test_jet_resolution.JETS, test_jet_resolution.DRAWS)
    ),
    "jet_resolution.pull_distribution": lambda: pull_distribution(
        pulls(test_jet_resolution.JETS, test_jet_resolution.DRAWS)
    ),
    "latency.latency": lambda: latency(latency_table(), ROUND_TRIP),
    "load.load": lambda: load(load_table(), "pfn"),
    "loss.loss_bars": losses,
    "parallel_coordinates.parallel_coordinates": lambda: parallel_coordinates(
        "pfn", test_parallel_coordinates.trials(20)
    ),
    "resolution.flavor_resolution": lambda: flavor_resolution(test_resolution.flavors_measured(20_000), ENDCAP),
    "resolution.resolution_curves": lambda: resolution_curves(resolution(jets(), draws(), BINS), BARREL),
    "response.response_curves": lambda: response_curves(median_responses(jets(), draws(), "gen_pt")),
    "response.response_maps": lambda: response_maps(maps_of(CalibratedJets.from_table(calibrated_table(60_000)))),
    "response.response_per_flavor": lambda: response_per_flavor(median_responses(jets(), draws(), "rho")),
    "search.best_so_far": lambda: best_so_far(test_search.TRIALS),
    "search.training_history": lambda: training_history("particle_net", test_search.TRIALS["particle_net"], chosen=0),
    "search.trial_losses": lambda: trial_losses(test_search.TRIALS, 0.078),
    "tails.tail_shares": lambda: tail_shares(tails(jets(), draws(), GEN_PT_EDGES), BARREL),
}
