"""Assets of another generator's jets, where there are any: alternative_jets -> calibrated_alternative_jets.

Belongs here: both. Their comparison with the nominal jets is a report like the others (`reports.py`).
"""

import dagster as dg

import jec_assets.jets
from jec_assets import evaluation
from jec_assets.defs.alive import alive
from jec_assets.defs.families import families_with_assets, networks_of
from jec_assets.defs.jets import GROUP, manifest_metadata, reading_pool, recipe_of, reporter
from jec_assets.defs.kubernetes import EVALUATION, READING
from jec_assets.defs.resources import SettingsParam, StorageParam
from jec_assets.evaluation.calibrate import calibrate, publish_calibrated
from jec_assets.jets.alternative import alternative_storage, require_other_jets
from jec_assets.jets.dataset import load_split
from jec_assets.jets.manifest import Manifest, update_manifest
from jec_assets.jets.sources import list_files
from jec_assets.jets.splits import publish_all_to_test
from jec_assets.settings import Settings
from jec_assets.storage import code_digest


def alternative_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets of JEC_ALTERNATIVE_SOURCE, none where it isn't set."""
    if settings.alternative_source is None:
        return []
    best_models = [dg.AssetKey([family, "best_model"]) for family in families_with_assets(settings)]

    @dg.asset(
        group_name="reports",
        kinds={"pytorch", "parquet"},
        code_version=code_digest(evaluation),
        deps=[alternative_jets, *best_models],
        op_tags=EVALUATION,
    )
    @alive
    def calibrated_alternative_jets(settings: SettingsParam, storage: StorageParam) -> dg.MaterializeResult:
        """The other generator's jets with the correction of every family's best model."""
        place = alternative_storage(storage)
        jets, (networks, digests) = load_split(place, "test"), networks_of(settings, storage)
        table = publish_calibrated(place, calibrate(jets, networks), jets.split, digests)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(table.digest), metadata={"jets": table.jets, "uri": place.uri(table.key)}
        )

    return [alternative_jets, calibrated_alternative_jets]


@dg.asset(
    group_name=GROUP,
    kinds={"uproot", "parquet"},
    code_version=code_digest(jec_assets.jets),
    deps=["standard_correction", "filtered_jets"],
    op_tags=READING,
)
@alive
def alternative_jets(
    context: dg.AssetExecutionContext, settings: SettingsParam, storage: StorageParam
) -> dg.MaterializeResult:
    """Jets of another generator, filtered as the nominal ones: all of them to test with, none to learn from."""
    place = alternative_storage(storage)
    files = list_files(settings.alternative_source or "", settings.max_files, storage.s3)
    with reading_pool(settings, place, files) as pool:
        manifest = update_manifest(place, files, recipe_of(settings, storage), pool, reporter(context))
    require_other_jets(Manifest.load(storage), manifest)
    split = publish_all_to_test(place, settings.max_test_jets)
    return dg.MaterializeResult(data_version=dg.DataVersion(split.digest), metadata=manifest_metadata(place, manifest))
