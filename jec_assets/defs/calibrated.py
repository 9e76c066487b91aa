"""Assets of networks applied to jets: best models -> calibrated_test_jets, calibrated_validation_jets.

Belongs here: the tables behind all reports, and the residual corrections that follow from one. Does not belong here:
the reports (`reports.py`).
"""

import json

import dagster as dg

from jec_assets import evaluation
from jec_assets.defs.alive import alive
from jec_assets.defs.families import families_at_hand, families_with_assets, networks_of
from jec_assets.defs.kubernetes import EVALUATION
from jec_assets.defs.resources import SettingsParam, StorageParam
from jec_assets.evaluation.calibrate import (
    calibrate,
    load_calibrated,
    load_calibrated_record,
    publish_calibrated,
    table_asset,
)
from jec_assets.evaluation.calibrated_jets import CalibratedJets
from jec_assets.evaluation.response.residual import derive_residuals
from jec_assets.evaluation.response.residual_export import residuals_json
from jec_assets.jets.dataset import load_split
from jec_assets.jets.splits import SplitName
from jec_assets.settings import Settings
from jec_assets.storage import code_digest

CODE_VERSION = code_digest(evaluation)
GROUP = "reports"
PURPOSES: dict[SplitName, str] = {
    "test": "the table behind all reports",
    "validation": "what residual corrections are derived from",
}


def calibrated_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """A table of each split that reports look at; the lineage depends on which families there are."""
    best_models = [dg.AssetKey([family, "best_model"]) for family in families_with_assets(settings)]
    return [*(_calibrated(split, best_models) for split in PURPOSES), residual_corrections]


@dg.asset(
    group_name=GROUP,
    kinds={"json"},
    code_version=CODE_VERSION,
    deps=["calibrated_validation_jets"],
    op_tags=EVALUATION,
)
@alive
def residual_corrections(settings: SettingsParam, storage: StorageParam) -> dg.MaterializeResult:
    """What remains to be corrected behind each network, as correctionlib JSON, for those who want it applied."""
    families = families_at_hand(settings, storage)
    record = load_calibrated_record(storage, families, "validation")
    validation = CalibratedJets.from_table(load_calibrated(storage, families, "validation"))
    made_of = {"validation jets": record.split_digest, "networks": record.networks}
    text = residuals_json(derive_residuals(validation), f"Residual corrections of {json.dumps(made_of)}")
    artifact = storage.publish_named_by_digest("residual_corrections", ".json", text.encode())
    return dg.MaterializeResult(data_version=dg.DataVersion(artifact.digest), metadata={"uri": artifact.uri})


def _calibrated(split: SplitName, best_models: list[dg.AssetKey]) -> dg.AssetsDefinition:
    @dg.asset(
        name=table_asset(split),
        group_name=GROUP,
        kinds={"pytorch", "parquet"},
        code_version=CODE_VERSION,
        deps=[f"{split}_jets", *best_models],
        op_tags=EVALUATION,
        description=f"{split.capitalize()} jets with the correction of every best model: {PURPOSES[split]}.",
    )
    @alive
    def calibrated_jets(settings: SettingsParam, storage: StorageParam) -> dg.MaterializeResult:
        jets, (networks, digests) = load_split(storage, split), networks_of(settings, storage)
        table = publish_calibrated(storage, calibrate(jets, networks), jets.split, digests)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(table.digest), metadata={"jets": table.jets, "uri": storage.uri(table.key)}
        )

    return calibrated_jets
