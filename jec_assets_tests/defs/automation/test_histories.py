"""Random histories of a source, of looks at it and of runs: nothing is missed, nothing is started twice."""

from __future__ import annotations

import os
import shutil
import tempfile
from itertools import pairwise
from pathlib import Path

import dagster as dg
from dagster._core.events import DagsterEventType
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jec_assets.defs.automation.retraining import policy_of
from jec_assets.defs.automation.runs import CHANGE, RETRAINING
from jec_assets.jets.arrivals import calibrated_files, change_between
from jec_assets.jets.sources import list_files, source_version
from jec_assets.settings import Settings
from jec_assets_tests.defs.automation.daemon import RUN_KEY, Daemon

QUIET, ATTEMPTS, TRIALS = 50.0, 2, 2
ENDS = [DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED]
NAMES, SECONDS = st.sampled_from(["a", "b"]), st.sampled_from([1.0, 60.0])


class Histories(RuleBasedStateMachine):
    """What can happen on a cluster, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.source = self.folder / "source"
        self.source.mkdir()
        self.instance = dg.DagsterInstance.ephemeral()
        self.daemon = Daemon(
            Settings(
                source=str(self.source),
                storage_root=str(self.folder / "storage"),
                executor="kubernetes",
                trials=TRIALS,
                arrivals_min_files=1,
                arrivals_min_percent=60,
                arrivals_quiet_seconds=QUIET,
                arrivals_attempts=ATTEMPTS,
            ),
            self.instance,
        )
        self.now = 1000.0
        self.seen: list[tuple[float, str]] = []
        self._write("first", 10)

    def _write(self, name: str, size: int) -> None:
        """As an S3 object's ETag, a time that depends on the content alone: what is written again is the same again."""
        path = self.source / f"{name}.root"
        path.write_bytes(b"." * size)
        os.utime(path, ns=(0, size))

    @rule(name=NAMES, size=st.sampled_from([1, 10]))
    def write(self, name: str, size: int) -> None:
        self._write(name, size)

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        (self.source / f"{name}.root").unlink(missing_ok=True)

    @rule(seconds=SECONDS)
    def tick(self, seconds: float) -> None:
        self.now += seconds
        for request in self._look():
            self.daemon.start(request)

    @rule(seconds=SECONDS, stored=st.integers(0, 2), cursor_is_lost=st.booleans())
    def tick_that_dies(self, seconds: float, stored: int, cursor_is_lost: bool) -> None:
        self.now += seconds
        before, known = self.daemon.cursor, len(self.seen)
        for request in self._look()[:stored]:
            self.daemon.start(request)
        self.daemon.cursor = None if cursor_is_lost else before
        del self.seen[known:]  # what nobody else saw is forgotten with it

    @precondition(lambda self: self.daemon.unfinished)
    @rule(how=st.sampled_from(ENDS), which=st.integers(0, 9))
    def run_ends(self, how: DagsterEventType, which: int) -> None:
        run = self.daemon.unfinished[which % len(self.daemon.unfinished)]
        if how == DagsterEventType.RUN_SUCCESS:
            self.daemon.work(run)
        else:
            self.daemon.end(run, how)

    @precondition(lambda self: self.daemon.unfinished)
    @rule()
    def all_goes_well(self) -> None:
        self._settle()

    def teardown(self) -> None:
        """However it stands: before long nothing is left to do, or it is said why; and one more change goes through."""
        try:
            self._settle()
            change = self._change()
            if policy_of(self.daemon.settings).is_reached_by(change):
                assert self._changes()[-1] == change.version, "a change was missed"
                assert "of this change ended as" in self.daemon.said
            self._write("large", 10_000)
            self._settle()
            assert calibrated_files(self.daemon.storage) == list_files(str(self.source))
        finally:
            self.instance.dispose()
            shutil.rmtree(self.folder)

    @invariant()
    def no_run_is_started_twice(self) -> None:
        keys = [run.tags[RUN_KEY] for run in self.instance.get_runs()]
        assert len(keys) == len(set(keys))

    @invariant()
    def one_job_of_one_retraining_at_a_time(self) -> None:
        assert len({(run.job_name, run.tags[RETRAINING]) for run in self.daemon.unfinished}) <= 1

    @invariant()
    def no_change_is_answered_twice_in_a_row(self) -> None:
        assert all(one != other for one, other in pairwise(self._changes()))

    def _change(self):
        return change_between(calibrated_files(self.daemon.storage), list_files(str(self.source)))

    def _changes(self) -> list[str]:
        """What each retraining answers, oldest first."""
        firsts = [run for run in reversed(self.instance.get_runs()) if run.job_name == "ingest"]
        return [*{run.tags[RETRAINING]: run.tags[CHANGE] for run in firsts}.values()]

    def _settle(self) -> None:
        for _ in range(10):
            for run in self.daemon.unfinished:
                self.daemon.work(run)
            for _ in range(2):
                self.tick(2 * QUIET)
            if not self.daemon.unfinished:
                return
        raise AssertionError(f"it does not end: {self.daemon.said}")

    def _look(self) -> list[dg.RunRequest]:
        """A look; what it begins is allowed by the policy, and the source was quiet in all looks of that time."""
        names, change = set(self.daemon.retrainings()), self._change()
        requests = [*self.daemon.look(self.now)]
        if "running" not in self.daemon.said and "retraining" not in self.daemon.said.split(";")[0]:
            self.seen.append((self.now, source_version(list_files(str(self.source)))))
        if requests and requests[0].tags[RETRAINING] not in names:
            assert policy_of(self.daemon.settings).is_reached_by(change)
            same = []
            for moment, version in reversed(self.seen):
                if version != self.seen[-1][1]:
                    break
                same.append(moment)
            assert self.now - min(same) >= QUIET
        return requests


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
