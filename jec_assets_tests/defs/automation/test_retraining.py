"""The sensor `retraining`, tick by tick: what starts it, what follows, and what it says where nothing does."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import DagsterEventType

from jec_assets.defs.automation.runs import ACTION, FAILED, PARTITION, RETRAINING
from jec_assets.jets.arrivals import calibrated_files
from jec_assets.jets.sources import SourceError, list_files
from jec_assets_tests.defs.automation.conftest import MakeDaemon, write
from jec_assets_tests.defs.automation.daemon import Daemon

FAILURE, CANCELED = DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED


def calibrate(daemon: Daemon) -> None:
    """Let the files that there are be calibrated."""
    (run,) = daemon.tick()
    daemon.work(run)
    assert daemon.tick() == []


def jobs_of(runs: list[dg.DagsterRun]) -> list[tuple[str, str | None]]:
    return [(run.job_name, run.tags.get(PARTITION)) for run in runs]


def test_on_one_machine_the_whole_job_runs_once(daemon_of: MakeDaemon) -> None:
    daemon = daemon_of()
    (run,) = daemon.tick()
    assert run.job_name == "calibration"
    assert daemon.tick() == []
    assert "is running" in daemon.said
    daemon.work(run)
    for _ in range(3):
        assert daemon.tick() == []
    assert "nothing changed" in daemon.said
    assert calibrated_files(daemon.storage) == list_files(daemon.settings.source)


def test_only_ingestion_where_that_is_asked_for(daemon_of: MakeDaemon) -> None:
    daemon = daemon_of(arrivals="ingest")
    (run,) = daemon.tick()
    assert run.job_name == "ingest"
    daemon.work(run)
    assert daemon.tick() == []
    assert "nothing changed" in daemon.said


def test_on_a_cluster_one_job_follows_the_other(daemon_of: MakeDaemon) -> None:
    daemon = daemon_of(executor="kubernetes", trials=3)
    (ingest,) = daemon.tick()
    assert jobs_of([ingest]) == [("ingest", None)]
    daemon.work(ingest)
    trials = daemon.tick()
    assert jobs_of(trials) == [("trials", "000"), ("trials", "001"), ("trials", "002")]
    for run in trials[:2]:
        daemon.work(run)
        assert daemon.tick() == []
    daemon.work(trials[2])
    (publish,) = daemon.tick()
    assert publish.job_name == "publish"
    assert len({run.tags[RETRAINING] for run in (ingest, *trials, publish)}) == 1
    daemon.work(publish)
    assert daemon.tick() == []
    assert "nothing changed" in daemon.said


def test_trials_that_failed_are_tried_again_and_then_named_on_the_run_without_them(daemon_of: MakeDaemon) -> None:
    daemon = daemon_of(executor="kubernetes", trials=2, arrivals_attempts=2)
    (ingest,) = daemon.tick()
    daemon.work(ingest)
    first, second = daemon.tick()
    daemon.end(first, FAILURE)
    (again,) = daemon.tick()
    assert jobs_of([again]) == [("trials", "000")]
    daemon.end(again, FAILURE)
    daemon.work(second)
    (publish,) = daemon.tick()
    assert (publish.job_name, publish.tags[FAILED]) == ("publish", "trials 000")


@pytest.mark.parametrize(("how", "runs"), [(FAILURE, 3), (CANCELED, 1)])
def test_a_job_that_fails_is_tried_so_often_and_then_said(
    daemon_of: MakeDaemon, how: DagsterEventType, runs: int
) -> None:
    daemon = daemon_of(arrivals_attempts=3)
    for _ in range(runs):
        (run,) = daemon.tick()
        daemon.end(run, how)
    for _ in range(3):
        assert daemon.tick() == []
    assert run.tags[RETRAINING] in daemon.said
    assert "run calibration by hand" in daemon.said


def test_the_next_change_begins_another_after_a_failure(daemon_of: MakeDaemon, source: Path) -> None:
    daemon = daemon_of(arrivals_attempts=1)
    (failed,) = daemon.tick()
    daemon.end(failed, FAILURE)
    assert daemon.tick() == []
    write(source / "c.root")
    (run,) = daemon.tick()
    assert run.tags[RETRAINING] != failed.tags[RETRAINING]


def test_a_failed_run_that_somebody_executes_again_carries_the_chain_on(daemon_of: MakeDaemon) -> None:
    daemon = daemon_of(executor="kubernetes", trials=1, arrivals_attempts=1)
    (ingest,) = daemon.tick()
    daemon.end(ingest, FAILURE)
    assert daemon.tick() == []
    daemon.work(daemon.add_run("ingest", dict(ingest.tags)))
    assert jobs_of(daemon.tick()) == [("trials", "000")]


def test_a_chain_can_be_begun_by_hand_with_a_tag(daemon_of: MakeDaemon) -> None:
    daemon = daemon_of(executor="kubernetes", trials=1)
    daemon.work(daemon.add_run("ingest", {RETRAINING: "mine"}))
    (trial,) = daemon.tick()
    assert (trial.job_name, trial.tags[RETRAINING]) == ("trials", "mine")


def test_a_run_that_dagster_will_start_again_has_not_ended(daemon_of: MakeDaemon) -> None:
    daemon = daemon_of(executor="kubernetes", trials=1, arrivals_attempts=2)
    (ingest,) = daemon.tick()
    daemon.instance.add_run_tags(ingest.run_id, {"dagster/will_retry": "true"})
    daemon.end(ingest, FAILURE)
    assert daemon.tick() == []
    again = daemon.add_run("ingest", {**ingest.tags, "dagster/parent_run_id": ingest.run_id})
    daemon.instance.add_run_tags(ingest.run_id, {"dagster/auto_retry_run_id": again.run_id})
    assert daemon.tick() == []
    daemon.work(again)
    assert jobs_of(daemon.tick()) == [("trials", "000")]


@pytest.mark.parametrize("job", ["calibration", "calibration_full", "ingest", "trials", "publish"])
def test_one_at_a_time(daemon_of: MakeDaemon, job: str) -> None:
    daemon = daemon_of(executor="kubernetes")
    other = daemon.add_run(job)
    assert daemon.tick() == []
    assert f"waits for run {other.run_id} of {job}" in daemon.said
    daemon.end(other)
    assert len(daemon.tick()) == 1


def test_the_next_stage_waits_for_what_somebody_started_meanwhile(daemon_of: MakeDaemon) -> None:
    daemon = daemon_of(executor="kubernetes", trials=1)
    (ingest,) = daemon.tick()
    other = daemon.add_run("calibration")
    daemon.work(ingest)
    assert daemon.tick() == []
    assert f"waits for run {other.run_id} of calibration" in daemon.said
    daemon.end(other, FAILURE)
    assert jobs_of(daemon.tick()) == [("trials", "000")]


def test_a_check_of_the_endpoint_is_in_nobodys_way(daemon_of: MakeDaemon) -> None:
    daemon = daemon_of()
    daemon.add_run("endpoint_check")
    assert len(daemon.tick()) == 1


@pytest.mark.parametrize(
    ("policy", "enough"),
    [
        ({"arrivals_min_files": 2, "arrivals_min_percent": 1000}, 2),
        ({"arrivals_min_percent": 50}, 1),
        ({"arrivals_min_percent": 51}, 2),
        ({"arrivals_min_files": 3, "arrivals_min_percent": 150}, 3),
    ],
)
def test_so_many_files_or_so_many_jets_are_enough(
    daemon_of: MakeDaemon, source: Path, policy: dict[str, int], enough: int
) -> None:
    daemon = daemon_of(**policy)
    daemon.work(daemon.add_run("calibration"))
    for number in range(enough):
        assert daemon.tick() == []
        write(source / f"more_{number}.root")
    assert len(daemon.tick()) == 1


def test_nothing_starts_before_the_source_is_quiet(daemon_of: MakeDaemon, source: Path) -> None:
    daemon = daemon_of(arrivals_quiet_seconds=60)
    assert daemon.look(1000.0) == ()
    write(source / "c.root")
    assert daemon.look(1050.0) == ()
    assert daemon.look(1109.0) == ()
    assert "if nothing else changes for 1 s" in daemon.said
    assert len(daemon.look(1110.0)) == 1


def test_a_dry_run_says_what_it_would_do_and_does_nothing(daemon_of: MakeDaemon) -> None:
    daemon = daemon_of(arrivals_dry_run=True)
    for _ in range(2):
        assert daemon.tick() == []
        assert daemon.said.startswith("dry run: files: 2 arrived")
        assert "would start calibration" in daemon.said
    assert daemon.instance.get_runs() == []
    assert len(daemon_of().tick()) == 1


def test_a_dry_run_does_not_carry_on_what_somebody_began(daemon_of: MakeDaemon) -> None:
    daemon = daemon_of(arrivals_dry_run=True, executor="kubernetes", trials=2)
    daemon.work(daemon.add_run("ingest", {RETRAINING: "mine"}))
    assert daemon.tick() == []
    assert "would start trials 000, trials 001" in daemon.said


@pytest.mark.parametrize("change", ["arrives", "is written over", "leaves"])
def test_every_kind_of_change_is_seen(daemon_of: MakeDaemon, source: Path, change: str) -> None:
    daemon = daemon_of()
    calibrate(daemon)
    if change == "arrives":
        write(source / "c.root")
    elif change == "is written over":
        write(source / "a.root")
    else:
        (source / "a.root").unlink()
    calibrate(daemon)


def test_a_change_that_is_undone_and_made_again_counts_each_time(daemon_of: MakeDaemon, source: Path) -> None:
    daemon = daemon_of()
    calibrate(daemon)
    parked = source / "c.parked"
    write(parked)
    for _ in range(2):
        parked.rename(source / "c.root")
        calibrate(daemon)
        (source / "c.root").rename(parked)
        calibrate(daemon)
    assert len(daemon.retrainings()) == 5


def test_a_file_that_came_while_the_run_began_is_not_calibrated_again(daemon_of: MakeDaemon, source: Path) -> None:
    daemon = daemon_of()
    (run,) = daemon.tick()
    write(source / "c.root")
    daemon.work(run)
    assert daemon.tick() == []
    assert "nothing changed" in daemon.said


def test_a_file_that_came_after_the_run_had_listed_them_is_not_missed(daemon_of: MakeDaemon, source: Path) -> None:
    daemon = daemon_of()
    (run,) = daemon.tick()
    daemon.work(run)
    write(source / "c.root")
    assert len(daemon.tick()) == 1


def test_a_tick_that_dies_before_its_runs_are_stored_loses_nothing(daemon_of: MakeDaemon) -> None:
    daemon = daemon_of(executor="kubernetes", trials=3)
    lost = daemon.evaluate()
    daemon.cursor = None
    (ingest,) = daemon.tick()
    assert ingest.tags[RETRAINING] == lost[0].tags[RETRAINING]
    daemon.work(ingest)
    daemon.start(daemon.evaluate()[1])  # one of three trials, then it died
    assert jobs_of(daemon.tick()) == [("trials", "000"), ("trials", "002")]


def test_a_tick_that_dies_after_its_run_was_stored_starts_nothing_twice(daemon_of: MakeDaemon) -> None:
    daemon = daemon_of()
    (request,) = daemon.evaluate()
    assert daemon.start(request)
    daemon.cursor = None
    assert daemon.tick() == []
    assert daemon.start(request) is None  # as Dagster does with what a dead tick had reserved


def test_a_daemon_that_starts_anew_goes_on_where_it_was(daemon_of: MakeDaemon, source: Path) -> None:
    settings = {"executor": "kubernetes", "trials": 1}
    (ingest,) = daemon_of(**settings).tick()
    assert daemon_of(**settings).tick() == []
    daemon_of(**settings).work(ingest)
    (trial,) = daemon_of(**settings).tick()
    daemon_of(**settings).work(trial)
    (publish,) = daemon_of(**settings).tick()
    daemon_of(**settings).work(publish)
    assert daemon_of(**settings).tick() == []
    write(source / "c.root")
    assert len(daemon_of(**settings).tick()) == 1


def test_runs_of_another_storage_root_are_not_repeated_for_ever(daemon_of: MakeDaemon, tmp_path: Path) -> None:
    daemon, elsewhere = daemon_of(), daemon_of(storage_root=str(tmp_path / "elsewhere"))
    (run,) = daemon.tick()
    elsewhere.work(run)
    for _ in range(3):
        assert daemon.tick() == []
    assert "look whether its runs have the JEC_SOURCE and JEC_STORAGE_ROOT" in daemon.said


def test_a_source_that_cannot_be_listed_is_a_failed_tick_and_no_change(daemon_of: MakeDaemon, source: Path) -> None:
    daemon = daemon_of()
    calibrate(daemon)
    source.rename(source.with_name("away"))
    with pytest.raises(SourceError, match=r"there are no \*\.root files"):
        daemon.look(0.0)
    source.with_name("away").rename(source)
    assert daemon.tick() == []
    assert "nothing changed" in daemon.said


def test_a_scheduled_retraining_is_carried_on_where_files_only_start_ingestion(daemon_of: MakeDaemon) -> None:
    daemon = daemon_of(arrivals="ingest", executor="kubernetes", trials=1)
    daemon.work(daemon.add_run("ingest", {RETRAINING: "scheduled-x", ACTION: "retrain"}))
    assert jobs_of(daemon.tick()) == [("trials", "000")]
