"""Assets of trials and the study database: it shows them, and a trial never depends on it."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import optuna
import pytest

from jec_assets.defs.resources import resources
from jec_assets.defs.trials import family_assets, trial_partitions
from jec_assets.jets.splits import publish_split
from jec_assets.search.optuna_trials import study_name
from jec_assets.search.provenance import present_inputs
from jec_assets.search.record import publish_record
from jec_assets.settings import Settings
from jec_assets.storage import Storage
from jec_assets_tests.jets.test_cache import materialize
from jec_assets_tests.search.samples import finished


def test_best_model_shows_what_trials_could_not(
    storage: Storage, toy_source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    materialize(storage, toy_source)
    publish_split(storage, "validation", None)
    records = [finished(number, 0.1 + number, present_inputs(storage)) for number in range(3)]
    for record in records:
        publish_record(storage, record)

    def choose(database: str) -> bool:
        settings = Settings(storage_root=storage.root, study_database=database, trials=3)
        _, best_model = family_assets("pfn", trial_partitions(settings), settings)
        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize([best_model], resources=resources(settings), instance=instance).success

    assert choose("postgresql://me:secret@nowhere/studies")
    said = capfd.readouterr().err
    assert "not shown in the study database" in said
    assert "PGPASSWORD" in said
    url = f"sqlite:///{tmp_path}/studies.db"
    assert choose(url)
    assert choose(url)
    shown = optuna.load_study(study_name=study_name(records[0]), storage=url)
    assert [trial.value for trial in shown.trials] == [0.1, 1.1, 2.1]
