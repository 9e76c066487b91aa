"""Dataset report: how many jets there are, of which kind, and where (Figures 1 and 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from jec_assets.evaluation.dataset import (
    COUNTED_INTERVALS,
    counts,
    gen_kinematics_histogram,
    target_histogram,
    target_summary,
)
from jec_assets.plots.dataset import gen_kinematics, target_distribution
from jec_assets.reports.report import JsonValue, Report, ReportFigure, Table, nested
from jec_assets.reports.text import count_text, interval_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jec_assets.evaluation.dataset import TargetSummary

INTERVAL_TEXTS = {interval.name: interval_text(interval) for interval in COUNTED_INTERVALS}
COLUMNS = ("genJetPt", "genJetEta", "flavor", "target")


def dataset_report(splits: Mapping[str, pl.DataFrame]) -> Report:
    """Describe the jets of all splits, by the splits' names; columns genJetPt (GeV), genJetEta, flavor and target."""
    jets = pl.concat(table.select(COLUMNS) for table in splits.values())
    counted = counts(splits)
    summary = target_summary(jets)
    sizes = {name: len(table) for name, table in splits.items()}
    return Report(
        "dataset",
        "Dataset",
        f"{len(jets):,} jets: " + ", ".join(f"{size:,} {name}" for name, size in sizes.items()) + ".",
        (
            _table("Jets per region and interval of pT,gen", counted, ("region", "interval")),
            _table("Jets per flavor", counted, ("flavor",)),
        ),
        _figures(jets, summary),
        {"splits": sizes, "dataset": _numbers(counted, summary)},
    )


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
