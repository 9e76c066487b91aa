"""Dagster on a test cluster, by what deployments/kubernetes/base holds: servers, accounts, settings.

What differs, because the test cluster runs Pods as processes of this machine: they find the API server and their
account's token by a kubeconfig instead of a mounted file, have a work folder of their own instead of a volume, and
addresses of this machine instead of names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import yaml
from kubernetes import client
from kubernetes.utils import create_from_dict

from jec_assets_tests.deployments.rendered import BASE, Manifest, accounts_and_rights, of_kind, rendered
from jec_assets_tests.kubernetes.access import S3_KEYS
from jec_assets_tests.kubernetes.conftest import Cluster
from jec_assets_tests.postgres import DATABASE, PASSWORD, USER
from jec_assets_tests.processes import free_port, wait_for_port

BUCKET = "jec"
ENDPOINT_TOKEN = "who may load models"  # noqa: S105 - of a test
EXEC_API = "client.authentication.k8s.io/v1"
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}
PATIENCE = 240  # seconds that a busy machine may take to start or end something
RUN_SECONDS = 600  # that it may take for a run


@dataclass(frozen=True)
class Services:
    """What an installation stands on: addresses of S3 and PostgreSQL."""

    s3: str
    postgres_port: int


@dataclass(frozen=True)
class Installation:
    """A running one.

    environment: of whoever operates it from here, with the rights of the daemon. instance: to look at runs and events
    """

    cluster: Cluster
    namespace: str
    folder: Path
    environment: dict[str, str]
    instance: dg.DagsterInstance

    def launch(self, job: str, tags: dict[str, str] | None = None) -> str:
        """Put a run of a job into the queue; its id."""
        run_id = str(uuid.uuid4())
        self._dagster("job", "launch", "-j", job, "--run-id", run_id, "--tags", json.dumps(tags or {}))
        return run_id

    def backfill(self, job: str, *partitions: str) -> None:
        """Put a run for each partition into the queue."""
        self._dagster("job", "backfill", "-j", job, "--partitions", ",".join(partitions), "--noprompt")

    def switch_on(self, sensor: str) -> None:
        """Have the daemon look through a sensor."""
        self._dagster("sensor", "start", sensor)

    def runs(self, tags: dict[str, str]) -> dict[str, dg.DagsterRun]:
        """The runs with these tags, by id."""
        return {run.run_id: run for run in self.instance.get_runs(filters=dg.RunsFilter(tags=tags))}

    def status(self, run_id: str) -> str:
        """Of a run, as the UI shows it."""
        run = self.instance.get_run_by_id(run_id)
        return run.status.value if run else "not there"

    def end_of(self, run_id: str, seconds: float = RUN_SECONDS) -> str:
        """The status that a run ends with, as soon as it has."""
        return self.ends_of([run_id], seconds)[0]

    def ends_of(self, run_ids: Sequence[str], seconds: float = RUN_SECONDS) -> list[str]:
        """The statuses that runs end with, as soon as all have."""

        def running() -> list[str]:
            return [run_id for run_id in run_ids if self.status(run_id) not in ENDED]

        try:
            wait_until(lambda: not running(), seconds, "runs don't end")
        except TimeoutError as error:
            error.add_note("\n".join(map(self.log, running())))
            raise
        return [self.status(run_id) for run_id in run_ids]

    def log(self, run_id: str) -> str:
        """What the event log says of a run: a line an event, with its type, its step and what was the matter."""
        return "\n".join(map(_line, self.instance.all_logs(run_id)))

    def said(self, run_id: str) -> str:
        """What its assets said, a line each."""
        entries = self.instance.all_logs(run_id)
        return "\n".join(entry.user_message for entry in entries if entry.dagster_event is None)

    def jobs(self, run_id: str) -> list[client.V1Job]:
        """The Kubernetes Jobs of a run, its own and those of its steps."""
        batch = client.BatchV1Api(self.cluster.api)
        return list(batch.list_namespaced_job(self.namespace, label_selector=f"dagster/run-id={run_id}").items)

    def pods(self, run_id: str, component: str) -> list[client.V1Pod]:
        """The Pods of a run (`run_worker`), or of its steps (`step_worker`)."""
        core = client.CoreV1Api(self.cluster.api)
        chosen = f"dagster/run-id={run_id},app.kubernetes.io/component={component}"
        return list(core.list_namespaced_pod(self.namespace, label_selector=chosen).items)

    def _dagster(self, *arguments: str) -> None:
        command = [_program("dagster"), *arguments, "-w", str(self.folder / "workspace.yaml")]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-5000:]


def _line(entry: dg.EventLogEntry) -> str:
    event = entry.dagster_event
    if event is None:
        return f"{entry.level} {entry.step_key} {entry.user_message}"
    error = getattr(event.event_specific_data, "error", None)
    reasons = [each.message.strip() for each in (error, error and error.cause) if each]
    return f"{event.event_type_value} {event.step_key} {event.message} {' '.join(reasons)}"


def _program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


@contextmanager
def installed(
    cluster: Cluster, namespace: str, folder: Path, services: Services, settings: dict[str, str]
) -> Iterator[Installation]:
    """An installation while the block lasts. settings: what they are to be instead of the base's."""
    for manifest in accounts_and_rights(namespace):
        create_from_dict(cluster.api, manifest)
    _write_tokens(cluster, namespace, folder)
    (folder / "endpoint_token").write_text(ENDPOINT_TOKEN)
    (folder / "pods").mkdir()
    port = free_port()
    (folder / "dagster.yaml").write_text(yaml.safe_dump(_instance(folder, services)))
    location = {"host": "127.0.0.1", "port": port, "location_name": "jec_assets"}
    (folder / "workspace.yaml").write_text(yaml.safe_dump({"load_from": [{"grpc_server": location}]}))
    config_map = _config_map(namespace, folder, services) | settings
    _apply_environment(cluster, namespace, config_map)
    secrets = S3_KEYS | {"DAGSTER_PG_PASSWORD": PASSWORD}
    environment = os.environ | config_map | secrets | {"DAGSTER_HOME": str(folder), "TEST_ACCOUNT": "jec-dagster"}
    apps = client.AppsV1Api(cluster.api)
    with _ended_at_last(cluster, namespace), _event_log(folder, services) as instance:
        apps.create_namespaced_deployment(namespace, _deployment("jec-code", folder, port))
        wait_for_port(port, PATIENCE)
        apps.create_namespaced_deployment(namespace, _deployment("jec-daemon", folder, port))
        yield Installation(cluster, namespace, folder, environment, instance)


