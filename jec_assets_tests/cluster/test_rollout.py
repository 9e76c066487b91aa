"""When a Deployment is rolled out completely."""

from __future__ import annotations

from typing import Any

import pytest

from jec_assets.cluster.rollout import deployment_lacks

DONE = {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


def _deployment(**status: int) -> dict[str, Any]:
    return {"metadata": {"generation": 3}, "spec": {"replicas": 2}, "status": status}


@pytest.mark.parametrize(
    ("change", "lacks"),
    [
        ({"observedGeneration": 2}, "hasn't begun"),
        ({"updatedReplicas": 1}, "1 of 2 replicas are made as applied"),
        ({"replicas": 3}, "1 of the replicas before still run"),
        ({"availableReplicas": 1}, "1 of 2 replicas are ready"),
    ],
)
def test_each_thing_that_lacks_is_told(change: dict[str, int], lacks: str) -> None:
    assert deployment_lacks(_deployment(**DONE)) is None
    assert lacks in str(deployment_lacks(_deployment(**(DONE | change))))


def test_one_that_was_just_made_has_no_status() -> None:
    assert deployment_lacks({"metadata": {"generation": 1}, "spec": {}}) == "the cluster hasn't begun with it"
