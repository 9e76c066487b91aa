"""Dataset report: how many jets there are, of which kind, and where (Figures 1 and 2), and whether splits are alike.

Belongs here: jets before any network. Does not belong here: what corrections make of them.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import polars as pl

from jec_assets.evaluation.jets.dataset import (
    COUNTED_INTERVALS,
    FLAVOR_NAMES,
    counts,
    gen_kinematics_histogram,
    outside_training_range,
    target_histogram,
    target_summary,
)
from jec_assets.evaluation.jets.distributions import feature_distributions, pileup_distributions
from jec_assets.evaluation.jets.drift import FALSE_ALARMS, drift
from jec_assets.plots.dataset import gen_kinematics, target_distribution
from jec_assets.plots.distributions import in_figures, small_multiples
from jec_assets.reports.report import NOTHING, JsonValue, Report, ReportFigure, Table, nested
from jec_assets.reports.text import count_text, interval_text, listing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jec_assets.evaluation.jets.dataset import OutsideRange, TargetSummary
    from jec_assets.evaluation.jets.distributions import Distribution, FeatureDistributions, Sample
    from jec_assets.evaluation.jets.drift import ColumnDrift
    from jec_assets.jets.dataset import SplitJets

INTERVAL_TEXTS = {interval.name: interval_text(interval) for interval in COUNTED_INTERVALS}
COLUMNS = ("genJetPt", "genJetEta", "flavor", "target")


def dataset_report(splits: Mapping[str, pl.DataFrame], test: SplitJets, sample: Sample) -> Report:
    """Describe the jets of all splits, by the splits' names; the first is what networks are trained on.

    Tables have the columns of `jec_assets.jets.dataset.TABLE_COLUMNS`; columns `jet_<feature>` are compared between
    splits too, where there are any. Features per flavor are those of a sample of the test jets, whose seed also draws
    the jets that splits are compared by.
    """
    jets = pl.concat(table.select(COLUMNS) for table in splits.values())
    counted = counts(splits)
    summary = target_summary(jets)
    sizes = {name: len(table) for name, table in splits.items()}
    drifts = drift(splits, sample.seed)
    training = next(iter(splits.values()))
    others = islice(splits.items(), 1, None)
    outside = {name: outside_training_range(training, table) for name, table in others}
    features = feature_distributions(test, sample)
    return Report(
        "dataset",
        "Dataset",
        f"{len(jets):,} jets: {', '.join(f'{size:,} {name}' for name, size in sizes.items())}. {_alike(drifts)}",
        (
            _table("Jets per region and interval of pT,gen", counted, ("region", "interval")),
            _table("Jets per flavor", counted, ("flavor",)),
            _flavors(counted),
            _outside(outside),
            _drift(drifts, list(outside)),
        ),
        (*_figures(jets, summary), *_distributions(splits, features)),
        {"splits": sizes, "dataset": _numbers(counted, summary) | _checks(drifts, outside)},
    )


def _alike(drifts: Sequence[ColumnDrift]) -> str:
    if all(each.p_value is None for each in drifts):
        return "There is nothing to compare the training jets with."
    flagged = [f"{each.column} of {each.split}" for each in drifts if each.flagged]
    if not flagged:
        return f"No column differs between splits beyond chance ({len(drifts)} comparisons)."
    return f"Beyond chance, these differ from the training jets: {listing(flagged)}."


def _table(name: str, counted: pl.DataFrame, groups: tuple[str, ...]) -> Table:
    titles = {"region": "Region", "interval": "pT,gen [GeV]", "flavor": "Flavor"}
    named = counted.with_columns(pl.col("interval").replace_strict(INTERVAL_TEXTS))
    wide = named.group_by([*groups, "split"], maintain_order=True).agg(pl.col("jets").sum())
    wide = wide.pivot("split", index=list(groups), values="jets")
    splits = [column for column in wide.columns if column not in groups]
    return Table(
        name,
        (*(titles[group] for group in groups), *splits, "all"),
        tuple(
            (
                *row[: len(groups)],
                *(count_text(jets) for jets in row[len(groups) :]),
                count_text(sum(row[len(groups) :])),
            )
            for row in wide.rows()
        ),
        labels=len(groups),
    )


def _flavors(counted: pl.DataFrame) -> Table:
    """A row per split, region and interval, a column per flavor."""
    groups = ("split", "region", "interval")
    wide = counted.with_columns(pl.col("interval").replace_strict(INTERVAL_TEXTS))
    wide = wide.pivot("flavor", index=list(groups), values="jets").select(*groups, *FLAVOR_NAMES.values())
    return Table(
        "Jets per split, region, interval of pT,gen and flavor",
        ("Split", "Region", "pT,gen [GeV]", *FLAVOR_NAMES.values()),
        tuple((*row[: len(groups)], *map(count_text, row[len(groups) :])) for row in wide.rows()),
        labels=len(groups),
    )


def _outside(outside: Mapping[str, OutsideRange | None]) -> Table:
    return Table(
        "Jets outside the range of the training jets",
        ("Split", "pT", "|η|", "constituents", "any", "of jets"),
        tuple(
            (split, *map(count_text, (*each.by_criterion.values(), each.any, each.jets)))
            if each
            else (split, *["no training jets"] * 4, NOTHING)
            for split, each in outside.items()
        ),
        ("Beyond the smallest or largest value among the training jets: there a network's correction is a guess.",),
    )


def _drift(drifts: Sequence[ColumnDrift], splits: Sequence[str]) -> Table:
    found = {(each.column, each.split): each for each in drifts}
    columns = dict.fromkeys(each.column for each in drifts)
    return Table(
        "Splits compared with the training jets",
        ("Split", "Column", "KS distance", "p", "p, adjusted", "Differs"),
        tuple((split, column, *_comparison(found[column, split])) for split in splits for column in columns),
        (
            "Kolmogorov-Smirnov distance of the distribution functions, of one jet of each event, so that jets "
            "are independent. p is adjusted for the number of comparisons (Benjamini, Yekutieli); a column differs "
            f"where that is below {FALSE_ALARMS:g}.",
        ),
        labels=2,
    )


def _comparison(each: ColumnDrift) -> tuple[str, str, str, str]:
    if each.p_value is None or each.adjusted is None:
        return each.statistic.note, NOTHING, NOTHING, NOTHING
    return f"{each.statistic.value:.4f}", f"{each.p_value:.2g}", f"{each.adjusted:.2g}", "yes" if each.flagged else "no"


def _figures(jets: pl.DataFrame, summary: TargetSummary) -> tuple[ReportFigure, ReportFigure]:
    return (
        ReportFigure.of(
            gen_kinematics(gen_kinematics_histogram(jets)),
            "gen_kinematics",
            "Jets by pT and |η| of the particle-level jet",
            f"Heat map of {len(jets):,} jets, logarithmic in pT and in color.",
        ),
        ReportFigure.of(
            target_distribution(target_histogram(jets), summary),
            "target",
            "Regression target",
            f"Histogram of log(pT,gen / pT,reco): {_target_text(summary)}",
        ),
    )


def _target_text(summary: TargetSummary) -> str:
    if summary.median is None:
        return "no jets"
    return (
        f"median {summary.median:.4f}, quartiles {summary.lower_quartile:.4f} and {summary.upper_quartile:.4f}, "
        f"{summary.without_loss} jets at 1 or more"
    )


def _distributions(splits: Mapping[str, pl.DataFrame], features: FeatureDistributions) -> tuple[ReportFigure, ...]:
    pileup = ReportFigure.of(
        small_multiples(pileup_distributions(splits)),
        "pileup",
        "Pileup and ρ per split",
        f"Share of jets against pileup interactions, good primary vertices and ρ; a line for {listing(splits)} each.",
    )
    sampled = f"{features.jets:,} test jets"
    return (
        pileup,
        *_feature_figures("jet_features", f"Jet features per flavor, {sampled}", features.of_jets),
        *_feature_figures("particle_features", f"Particle features per flavor, {sampled}", features.of_particles),
    )


def _feature_figures(name: str, title: str, features: Sequence[Distribution]) -> list[ReportFigure]:
    parts = in_figures(features)
    return [
        ReportFigure.of(
            small_multiples(part),
            f"{name}_{number}",
            f"{title} ({number} of {len(parts)})" if len(parts) > 1 else title,
            f"Share of entries against {listing(each.name for each in part)}, a panel each; a line for each flavor.",
        )
        for number, part in enumerate(parts, 1)
    ]


def _numbers(counted: pl.DataFrame, summary: TargetSummary) -> dict[str, JsonValue]:
    return {
        "jets": nested((row[:-1], row[-1]) for row in counted.rows()),
        "target": {
            "median": summary.median,
            "lower_quartile": summary.lower_quartile,
            "upper_quartile": summary.upper_quartile,
            "without_loss": summary.without_loss,
        },
    }


def _checks(drifts: Sequence[ColumnDrift], outside: Mapping[str, OutsideRange | None]) -> dict[str, JsonValue]:
    return {
        "drift": nested(
            (
                (each.split, each.column),
                {
                    "distance": each.statistic.as_json(),
                    "p_value": each.p_value,
                    "adjusted_p_value": each.adjusted,
                    "differs": each.flagged,
                },
            )
            for each in drifts
        ),
        "outside_training_range": {
            split: {**each.by_criterion, "any": each.any, "jets": each.jets} if each else None
            for split, each in outside.items()
        },
    }
