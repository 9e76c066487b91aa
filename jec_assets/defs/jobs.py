"""The jobs: what runs together, and in which partitions.

Belongs here: selections of assets and their tags. `calibration` is for one machine: every asset in one run, the trials
as a range of partitions named by tags, so that `dagster job execute -j calibration` needs no further word.
`calibration_full` is the same with the families whose training takes long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from jec_assets.defs.families import families_with_assets
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
    everything = dg.AssetSelection.all()
    costly = [name for name in families_with_assets(settings) if name not in settings.families]
    calibration = dg.define_asset_job(
        "calibration",
        selection=everything - dg.AssetSelection.groups(*costly) if costly else everything,
        description="On one machine, from jet files to a served, benchmarked and reported calibration.",
        tags=whole_range,
    )
    calibration_full = dg.define_asset_job(
        "calibration_full",
        selection=everything,
        description="As `calibration`, with the families whose training takes long too.",
        tags=whole_range,
    )
    return [calibration, calibration_full]
