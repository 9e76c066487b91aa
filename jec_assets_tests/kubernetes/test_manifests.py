"""A real API server takes every object of the overlays. Its kinds are of 1.20: newer fields are held by other tests."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from kubernetes.utils import create_from_dict

from jec_assets_tests.deployments.rendered import OVERLAYS, rendered
from jec_assets_tests.kubernetes.conftest import Cluster

pytestmark = pytest.mark.needs("cluster")


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda folder: folder.name)
def test_the_server_takes_every_object(cluster: Cluster, namespace: str, overlay: Path) -> None:
    for manifest in copy.deepcopy(rendered(overlay)):
        if manifest["kind"] == "Namespace":
            continue
        manifest["metadata"]["namespace"] = namespace
        for subject in manifest.get("subjects", []):
            subject["namespace"] = namespace
        for container in manifest.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                if "grpc" in container.get(probe, {}):
                    del container[probe]  # newer than this server
        create_from_dict(cluster.api, manifest, dry_run="All")
