"""Complexity report: size of each network beside its loss (Table 3)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from jec_assets.evaluation.complexity import PUBLISHED_PARTICLES
from jec_assets.reports import published
from jec_assets.reports.report import NOTHING, Report, Table
from jec_assets.reports.text import count_text, title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jec_assets.evaluation.complexity import Complexity


def complexity_report(networks: Sequence[Complexity]) -> Report:
    """Compare the sizes of the chosen networks."""
    return Report(
        "complexity",
        "Complexity",
        " ".join(
            f"{title(each.family)} has {each.parameters:,} parameters and takes {each.macs:,} MACs a jet."
            for each in networks
        ),
        (_table(networks),),
        (),
        {"complexity": {each.family: asdict(each) for each in networks}},
    )


def _table(networks: Sequence[Complexity]) -> Table:
    return Table(
        "Size and loss",
        ("Network", "Loss", "Parameters", "MACs", "Published loss", "Published parameters", "Published MACs"),
        tuple(
            (
                title(each.family),
                f"{each.loss:.5f}",
                count_text(each.parameters),
                count_text(each.macs),
                f"{published.LOSS[each.family]:.5f}" if each.family in published.LOSS else NOTHING,
                published.PARAMETERS.get(each.family, NOTHING),
                published.MACS.get(each.family, NOTHING),
            )
            for each in networks
        ),
        (
            f"MACs: multiply-accumulates for a jet of {PUBLISHED_PARTICLES} particles, biases and activations counted, "
            "as in the published study; what runs computes real particles only.",
            published.NOTE,
        ),
    )