@contextmanager
def _event_log(folder: Path, services: Services) -> Iterator[dg.DagsterInstance]:
    """Dagster's storage and nothing else of its instance."""
    (folder / "log").mkdir()
    url = f"postgresql://{USER}:{quote(PASSWORD)}@127.0.0.1:{services.postgres_port}/{DATABASE}"
    kept = {"storage": {"postgres": {"postgres_url": url}}, "telemetry": {"enabled": False}}
    (folder / "log" / "dagster.yaml").write_text(yaml.safe_dump(kept))
    with dg.DagsterInstance.from_config(str(folder / "log")) as instance:
        yield instance


def _deployment(name: str, folder: Path, port: int) -> Manifest:
    """The base's, as a Pod of the test cluster can run it."""
    text = json.dumps(of_kind(rendered(BASE), "Deployment")[name]).replace("/opt/dagster/dagster_home", str(folder))
    manifest: Manifest = json.loads(text.replace('"4000"', f'"{port}"').replace('"0.0.0.0"', '"127.0.0.1"'))
    del manifest["metadata"]["namespace"]
    manifest["spec"]["strategy"] = {"type": "Recreate"}
    [container] = manifest["spec"]["template"]["spec"]["containers"]
    container["env"] += [{"name": "DAGSTER_HOME", "value": str(folder)}, *_own(camel=True)]
    container["workingDir"] = str(folder / "pods")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        container.pop(probe, None)  # of gRPC: newer than the test cluster's API
    return manifest


@contextmanager
def _ended_at_last(cluster: Cluster, namespace: str) -> Iterator[None]:
    """End everything, Dagster's servers first, and wait for it: a namespace lets its Pods go later than a test ends."""
    core, batch, apps = client.CoreV1Api(cluster.api), client.BatchV1Api(cluster.api), client.AppsV1Api(cluster.api)
    try:
        yield
    finally:
        _remove_all(core, batch, apps, namespace)


