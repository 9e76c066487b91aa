"""Alerts and dashboard ask for metrics that exist: Triton's are compared with those of a running server.

Neither kube-state-metrics nor a GPU is at hand in every test: their metrics are held against names that are documented.
"""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from jec_assets.serving.kubernetes.deployment import deployment
from jec_assets.serving.kubernetes.plan import EndpointPlan
from jec_assets_tests.deployments.rendered import DEPLOYMENTS, of_kind, rendered
from jec_assets_tests.serving.conftest import serving, small_network

MONITORING = DEPLOYMENTS / "monitoring"
METRIC = re.compile(r"\b(?:nv|kube|jec)_[a-z0-9_]+")
# https://github.com/kubernetes/kube-state-metrics, docs/metrics/workload; all of them marked STABLE there, or in use
# since version 1.
KUBE_STATE_METRICS = {
    "kube_deployment_status_replicas_available",
    "kube_job_status_active",
    "kube_job_status_failed",
    "kube_pod_container_status_terminated_reason",
    "kube_pod_status_phase",
}
# Without a GPU Triton shows none of these, which its docs/user_guide/metrics.md names.
TRITON_ON_GPUS = {"nv_gpu_memory_total_bytes", "nv_gpu_memory_used_bytes", "nv_gpu_utilization"}


def _rules() -> list[dict[str, Any]]:
    groups = of_kind(rendered(MONITORING), "PrometheusRule")["jec"]["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _dashboard() -> dict[str, Any]:
    text = of_kind(rendered(MONITORING), "ConfigMap")["jec-dashboard"]["data"]["dashboard.json"]
    dashboard: dict[str, Any] = json.loads(text)
    return dashboard


def _metrics() -> set[str]:
    shown = [target["expr"] for panel in _dashboard()["panels"] for target in panel["targets"]]
    return {metric for asked in [*shown, *(rule["expr"] for rule in _rules())] for metric in METRIC.findall(asked)}


@pytest.fixture(scope="module")
def pfn_onnx() -> bytes:
    from jec_assets.serving.export import export_onnx

    return export_onnx(small_network("pfn", seed=1))


@pytest.mark.needs("triton")
def test_triton_has_the_metrics_that_are_asked_of_it(tmp_path: Path, pfn_onnx: bytes) -> None:
    with serving(tmp_path, "pfn", pfn_onnx) as served:
        page = urllib.request.urlopen(f"http://{served.endpoint.metrics}/metrics", timeout=60).read().decode()
    on_any_machine = set(re.findall(r"^# HELP (\w+)", page, re.MULTILINE))
    asked = {metric for metric in _metrics() if metric.startswith("nv_")}
    assert {"nv_inference_request_success", "nv_inference_request_failure"} <= asked
    assert asked - on_any_machine == TRITON_ON_GPUS


def test_kubernetes_metrics_are_known_ones() -> None:
    assert {metric for metric in _metrics() if not metric.startswith("nv_")} == KUBE_STATE_METRICS


def test_every_alert_says_what_is_wrong_and_where_to_look() -> None:
    rules = _rules()
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in {"warning", "critical"}, rule["alert"]
        assert rule["annotations"]["summary"], rule["alert"]
        assert rule["annotations"]["description"], rule["alert"]
        assert 'namespace="jec"' in rule["expr"], rule["alert"]


def test_the_dashboards_panels_do_not_overlap_and_have_a_unit() -> None:
    panels = _dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}) == len(panels)
    assert all(panel["fieldConfig"]["defaults"]["unit"] for panel in panels)
    assert len({panel["title"] for panel in panels}) == len(panels)


def test_prometheus_finds_the_endpoints_pods_and_their_port() -> None:
    spec = of_kind(rendered(MONITORING), "PodMonitor")["jec-endpoint"]["spec"]
    made = deployment(EndpointPlan("s3://any/models", "any:1", ("tritonserver",)))["spec"]["template"]
    assert spec["selector"]["matchLabels"].items() <= made["metadata"]["labels"].items()
    [port] = [each["port"] for each in spec["podMetricsEndpoints"]]
    assert port in {each["name"] for container in made["spec"]["containers"] for each in container["ports"]}
