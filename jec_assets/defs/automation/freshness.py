"""How old what people look at and use may be.

Belongs here: which assets, and their windows. Dagster's daemon compares; what is too old shows in the UI.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from jec_assets.settings import Settings

WARNING = 0.75  # of the window, after which Dagster warns


def with_freshness(assets: Sequence[dg.AssetsDefinition], settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets, those with a window of their own with its policy."""
    windows = {
        dg.AssetKey("calibration_report"): timedelta(days=settings.report_days),
        dg.AssetKey("served_endpoint"): timedelta(days=settings.endpoint_days),
    }

    def with_policy(spec: dg.AssetSpec) -> dg.AssetSpec:
        window = windows.get(spec.key)
        if window is None:
            return spec
        fresh: dg.AssetSpec = dg.apply_freshness_policy(spec, dg.FreshnessPolicy.time_window(window, WARNING * window))
        return fresh

    return [*dg.map_asset_specs(with_policy, assets)]
