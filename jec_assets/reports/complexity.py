"""Complexity report: size of each network beside its loss (Table 3), and what it costs to run.

Belongs here: counts and times in tables. Does not belong here: counting and timing (`jec_assets.evaluation.networks`).
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from jec_assets.evaluation.networks.complexity import PUBLISHED_PARTICLES
from jec_assets.reports import published
from jec_assets.reports.report import NOTHING, JsonValue, Report, ReportError, Table
from jec_assets.reports.text import count_text, title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jec_assets.evaluation.networks.complexity import Complexity

MEGABYTE = 1e6
MEASURED_DIGITS = 2  # more would not come out again


def complexity_report(networks: Sequence[Complexity]) -> Report:
    """Compare the sizes and costs of the chosen networks, at least one; ReportError without."""
    if not networks:
        raise ReportError("there is no network to describe: materialize a family's best_model")
    return Report(
        "complexity",
        "Complexity",
        " ".join(
            f"{title(each.family)} has {each.parameters:,} parameters and takes {each.macs:,} MACs a jet of "
            f"{PUBLISHED_PARTICLES} particles; it predicts {count_text(_measured(each))} jets per second."
            for each in networks
        ),
        (_sizes(networks), _macs(networks), _costs(networks)),
        (),
        {"complexity": {each.family: _numbers(each) for each in networks}},
    )


def _sizes(networks: Sequence[Complexity]) -> Table:
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
            "as in the published study.",
            published.NOTE,
        ),
    ).without_empty_columns()


def _macs(networks: Sequence[Complexity]) -> Table:
    counted = networks[0].footprint
    return Table(
        "Multiply-accumulates per jet",
        ("Network", f"{PUBLISHED_PARTICLES} particles", "test jets' own particles", "as executed"),
        tuple(
            (
                title(each.family),
                count_text(each.macs),
                count_text(round(each.mean_macs)),
                count_text(round(each.footprint.macs)),
            )
            for each in networks
        ),
        (
            "The first two in the published convention, the second for the particles that the test jets have, on "
            f"average. As executed: products of matrices, counted while {counted.jets:,} test jets of "
            f"{counted.mean_particles:.1f} particles on average were predicted: no biases and activations, no work "
            "that the computation spares, but the distances behind ParticleNet's graphs.",
        ),
    )


def _costs(networks: Sequence[Complexity]) -> Table:
    counted, timed = networks[0].footprint, networks[0].throughput
    return Table(
        "Throughput and memory",
        ("Network", "Jets per second", "Weights [MB]", "Activations [MB]"),
        tuple(
            (
                title(each.family),
                count_text(_measured(each)),
                f"{each.footprint.weights_bytes / MEGABYTE:.2f}",
                f"{each.footprint.activation_bytes / MEGABYTE:.1f}",
            )
            for each in networks
        ),
        (
            f"Throughput: in evaluation mode, without a server, on {timed.device}, torch threads: {timed.threads}; "
            f"{timed.jets:,} test jets in batches of {timed.batch_size:,}, the median of {timed.rounds} rounds in "
            "which networks took turns; two digits. It is measured once for the same networks, jets and machine. "
            f"Activations: the most that tensors held at a time, beyond weights and inputs, with {counted.jets:,} jets "
            "in a batch, on a CPU.",
        ),
    )


def _measured(network: Complexity) -> int:
    return round(float(f"{network.throughput.jets_per_second:.{MEASURED_DIGITS}g}"))


def _numbers(network: Complexity) -> dict[str, JsonValue]:
    return {
        "family": network.family,
        "loss": network.loss,
        "parameters": network.parameters,
        "macs": network.macs,
        "mean_macs": network.mean_macs,
        "executed": asdict(network.footprint),
        "measured": asdict(network.throughput) | {"jets_per_second": _measured(network)},
    }
