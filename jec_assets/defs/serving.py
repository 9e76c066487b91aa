"""Assets of the endpoint: onnx_repository -> served_endpoint -> latency_benchmark.

Belongs here: which server serves, rolling out what is staged, and measuring it. Does not belong here: how
(`jec_assets.serving`).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import dagster as dg

from jec_assets import serving
from jec_assets.defs.alive import alive
from jec_assets.defs.families import families_at_hand, present_of
from jec_assets.defs.kubernetes import LATENCY, SERVING
from jec_assets.defs.metadata import markdown_table, report_metadata
from jec_assets.defs.onnx import instances_of
from jec_assets.defs.resources import SettingsParam, StorageParam
from jec_assets.evaluation.bootstrap import Resampling
from jec_assets.jets.dataset import load_split
from jec_assets.reports.latency import latency_report
from jec_assets.reports.publishing import publish
from jec_assets.reports.sources import sources
from jec_assets.serving.command_line import Ports
from jec_assets.serving.config import InstanceSettings
from jec_assets.serving.deployment import load_served
from jec_assets.serving.endpoint import Endpoint, existing_endpoint
from jec_assets.serving.instances import sessions as sessions_of
from jec_assets.serving.kubernetes.applying import ClusterTriton, Reached
from jec_assets.serving.kubernetes.plan import PORTS, EndpointPlan
from jec_assets.serving.latency import LatencyPlan, measure
from jec_assets.serving.level_latency import measure_levels
from jec_assets.serving.load import LoadPlan, measure_load
from jec_assets.serving.repository import ModelRepository
from jec_assets.serving.rollout import RolloutPolicy, first_jets
from jec_assets.serving.rollout_log import RolloutRecord
from jec_assets.serving.runtime import inference_session
from jec_assets.serving.selftest import self_test
from jec_assets.serving.served import load_endpoint, publish_endpoint
from jec_assets.serving.served_levels import measure_served_levels
from jec_assets.serving.setup import repository_of
from jec_assets.serving.staged import roll_out_staged
from jec_assets.serving.triton import LocalTriton
from jec_assets.serving.watch import serve_watched
from jec_assets.settings import Settings
from jec_assets.storage import code_digest, digest_of

CODE_VERSION = code_digest(serving)
GROUP = "serving"
SELF_TEST_JETS = 256
MIRRORED_JETS = 10_000  # of a roll-out
ROLLED_OUT = "staged_versions_are_served"
SERVED_THREADS = InstanceSettings().threads
ROLLOUT_COLUMNS = ["model", "served", "staged", "check", "holds", "found"]
LEVEL_SIZES = (2, 64)  # of batches at each graph level: for the largest networks, larger ones take a minute


@dg.asset(
    group_name=GROUP,
    kinds={"triton"},
    code_version=CODE_VERSION,
    deps=["onnx_repository", "validation_jets"],
    op_tags=SERVING,
    check_specs=[
        dg.AssetCheckSpec(
            ROLLED_OUT,
            asset="served_endpoint",
            description="Every staged version, served beside the one before, answered the same jets with numbers, no "
            "worse, not too differently, in time. Otherwise it is withdrawn, and the one before stays served.",
        )
    ],
)
@alive
def served_endpoint(
    context: dg.AssetExecutionContext, settings: SettingsParam, storage: StorageParam
) -> dg.MaterializeResult:
    """A running Triton with every published model loaded, whose answers equal ONNX Runtime's on real jets.

    What is staged is served beside what was there before, and in its place if the checks hold. It stays up after the
    run: on this machine until `make stop`, on a cluster until somebody deletes it.
    """
    repository, families = repository_of(settings, storage), families_at_hand(settings, storage)
    endpoint, jets = _endpoint(settings, repository, context.log.info), load_split(storage, "validation")
    tested = jets.packed.slice(0, SELF_TEST_JETS)
    for model in load_served(endpoint, repository, families):
        self_test(endpoint, repository, model, tested)
    publish_endpoint(storage, endpoint)
    policies = {family: _rollout_policy(settings, family) for family in families}
    mirrored = first_jets(jets, MIRRORED_JETS)
    rollouts = roll_out_staged(endpoint, repository, policies, mirrored, by=f"run {context.run_id}")
    models = repository.served(families)
    tests = [self_test(endpoint, repository, model, tested) for model in models]
    context.log.info(f"{endpoint.url} serves {', '.join(f'{each.family} {each.version}' for each in tests)}")
    rows = [tuple(asdict(each).values()) for each in tests]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(digest_of([model.onnx_digest for model in models])),
        metadata={
            "url": dg.MetadataValue.url(endpoint.url),
            "grpc": endpoint.grpc,
            "self_test": markdown_table(["model", "version", "jets", "largest |served - computed here|"], rows),
            "sessions": markdown_table(["model", "version", "execution providers", "threads"], _sessions(endpoint)),
            "rollouts": markdown_table(ROLLOUT_COLUMNS, _rollout_rows(rollouts)),
        },
        check_results=[_rollout_check(rollouts)],
    )


@dg.asset(
    group_name=GROUP,
    kinds={"triton"},
    code_version=CODE_VERSION,
    deps=[served_endpoint, "test_jets"],
    op_tags=LATENCY,
)
def latency_benchmark(
    context: dg.AssetExecutionContext, settings: SettingsParam, storage: StorageParam
) -> dg.MaterializeResult:
    """Round trip, compute and overhead per family, protocol and batch size, on random test jets (Fig. 8), and load."""
    present = present_of(settings, storage)
    endpoint, provenance = load_endpoint(storage), sources("latency", present)
    # What is timed is what is published, even if a newer version was published since the endpoint was materialized.
    repository = repository_of(settings, storage)
    models = load_served(endpoint, repository, present.families)
    graphs, jets = {model.family: repository.onnx(model) for model in models}, load_split(storage, "test").packed
    sessions = {family: inference_session(graph, SERVED_THREADS) for family, graph in graphs.items()}
    plan = LatencyPlan(settings.latency_repetitions, settings.latency_seconds, seed=settings.seed)
    latencies = measure(endpoint, sessions, jets, plan, context.log.info)
    levels = measure_levels(graphs, SERVED_THREADS, jets, replace(plan, batch_sizes=LEVEL_SIZES), context.log.info)
    loads = measure_load(endpoint, sessions, jets, LoadPlan(settings.load_seconds), context.log.info)
    measured = models if settings.latency_graph_levels else ()
    served_levels = measure_served_levels(endpoint, repository, measured, jets, plan, context.log.info)
    report = latency_report(latencies, levels, loads, served_levels)
    published = publish(storage, report, {**provenance, "endpoint": endpoint.url})
    return dg.MaterializeResult(
        data_version=dg.DataVersion(published.digest), metadata=report_metadata(storage, report)
    )


ASSETS = [served_endpoint, latency_benchmark]


def _rollout_policy(settings: Settings, family: str) -> RolloutPolicy:
    return RolloutPolicy(
        Resampling(settings.bootstrap_resamples, settings.seed),
        settings.rollout_max_change,
        settings.rollout_max_slowdown,
        instances_of(settings, family),
    )


def _rollout_rows(rollouts: Sequence[RolloutRecord]) -> list[tuple[object, ...]]:
    return [
        (each.result.family, each.result.served, each.result.candidate, check.name, check.passed, check.finding)
        for each in rollouts
        for check in each.result.checks
    ]


def _rollout_check(rollouts: Sequence[RolloutRecord]) -> dg.AssetCheckResult:
    withdrawn = [f"{each.result.family}: {each.summary}" for each in rollouts if not each.result.promoted]
    return dg.AssetCheckResult(
        passed=not withdrawn,
        check_name=ROLLED_OUT,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"withdrawn": "\n".join(withdrawn) or "none"},
    )


def _sessions(endpoint: Endpoint) -> list[tuple[object, ...]]:
    """What computes, as the server itself says; nothing of one that doesn't show its metrics."""
    if endpoint.metrics is None:
        return []
    return [(each.model, each.version, ", ".join(each.providers), each.threads) for each in sessions_of(endpoint)]


def _endpoint(settings: Settings, repository: ModelRepository, say: Callable[[str], object]) -> Endpoint:
    ports = Ports.from_first(settings.endpoint_port)
    if settings.endpoint == "url":
        token_file = settings.endpoint_token_file
        return existing_endpoint(settings.endpoint_url, settings.endpoint_grpc_url, token_file)
    if settings.endpoint == "kubernetes":
        return _on_cluster(settings, repository.uri, ports or PORTS).apply(settings.endpoint_seconds, say)
    return serve_watched(LocalTriton(settings.work_folder, ports), repository.uri, ())


def _on_cluster(settings: Settings, repository: str, ports: Ports) -> ClusterTriton:
    image, command = settings.triton_image, settings.triton_command
    return ClusterTriton(
        settings.namespace,
        EndpointPlan(repository, image, command, ports, settings.endpoint_replicas, settings.endpoint_gpus),
        Reached(settings.endpoint_token_file, settings.endpoint_url, settings.endpoint_grpc_url),
        settings.endpoint_workload,
    )
