"""Assets from jet files to splits: jet_files -> standard_correction -> filtered_jets -> train_jets, test_jets, ...

Belongs here: calling `jec_assets.jets` and saying what came out. Does not belong here: which jets are kept and why.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager

import dagster as dg

import jec_assets.jets
from jec_assets.dask_pool import dask_pool
from jec_assets.defs.alive import alive
from jec_assets.defs.kubernetes import EVALUATION, READING, SMALL
from jec_assets.defs.metadata import Metadata, markdown_table
from jec_assets.defs.resources import SettingsParam, StorageParam
from jec_assets.jets.derivation_sample import FileSample
from jec_assets.jets.filtering import FilteredFile, Recipe
from jec_assets.jets.manifest import Manifest, update_manifest
from jec_assets.jets.selection import Selection
from jec_assets.jets.sources import JetFile, list_files, load_listing, local_folders, publish_listing, source_version
from jec_assets.jets.splits import SHARES, Split, SplitName, publish_split
from jec_assets.jets.standard_correction import load_standard_correction, update_standard_correction
from jec_assets.jets.validation import violations
from jec_assets.pools import worker_pool
from jec_assets.settings import Settings
from jec_assets.storage import Storage, code_digest

GROUP = "jets"
CODE_VERSION = code_digest(jec_assets.jets)


@dg.asset(group_name=GROUP, kinds={"root"}, code_version=CODE_VERSION, op_tags=SMALL)
def jet_files(settings: SettingsParam, storage: StorageParam) -> dg.MaterializeResult:
    """The files of the source: a folder, a glob, an s3:// prefix or root:// URLs, with their sizes and ETags."""
    files = list_files(settings.source, settings.max_files, storage.s3)
    publish_listing(storage, files)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(source_version(files)),
        metadata={
            "source": settings.source,
            "files": len(files),
            "megabytes": round(sum(file.size for file in files) / 1e6, 1),
            "listing": markdown_table(["file", "bytes"], [(file.url, file.size) for file in files[:100]]),
        },
    )


@dg.asset(group_name=GROUP, kinds={"uproot", "json"}, code_version=CODE_VERSION, deps=[jet_files], op_tags=READING)
@alive
def standard_correction(
    context: dg.AssetExecutionContext, settings: SettingsParam, storage: StorageParam
) -> dg.MaterializeResult:
    """L1 and L2L3 from the training events: applied where jets come uncorrected, and as correctionlib JSON anyway."""

    def report(sample: FileSample, left: int) -> None:
        said = sample.error or f"{sample.url}: {len(sample.jets)} jets to derive from"
        context.log.info(f"{said}; {left} files to go")

    files = load_listing(storage)
    with reading_pool(settings, storage, files) as pool:
        found = update_standard_correction(storage, files, pool, report)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(found.digest),
        metadata={
            "in_use": found.in_use,
            "jets": found.jets,
            "derived": found.derived.digest if found.derived else found.why_none,
            "uri": storage.uri("standard_correction.json"),
        },
    )


@dg.asset(
    group_name=GROUP,
    kinds={"uproot", "parquet"},
    code_version=CODE_VERSION,
    deps=[jet_files, standard_correction],
    op_tags=READING,
)
@alive
def filtered_jets(
    context: dg.AssetExecutionContext, settings: SettingsParam, storage: StorageParam
) -> dg.MaterializeResult:
    """Gen-matched jets within the kinematic cuts with their features, a columnar file per jet file.

    Incremental: a file is read again only if its name, size or ETag, the cuts, the features or the code changed.
    """
    files, recipe = load_listing(storage), recipe_of(settings, storage)
    with reading_pool(settings, storage, files) as pool:
        manifest = update_manifest(storage, files, recipe, pool, reporter(context))
    if recipe.features.name == "paper" and manifest.files_with_members_only:
        named = "\n".join(manifest.files_with_members_only)
        context.log.warning(f"`paper` wants all candidates around the jets, these files hold only members:\n{named}")
    return dg.MaterializeResult(
        data_version=dg.DataVersion(manifest.data_version), metadata=manifest_metadata(storage, manifest)
    )


def recipe_of(settings: Settings, storage: Storage) -> Recipe:
    """What files become: the cuts and features of the settings, and the standard correction where jets lack one."""
    selection = Selection(settings.min_gen_pt, settings.max_abs_gen_eta)
    return Recipe(settings.feature_set, selection, load_standard_correction(storage).to_apply)


