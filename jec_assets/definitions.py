"""What Dagster loads: `dagster dev -m jec_assets.definitions`, or `-w workspace.yaml`.

Belongs here: reading the settings and putting the definitions together, nothing else. Nothing is read from a source,
connected to or written when this is imported.
"""

import dagster as dg

from jec_assets.defs import calibrated, jets, onnx, page, reports, serving, trials
from jec_assets.defs.alternative import alternative_assets
from jec_assets.defs.automation.failures import failed_runs_sensor
from jec_assets.defs.automation.freshness import with_freshness
from jec_assets.defs.automation.retraining import retraining_sensor
from jec_assets.defs.automation.schedules import schedules
from jec_assets.defs.endpoint_check import answers_as_published
from jec_assets.defs.families import families_with_assets
from jec_assets.defs.jobs import jobs
from jec_assets.defs.kubernetes import executor_of
from jec_assets.defs.resources import resources
from jec_assets.settings import Settings


def build_defs(settings: Settings) -> dg.Definitions:
    """All definitions for these settings: the one place where they are assembled."""
    partitions = trials.trial_partitions(settings)
    assets = [
        *jets.ASSETS,
        *(
            asset
            for family in families_with_assets(settings)
            for asset in trials.family_assets(family, partitions, settings)
        ),
        *onnx.onnx_assets(settings),
        *serving.ASSETS,
        *calibrated.calibrated_assets(settings),
        *alternative_assets(settings),
        *reports.report_assets(settings),
        *page.page_assets(settings),
    ]
    jobs_here = jobs(settings)
    return dg.Definitions(
        assets=with_freshness(assets, settings),
        asset_checks=[*jets.CHECKS, answers_as_published],
        jobs=jobs_here,
        sensors=[retraining_sensor(settings, jobs_here), failed_runs_sensor()],
        schedules=schedules(settings),
        resources=resources(settings),
        executor=executor_of(settings),
    )


defs = build_defs(Settings())