def _remove_all(core: client.CoreV1Api, batch: client.BatchV1Api, apps: client.AppsV1Api, namespace: str) -> None:
    apps.delete_collection_namespaced_deployment(namespace)
    batch.delete_collection_namespaced_job(namespace, propagation_policy="Background")
    core.delete_collection_namespaced_pod(namespace, grace_period_seconds=2)
    wait_until(lambda: not core.list_namespaced_pod(namespace).items, PATIENCE, f"Pods of {namespace} don't end")


def _instance(folder: Path, services: Services) -> Manifest:
    """The base's dagster.yaml with this machine's differences, and less patience."""
    instance: Manifest = yaml.safe_load((BASE / "dagster.yaml").read_text())
    instance["storage"]["postgres"]["postgres_db"]["port"] = services.postgres_port
    launcher = instance["run_launcher"]["config"]
    launcher |= {"load_incluster_config": False, "dagster_home": str(folder)}
    container = launcher["run_k8s_config"]["container_config"]
    container |= {"env": _own(camel=False), "working_dir": str(folder / "pods")}
    instance["concurrency"]["pools"]["default_limit"] = 5
    instance["run_monitoring"] |= {"poll_interval_seconds": 5, "free_slots_after_run_end_seconds": 5}
    return instance


def _own(camel: bool) -> list[Manifest]:
    """What is each Pod's own: a work folder, below its working folder, and a token."""
    source, field, path = ("valueFrom", "fieldRef", "fieldPath") if camel else ("value_from", "field_ref", "field_path")
    own = {"JEC_WORK_FOLDER": "metadata.name", "TEST_ACCOUNT": "spec.serviceAccountName"}
    return [{"name": name, source: {field: {path: of}}} for name, of in own.items()]


def _config_map(namespace: str, folder: Path, services: Services) -> dict[str, str]:
    """The base's settings, and what an overlay would add."""
    lines = [line for line in (BASE / "settings.env").read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines) | {
        "JEC_NAMESPACE": namespace,
        "AWS_ENDPOINT_URL": services.s3,
        "DAGSTER_LOGS_BUCKET": BUCKET,
        "DAGSTER_PG_HOST": "127.0.0.1",
        "DAGSTER_PG_USERNAME": USER,
        "DAGSTER_PG_DB": DATABASE,
        "KUBECONFIG": str(folder / "kubeconfig"),
        "JEC_ENDPOINT_TOKEN_FILE": str(folder / "endpoint_token"),
    }


def _apply_environment(cluster: Cluster, namespace: str, config_map: dict[str, str]) -> None:
    core = client.CoreV1Api(cluster.api)
    settings = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="jec-settings"), data=config_map)
    core.create_namespaced_config_map(namespace, settings)
    secrets = {
        "jec-s3": S3_KEYS,
        "jec-postgres": {"postgresql-password": PASSWORD},
        "jec-endpoint": {"token": ENDPOINT_TOKEN},
    }
    for name, data in secrets.items():
        secret = client.V1Secret(metadata=client.V1ObjectMeta(name=name), string_data=data)
        core.create_namespaced_secret(namespace, secret)


def _write_tokens(cluster: Cluster, namespace: str, folder: Path) -> None:
    """A kubeconfig that is each account's own: the token is that of TEST_ACCOUNT."""
    core = client.CoreV1Api(cluster.api)
    for account in ("jec-dagster", "jec-run", "jec-code"):
        asked = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[]))
        token = core.create_namespaced_service_account_token(account, namespace, asked).status.token
        credential = {"apiVersion": EXEC_API, "kind": "ExecCredential", "status": {"token": token}}
        (folder / f"{account}.json").write_text(json.dumps(credential))
    configuration = yaml.safe_load(cluster.kubeconfig.read_text())
    command = {"apiVersion": EXEC_API, "command": "sh", "args": ["-c", f'cat "{folder}/$TEST_ACCOUNT.json"']}
    configuration["users"] = [{"name": "admin", "user": {"exec": command | {"interactiveMode": "Never"}}}]
    (folder / "kubeconfig").write_text(yaml.safe_dump(configuration))


def wait_until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until something holds; TimeoutError, with what was waited for, after so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds} s: {what}")
        time.sleep(0.5)
