"""The sensor `retraining` as Dagster's daemon looks through it, on a real instance, one tick at a time.

Runs are stored as the daemon stores them, and end as a test says: what a job would publish, `Daemon.work` publishes.
That real jobs do so is tested in `test_real_daemon.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property

import dagster as dg
from dagster._core.events import DagsterEventType

from jec_assets.definitions import build_defs
from jec_assets.defs.automation.retraining import look
from jec_assets.defs.automation.runs import PARTITION, RETRAINING
from jec_assets.jets.arrivals import publish_calibrated_files
from jec_assets.jets.filtering import FilteredFile
from jec_assets.jets.manifest import POINTER, Manifest, ManifestRow
from jec_assets.jets.selection import EMPTY_CUTFLOW
from jec_assets.jets.sources import JetFile, list_files
from jec_assets.jets.splits import SHARES, Split
from jec_assets.settings import Settings
from jec_assets.storage import Storage

RUN_KEY = "dagster/run_key"


@dataclass
class Daemon:
    """A daemon, its sensor's cursor and what it said last."""

    settings: Settings
    instance: dg.DagsterInstance
    cursor: str | None = None
    said: str = ""
    storage: Storage = field(init=False)

    def __post_init__(self) -> None:
        self.storage = Storage(self.settings.storage_root)

    def tick(self) -> list[dg.DagsterRun]:
        """Let the sensor look once; the runs that were started."""
        return [run for run in map(self.start, self.evaluate()) if run]

    def evaluate(self) -> Sequence[dg.RunRequest]:
        """What the sensor requests; its cursor is kept."""
        context = dg.build_sensor_context(
            self.instance,
            self.cursor,
            repository_def=self._repository,
            resources={"settings": self.settings, "storage": self.storage},
        )
        with context:
            data = self._repository.get_sensor_def("retraining").evaluate_tick(context)
        self.cursor, self.said = data.cursor, data.skip_message or ""
        return data.run_requests or []

    @cached_property
    def _repository(self) -> dg.RepositoryDefinition:
        return build_defs(self.settings).get_repository_def()

    def look(self, now: float) -> Sequence[dg.RunRequest]:
        """The same at a moment of choice, and without building definitions."""
        seen = look(self.instance, self.settings, self.storage, self.cursor, now)
        self.cursor, self.said = seen.cursor or self.cursor, seen.reason
        return seen.requests

    def start(self, request: dg.RunRequest) -> dg.DagsterRun | None:
        """Store the requested run as started, unless there is one of its key: that is what a run key is for."""
        if self.instance.get_runs(dg.RunsFilter(tags={RUN_KEY: str(request.run_key)})):
            return None
        tags = {**request.tags, RUN_KEY: str(request.run_key)}
        if request.partition_key:
            tags[PARTITION] = request.partition_key
        assert request.job_name
        return self.add_run(request.job_name, tags)

    def add_run(self, job: str, tags: dict[str, str] | None = None) -> dg.DagsterRun:
        """Store a run that somebody started."""
        status = dg.DagsterRunStatus.STARTED
        return self.instance.add_run(dg.DagsterRun(job, run_id=str(uuid.uuid4()), tags=tags or {}, status=status))

    def work(self, run: dg.DagsterRun) -> None:
        """Do what the run's job does as far as a sensor can see it, and end the run well."""
        if run.job_name in {"calibration", "ingest"}:
            publish_jets(self.storage, list_files(self.settings.source))
        if run.job_name in {"calibration", "publish"}:
            publish_calibrated_files(self.storage)
        self.end(run)

    def end(self, run: dg.DagsterRun, how: DagsterEventType = DagsterEventType.RUN_SUCCESS) -> None:
        """End a run."""
        self.instance.report_dagster_event(dg.DagsterEvent(how.value, run.job_name), run.run_id)

    @property
    def unfinished(self) -> list[dg.DagsterRun]:
        """The runs that have not ended, oldest first."""
        return [*reversed(self.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])))]

    def retrainings(self) -> list[str]:
        """Names of all retrainings, oldest first."""
        names = [run.tags[RETRAINING] for run in reversed(self.instance.get_runs()) if RETRAINING in run.tags]
        return [*dict.fromkeys(names)]


def publish_jets(storage: Storage, files: Sequence[JetFile]) -> None:
    """What `ingest` publishes of these files, as far as listings go."""
    rows = [
        ManifestRow(
            FilteredFile(each.url, each.size, each.etag, f"{each.url} {each.etag}", "key", EMPTY_CUTFLOW, True, 0.0),
            duplicates=0,
            read_now=True,
        )
        for each in files
    ]
    digests = [str(row.file.digest) for row in rows]
    storage.publish_json(POINTER, asdict(Manifest(tuple(rows), digests, "index", "extended", "version")))
    for name in SHARES:
        split = Split(name, "digest", 1, 1, 1, "key", "extended")
        storage.publish_json(f"splits/{name}.json", {**asdict(split), "files": digests})
