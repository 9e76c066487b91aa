"""The shape of the asset graph: keys, lineage, partitions, jobs; loading it costs little and touches nothing."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from jec_assets.definitions import build_defs
from jec_assets.settings import Settings

FAMILIES = ("pfn", "particle_net", "pfn_committee", "particle_transformer")
BEST_MODELS = {f"{family}/best_model" for family in FAMILIES}
LINEAGE = {
    "jet_files": set(),
    "standard_correction": {"jet_files"},
    "filtered_jets": {"jet_files", "standard_correction"},
    "train_jets": {"filtered_jets"},
    "validation_jets": {"filtered_jets"},
    "test_jets": {"filtered_jets"},
    **{f"{family}/trial_model": {"train_jets", "validation_jets"} for family in FAMILIES},
    **{f"{family}/best_model": {f"{family}/trial_model", "train_jets", "validation_jets"} for family in FAMILIES},
    "onnx_repository": {*BEST_MODELS, "train_jets", "validation_jets"},
    "served_endpoint": {"onnx_repository", "validation_jets"},
    "latency_benchmark": {"served_endpoint", "test_jets"},
    "calibrated_test_jets": {*BEST_MODELS, "test_jets"},
    "calibrated_validation_jets": {*BEST_MODELS, "validation_jets"},
    "residual_corrections": {"calibrated_validation_jets"},
    "search_report": {*BEST_MODELS, "test_jets"},
    "dataset_report": {"train_jets", "validation_jets", "test_jets"},
    "loss_report": {"calibrated_test_jets", "train_jets"},
    "flavor_report": {"calibrated_test_jets"},
    "response_report": {"calibrated_test_jets", "calibrated_validation_jets"},
    "resolution_report": {"calibrated_test_jets"},
    "jet_resolution_report": {"calibrated_test_jets"},
    "correction_report": {"standard_correction", "test_jets"},
    "complexity_report": {"calibrated_test_jets"},
    "calibration_report": {
        "loss_report",
        "flavor_report",
        "response_report",
        "jet_resolution_report",
        "correction_report",
        "resolution_report",
        "search_report",
        "complexity_report",
        "dataset_report",
        "latency_benchmark",
    },
}


@pytest.fixture(scope="module")
def repository() -> dg.RepositoryDefinition:
    return build_defs(Settings(trials=3)).get_repository_def()


def test_lineage(repository: dg.RepositoryDefinition) -> None:
    graph = repository.asset_graph
    lineage = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.materializable_asset_keys
    }
    assert lineage == LINEAGE


def test_checks(repository: dg.RepositoryDefinition) -> None:
    checks = {
        check.name: repository.asset_graph.get(check).blocking for check in repository.asset_graph.asset_check_keys
    }
    assert checks == {
        "jets_fulfill_their_schema": True,
        "every_file_was_read": False,
        "candidates_are_promoted": False,
        "answers_as_published": True,
        "staged_versions_are_served": False,
        "networks_close": False,
    }


def test_every_asset_says_what_it_is(repository: dg.RepositoryDefinition) -> None:
    for key in repository.asset_graph.materializable_asset_keys:
        node = repository.asset_graph.get(key)
        assert node.description, key
        assert node.group_name != "default", key
        assert node.kinds, key
        assert node.code_version, key
        assert not node.owners, key


def test_trials_are_partitions_numbered_by_a_setting() -> None:
    graph = build_defs(Settings(trials=12)).get_repository_def().asset_graph
    for family in FAMILIES:
        partitions = graph.get(dg.AssetKey([family, "trial_model"])).partitions_def
        assert partitions is not None
        assert partitions.get_partition_keys()[::11] == ["000", "011"]


def test_the_jobs_cover_all_trials_and_all_assets_but_those_of_costly_families(
    repository: dg.RepositoryDefinition,
) -> None:
    costly = {key for key in LINEAGE if key.startswith("particle_transformer/")}
    for name, expected in (("calibration", set(LINEAGE) - costly), ("calibration_full", set(LINEAGE))):
        job = repository.get_job(name)
        assert {key.to_user_string() for key in job.asset_layer.executable_asset_keys} == expected
        assert job.tags["dagster/asset_partition_range_end"] == "002"
    assert job.tags["dagster/asset_partition_range_start"] == "000"


def test_the_names_that_people_switch_on_and_the_tag_of_their_experiment() -> None:
    repository = build_defs(Settings(experiment="other_loss")).get_repository_def()
    jobs = {job.name: job.tags.get("experiment") for job in repository.get_all_jobs()}
    names = ("calibration", "calibration_full", "endpoint_check", "ingest", "trials", "publish")
    assert jobs == {"__ASSET_JOB": None, **dict.fromkeys(names, "other_loss")}
    assert {sensor.name for sensor in repository.sensor_defs} == {"retraining", "failed_runs"}
    assert all(sensor.default_status == dg.DefaultSensorStatus.STOPPED for sensor in repository.sensor_defs)
    assert {schedule.name for schedule in repository.schedule_defs} == {
        "calibration_schedule",
        "endpoint_check_schedule",
    }


def test_the_check_of_the_endpoint_is_all_of_its_job(repository: dg.RepositoryDefinition) -> None:
    job = repository.get_job("endpoint_check")
    assert job.asset_layer.executable_asset_keys == set()
    assert [node.name for node in job.nodes] == ["served_endpoint_answers_as_published"]


def test_families_are_a_setting() -> None:
    graph = build_defs(Settings(families=("pfn",))).get_repository_def().asset_graph
    keys = {key.to_user_string() for key in graph.materializable_asset_keys}
    assert keys == {key for key in LINEAGE if not key.startswith(("particle_net/", "pfn_committee/"))}


def test_another_generators_jets_have_assets_where_they_are_given() -> None:
    graph = build_defs(Settings(alternative_source="elsewhere")).get_repository_def().asset_graph
    lineage = {key.to_user_string(): graph.get(key).parent_keys for key in graph.materializable_asset_keys}
    assert set(lineage) - set(LINEAGE) == {"alternative_jets", "calibrated_alternative_jets", "generator_report"}
    assert dg.AssetKey("generator_report") in lineage["calibration_report"]


def test_loading_is_light_and_touches_nothing(tmp_path: Path) -> None:
    heavy = ("torch", "uproot", "awkward", "onnx", "onnxruntime", "matplotlib", "sklearn", "optuna", "tritonclient")
    code = f"import sys, jec_assets.definitions; print([name for name in {heavy} if name in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": "", "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert loaded.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


def test_a_clashing_trio_imports_in_one_process() -> None:
    code = "import dagster._grpc.server, tritonclient.grpc, onnx, torch, torch.utils.tensorboard, dagster_k8s"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
