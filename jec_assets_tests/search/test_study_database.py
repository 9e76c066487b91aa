"""What optuna-dashboard is shown: every record once, with curve and parameters, beside those it compares with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from jec_assets.search.optuna_trials import optuna_trial, study_name
from jec_assets.search.record import PlannedTrial, TrialRecord
from jec_assets.search.sampler import plan_trial
from jec_assets.search.spaces import SPACES
from jec_assets.search.study_database import StudyDatabaseError, mirror
from jec_assets_tests.search.samples import DIGESTS, TERMS, failed, finished


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/studies.db"


def shown(url: str, record: TrialRecord) -> dict[int, list[optuna.trial.FrozenTrial]]:
    """The trials of a record's study, by our number."""
    found: dict[int, list[optuna.trial.FrozenTrial]] = {}
    for trial in optuna.load_study(study_name=study_name(record), storage=url).trials:
        found.setdefault(trial.user_attrs["trial"], []).append(trial)
    return found


def test_a_record_is_shown_once(url: str) -> None:
    assert mirror(url, [finished(1, 0.2), failed(2)]) == 2
    assert mirror(url, [finished(1, 0.2)]) == 0
    assert mirror(url, [finished(0, 0.1), finished(1, 0.2), failed(2)]) == 1
    trials = shown(url, finished(0, 0.1))
    assert {number: len(each) for number, each in trials.items()} == {0: 1, 1: 1, 2: 1}
    [best], [bad] = trials[0], trials[2]
    assert (best.value, best.intermediate_values) == (0.1, {1: 0.07})
    assert best.duration is not None
    assert best.duration.total_seconds() == pytest.approx(1.0)
    assert (bad.state, bad.user_attrs["error"]) == (TrialState.FAIL, "loss nan")


def test_a_trial_that_failed_and_then_did_not_is_shown_as_both(url: str) -> None:
    mirror(url, [failed(4)])
    mirror(url, [finished(4, 0.3)])
    assert [trial.state for trial in shown(url, failed(4))[4]] == [TrialState.FAIL, TrialState.COMPLETE]


def test_what_may_not_be_compared_is_in_another_study(url: str) -> None:
    other = finished(1, 0.1, replace(DIGESTS, code_version="another"))
    longer = finished(1, 0.1).model_copy(update={"terms": replace(TERMS, epochs=50)})
    assert mirror(url, [finished(0, 0.2), other, longer]) == 3
    names = {study_name(record) for record in (finished(0, 0.2), other, longer)}
    assert {summary.study_name: summary.n_trials for summary in optuna.get_all_study_summaries(url)} == dict.fromkeys(
        names, 1
    )


@pytest.mark.parametrize("family", SPACES)
def test_every_plan_has_all_of_its_parameters(family: str) -> None:
    for number in range(20):
        plan = plan_trial(family, 94, number)
        record = finished(0, 0.1).model_copy(update=dict(PlannedTrial.of(plan, TERMS, DIGESTS)))
        tried = {"optimizer": plan.optimization.optimizer, "learning_rate": plan.optimization.learning_rate}
        assert optuna_trial(record).params == {**plan.hyperparameters.to_dict(), **tried}


def test_a_value_from_outside_the_space_is_an_attribute() -> None:
    trial = optuna_trial(finished(0, 0.1))
    assert trial.user_attrs["phi_units"] == 8
    assert "phi_units" not in trial.params


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://me:hunter2@host/studies", "must not hold a password: give it as PGPASSWORD"),
        ("postgresql://me@host/studies?password=hunter2", "must not hold a password: give it as PGPASSWORD"),
        ("hunter2", "JEC_STUDY_DATABASE is no URL"),
        ("mysql://me@host/studies", "mysql://me@host/studies: write postgresql://USER@HOST/DATABASE"),
        ("sqlite://", "write postgresql://USER@HOST/DATABASE, or sqlite:///FILE"),
        ("sqlite:////nowhere/studies.db", "sqlite:////nowhere/studies.db: .*there is no folder /nowhere"),
    ],
)
def test_what_cannot_be_used_is_said_without_secrets(url: str, found: str) -> None:
    with pytest.raises(StudyDatabaseError, match=found) as fault:
        mirror(url, [finished(0, 0.1)], seconds_to_retry=0)
    assert "hunter2" not in str(fault.value)
