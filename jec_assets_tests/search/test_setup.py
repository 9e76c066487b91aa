from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from jec_assets.jets.cache import open_cache
from jec_assets.jets.splits import publish_split
from jec_assets.search.parallel import Slots
from jec_assets.search.provenance import TrainingTerms
from jec_assets.search.sampler import plan_trial
from jec_assets.search.setup import plan_of, slots_of, study_of
from jec_assets.settings import Settings
from jec_assets.storage import ArtifactMissingError, Storage
from jec_assets.training.config import TrainingConfigError
from jec_assets_tests.jets.test_cache import materialize


def test_plans_follow_the_settings() -> None:
    plain = plan_trial("pfn", 7, 3)
    assert plan_of(Settings(seed=7), "pfn", 3) == plain
    changed = plan_of(Settings(seed=7, schedule="cosine", clip_norm=0.5, average_decay=0.99), "pfn", 3)
    optimization = replace(plain.optimization, schedule="cosine", clip_norm=0.5, average_decay=0.99)
    assert changed == replace(plain, optimization=optimization)


def test_a_study_is_of_the_present_splits(storage: Storage, toy_source: Path, tmp_path: Path) -> None:
    settings = Settings(work_folder=tmp_path / "work", loss="quantile", workers=2, threads=3)
    with pytest.raises(ArtifactMissingError, match="materialize"):
        study_of(settings, storage)
    materialize(storage, toy_source)
    training, validation = publish_split(storage, "train", None), publish_split(storage, "validation", None)
    study = study_of(settings, storage)
    assert (study.inputs.digests.training_jets, study.inputs.digests.validation_jets) == (
        training.digest,
        validation.digest,
    )
    caches = open_cache(study.inputs.training), open_cache(study.inputs.validation)
    assert [len(cache) for cache in caches] == [training.jets, validation.jets]
    assert {cache.packed.jets.shape[1] for cache in caches} == {study.inputs.network_inputs.jet_features}
    assert (study.workers, study.computation.threads, study.work_folder) == (2, 3, tmp_path / "work")
    for field in fields(TrainingTerms):
        assert getattr(study.terms, field.name) == getattr(settings, field.name)


def test_as_many_trials_at_a_time_as_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Slots, "of_this_machine", lambda workers, threads: Slots(100 * workers + threads, ("0",)))
    assert slots_of(Settings(workers=2, threads=3)) == Slots(203, ("0",))
    assert slots_of(Settings(parallel_trials=5)) == Slots(5, ("0",))


def test_several_machines_are_refused_where_nobody_can_start_them(storage: Storage) -> None:
    with pytest.raises(TrainingConfigError, match=r"JEC_NODES is 2.*JEC_EXECUTOR=kubernetes.*torchrun"):
        study_of(Settings(nodes=2), storage)
