"""When an InferenceService is ready. KServe's controller is not here: the statuses are written after its schema."""

from __future__ import annotations

from typing import Any

from jec_assets.serving.kubernetes.inference_service import inference_service, what_lacks
from jec_assets.serving.kubernetes.plan import EndpointPlan
from jec_assets_tests.kserve import validate

PLAN = EndpointPlan("s3://bucket/models", "triton:1", ("tritonserver",))


def _held(observed: int, *conditions: dict[str, str]) -> dict[str, Any]:
    held = inference_service(PLAN)
    held["metadata"]["generation"] = 2
    held["status"] = {"observedGeneration": observed, "conditions": list(conditions)}
    validate(held)
    return held


def test_one_that_kserve_has_not_seen_is_not_ready() -> None:
    before = {"type": "Ready", "status": "True"}
    assert what_lacks(_held(1, before)) == "KServe hasn't begun with it"
    bare = inference_service(PLAN)
    bare["metadata"]["generation"] = 1
    assert what_lacks(bare) == "KServe hasn't begun with it"


def test_what_is_not_ready_says_why() -> None:
    lacking = {"type": "PredictorReady", "status": "False", "message": "0 of 1 replicas"}
    lacks = what_lacks(
        _held(2, {"type": "IngressReady", "status": "True"}, lacking, {"type": "Ready", "status": "Unknown"})
    )
    assert lacks == "PredictorReady: 0 of 1 replicas; Ready: not yet"
    assert what_lacks(_held(2)) == "KServe hasn't said anything of it"


def test_ready_is_ready() -> None:
    assert what_lacks(_held(2, {"type": "Ready", "status": "True"})) is None
