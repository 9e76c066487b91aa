"""Assets from best models to the model repository: F/best_model -> onnx_repository.

Belongs here: handing each family's best model to a release. Does not belong here: the rule of promotion
(`jec_assets.serving`).
"""

import dagster as dg

from jec_assets import serving
from jec_assets.defs.alive import alive
from jec_assets.defs.families import families_at_hand, families_with_assets
from jec_assets.defs.jets import train_jets, validation_jets
from jec_assets.defs.kubernetes import EVALUATION
from jec_assets.defs.metadata import Metadata, markdown_table
from jec_assets.defs.resources import SettingsParam, StorageParam
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.jets.dataset import load_split, load_table
from jec_assets.jets.training_range import TrainingRange
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.graph_levels import DEFAULT_LEVEL
from jec_assets.serving.release import Candidate, Release, ReleasePolicy, release
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.served import publish_release
from jec_assets.serving.setup import repository_of
from jec_assets.serving.variants import SINGLE
from jec_assets.settings import Settings
from jec_assets.storage import code_digest, digest_of

CODE_VERSION = code_digest(serving)
PROMOTED = "candidates_are_promoted"


def onnx_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The model repository; its lineage depends on which families there are."""
    repository_key = dg.AssetKey("onnx_repository")

    @dg.asset(
        key=repository_key,
        group_name="serving",
        kinds={"onnx"},
        code_version=CODE_VERSION,
        deps=[
            *(dg.AssetKey([family, "best_model"]) for family in families_with_assets(settings)),
            train_jets,
            validation_jets,
        ],
        op_tags=EVALUATION,
        check_specs=[
            dg.AssetCheckSpec(
                PROMOTED,
                asset=repository_key,
                description="Every best model is at least as good as what is served, within the uncertainty. "
                "Otherwise it is not even tried, and the served version stays.",
            )
        ],
    )
    @alive
    def onnx_repository(
        context: dg.AssetExecutionContext, settings: SettingsParam, storage: StorageParam
    ) -> dg.MaterializeResult:
        """Best models as ONNX, compared with torch on real jets, one numbered version per model.

        A family's first is served at once, later ones wait for their roll-out by `served_endpoint`.
        """
        repository = repository_of(settings, storage)
        validation = load_split(storage, "validation")
        resampling = Resampling(settings.bootstrap_resamples, settings.seed)
        training_range = TrainingRange.of(load_table(storage, "train"))
        releases = []
        for family in families_at_hand(settings, storage):
            candidate = Candidate.chosen(storage, family, training_range)
            policy = ReleasePolicy(
                resampling, instances_of(settings, family), settings.served_numbers.get(family, SINGLE)
            )
            releases.append(release(repository, candidate, validation, policy))
            publish_release(storage, releases[-1])
            context.log.info(f"{family}: {_said(releases[-1])}")
        return dg.MaterializeResult(
            data_version=dg.DataVersion(digest_of([(each.staged or each.model).onnx_digest for each in releases])),
            metadata=_metadata(repository, releases),
            check_results=[_promotion_check(releases)],
        )

    return [onnx_repository]


def instances_of(settings: Settings, family: str) -> InstanceSettings:
    """How a family is run by the server."""
    on_gpus = settings.endpoint == "kubernetes" and settings.endpoint_gpus > 0
    return InstanceSettings(graph_level=settings.graph_levels.get(family, DEFAULT_LEVEL), on_gpus=on_gpus)


def _said(each: Release) -> str:
    staged = "" if each.staged is None else f"; staged as version {each.staged.version}"
    return f"{each.promotion.reason}; served is version {each.model.version}{staged}"


def _metadata(repository: ModelRepository, releases: list[Release]) -> Metadata:
    rows = [
        (
            each.model.family,
            each.model.version,
            "" if each.staged is None else each.staged.version,
            f"{each.export.max_abs_difference:.1e}",
            each.promotion.reason,
            SINGLE if each.tried is None else each.tried.finding,
        )
        for each in releases
    ]
    columns = [
        "model",
        "served version",
        "staged version",
        "candidate: largest |ONNX - torch|",
        "candidate: promotion",
        "numbers",
    ]
    return {"uri": repository.uri, "models": markdown_table(columns, rows)}


def _promotion_check(releases: list[Release]) -> dg.AssetCheckResult:
    refused = [each for each in releases if not each.promotion.promoted]
    reasons = "\n".join(f"{each.model.family}: {each.promotion.reason}" for each in refused)
    return dg.AssetCheckResult(
        passed=not refused,
        check_name=PROMOTED,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"refused": reasons or "none"},
    )