def reading_pool(settings: Settings, storage: Storage, files: Sequence[JetFile]) -> AbstractContextManager[Executor]:
    """What reads these files into storage: the workers of JEC_DASK_SCHEDULER, or processes of this machine."""
    if settings.dask_scheduler is not None:
        return dask_pool(settings.dask_scheduler, storage, local_folders(files))
    processes = settings.reading_processes or os.cpu_count() or 1
    return worker_pool(max(1, min(processes, len(files))))


def reporter(context: dg.AssetExecutionContext) -> Callable[[FilteredFile, int], None]:
    """A line in the asset's log for each file: what it gave, or why it gave nothing."""

    def report(filtered: FilteredFile, left: int) -> None:
        said = filtered.error or f"{filtered.url}: {filtered.cutflow.kept} of {filtered.cutflow.jets} jets kept"
        (context.log.error if filtered.error else context.log.info)(f"{said}; {left} files to go")

    return report


def manifest_metadata(storage: Storage, manifest: Manifest) -> Metadata:
    """A source's filtered files in numbers and tables."""
    rows = [
        (row.file.url, row.file.cutflow.jets, row.kept, round(row.file.seconds, 1), row.file.error or "")
        for row in manifest.rows
    ]
    return {
        "jets": manifest.jets,
        "jets_read": sum(row.file.cutflow.jets for row in manifest.rows),
        "files_read_now": sum(row.read_now for row in manifest.rows),
        "files_with_errors": len(manifest.errors),
        "feature_set": manifest.feature_set,
        "rejected": markdown_table(["cut", "jets"], list(manifest.rejected.items())),
        "files": markdown_table(["file", "jets", "kept", "seconds", "error"], rows[:100]),
        "uri": storage.uri("filtered_jets/manifest.json"),
    }


@dg.asset_check(asset=filtered_jets, blocking=True, op_tags=EVALUATION)
def jets_fulfill_their_schema(storage: StorageParam) -> dg.AssetCheckResult:
    """Every column is there, every value finite and in range, and every jet that was read is kept or counted as cut."""
    found = violations(storage, Manifest.load(storage))
    return dg.AssetCheckResult(passed=not found, metadata={"violations": "\n".join(found) or "none"})


@dg.asset_check(asset=filtered_jets, op_tags=SMALL)
def every_file_was_read(storage: StorageParam) -> dg.AssetCheckResult:
    """No file of the source was left out because of an error; the others went through either way."""
    errors = Manifest.load(storage).errors
    return dg.AssetCheckResult(passed=not errors, metadata={"errors": "\n".join(errors) or "none"})


def _split_asset(name: SplitName) -> dg.AssetsDefinition:
    low, high = SHARES[name]

    @dg.asset(
        name=f"{name}_jets",
        group_name=GROUP,
        kinds={"parquet"},
        code_version=CODE_VERSION,
        deps=[filtered_jets],
        op_tags=EVALUATION,
        description=f"{high - low:.0%} of the events, by a hash of (run, lumi, event): an index, not a copy.",
    )
    @alive
    def split_jets(settings: SettingsParam, storage: StorageParam) -> dg.MaterializeResult:
        split = publish_split(storage, name, max_jets_of(settings, name))
        return dg.MaterializeResult(data_version=dg.DataVersion(split.digest), metadata=_split_metadata(storage, split))

    return split_jets


def max_jets_of(settings: Settings, name: SplitName) -> int | None:
    """The setting that caps a split."""
    caps = {
        "train": settings.max_training_jets,
        "validation": settings.max_validation_jets,
        "test": settings.max_test_jets,
    }
    return caps[name]


def _split_metadata(storage: Storage, split: Split) -> Metadata:
    return {
        "jets": split.jets,
        "events": split.events,
        "jets_available": split.available_jets,
        "feature_set": split.feature_set,
        "uri": storage.uri(split.index_key),
    }


train_jets, validation_jets, test_jets = (_split_asset(name) for name in SHARES)

ASSETS = [jet_files, standard_correction, filtered_jets, train_jets, validation_jets, test_jets]
CHECKS = [jets_fulfill_their_schema, every_file_was_read]
