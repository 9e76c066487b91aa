"""What Dagster loads: `dagster dev -m jec_assets.definitions`, or `-w workspace.yaml`.

Belongs here: reading the settings and putting the definitions together, nothing else. Nothing is read from a source,
connected to or written when this is imported.
"""

from __future__ import annotations

import dagster as dg

from jec_assets.defs import jets
from jec_assets.defs.resources import resources
from jec_assets.settings import Settings


def build_defs(settings: Settings) -> dg.Definitions:
    """All definitions for these settings: the one place where they are assembled."""
    return dg.Definitions(
        assets=jets.ASSETS,
        asset_checks=jets.CHECKS,
        resources=resources(settings),
        jobs=[dg.define_asset_job("calibration", config={"loggers": {"console": {"config": {"log_level": "INFO"}}}})],
    )


defs = build_defs(Settings())
