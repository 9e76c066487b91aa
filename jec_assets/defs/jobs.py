"""The jobs: what runs together, and in which partitions.

Belongs here: selections of assets and their tags. `calibration` is for one machine: every asset in one run, the trials
as a range of partitions named by tags, so that `dagster job execute -j calibration` needs no further word.
`calibration_full` is the same with the families whose training takes long. `ingest`, `trials` and `publish` are its
parts, for a cluster: there a trial is a run of its own, and each of its families a step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from jec_assets.defs import jets
from jec_assets.defs.endpoint_check import answers_as_published
from jec_assets.defs.families import families_with_assets
from jec_assets.defs.kubernetes import retries_of
from jec_assets.search.sampler import trial_key

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

    from jec_assets.settings import Settings


def jobs(settings: Settings) -> list[UnresolvedAssetJobDefinition]:
    """All jobs."""
    whole_range = {
        "dagster/asset_partition_range_start": trial_key(0),
        "dagster/asset_partition_range_end": trial_key(settings.trials - 1),
    }
    experiment = {"experiment": settings.experiment}
    everything, quick = dg.AssetSelection.all(), _without_costly_families(settings)
    calibration = dg.define_asset_job(
        "calibration",
        selection=quick,
        description="On one machine, from jet files to a served, benchmarked and reported calibration.",
        tags=whole_range | experiment,
    )
    calibration_full = dg.define_asset_job(
        "calibration_full",
        selection=everything,
        description="As `calibration`, with the families whose training takes long too.",
        tags=whole_range | experiment,
    )
    endpoint_check = dg.define_asset_job(
        "endpoint_check",
        selection=dg.AssetSelection.checks(answers_as_published),
        description="Whether the endpoint still answers what the published models compute.",
        tags=experiment,
    )
    return [calibration, calibration_full, endpoint_check, *_parts(settings, quick, experiment)]


def _parts(settings: Settings, quick: dg.AssetSelection, tags: dict[str, str]) -> list[UnresolvedAssetJobDefinition]:
    """The three jobs of a cluster, to be run one after the other."""
    ingested = dg.AssetSelection.groups(jets.GROUP)
    trained = dg.AssetSelection.assets(*([family, "trial_model"] for family in settings.families))
    retries = retries_of(settings)
    published = quick - ingested - trained
    parts = {
        "ingest": (ingested, "From jet files to filtered jets and their splits."),
        "trials": (trained, "One trial of every family a run: launch a backfill of all partitions."),
        "publish": (published, "From trials to best models, the endpoint and the reports."),
    }
    return [
        dg.define_asset_job(name, selection, description=description, op_retry_policy=retries, tags=tags)
        for name, (selection, description) in parts.items()
    ]


def _without_costly_families(settings: Settings) -> dg.AssetSelection:
    costly = [name for name in families_with_assets(settings) if name not in settings.families]
    everything = dg.AssetSelection.all()
    return everything - dg.AssetSelection.groups(*costly) if costly else everything
