"""What is given to KServe: its own schemas take it, and it is as restricted as what runs without it."""

from __future__ import annotations

import copy
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest

from jec_assets_tests.deployments.rendered import DEPLOYMENTS, Manifest, of_kind, rendered
from jec_assets_tests.kserve import validate

BASE, CANARY = DEPLOYMENTS / "kserve/base", DEPLOYMENTS / "kserve/canary"
KINDS = {"InferenceService", "ServingRuntime"}


@pytest.mark.parametrize("folder", [BASE, CANARY], ids=lambda folder: folder.name)
def test_kserve_and_kubernetes_take_every_object(folder: Path) -> None:
    for manifest in rendered(folder):
        if manifest["kind"] in KINDS:
            validate(manifest)
        else:
            kubernetes_validate.validate(manifest, "1.30", strict=True)
    assert {each["kind"] for each in rendered(folder)} == KINDS | {"Namespace", "ServiceAccount"}


def test_a_field_that_kserve_does_not_know_is_found() -> None:
    wrong = copy.deepcopy(_service(BASE))
    wrong["spec"]["predictor"]["minReplica"] = 0
    with pytest.raises(jsonschema.ValidationError, match="minReplica"):
        validate(wrong)


def _service(folder: Path) -> Manifest:
    return of_kind(rendered(folder), "InferenceService")["jec"]


def test_it_scales_to_zero() -> None:
    assert _service(BASE)["spec"]["predictor"]["minReplicas"] == 0


def test_the_canary_is_another_release_and_gets_few_requests() -> None:
    now, next_ = (_service(folder)["spec"]["predictor"] for folder in (BASE, CANARY))
    assert 0 < next_["canaryTrafficPercent"] < 50
    assert "canaryTrafficPercent" not in now
    assert now["model"]["storageUri"] != next_["model"]["storageUri"]
    assert next_["model"]["storageUri"].startswith("s3://")


def test_its_container_may_not_become_more_or_write_to_its_image() -> None:
    [container] = of_kind(rendered(BASE), "ServingRuntime")["jec-triton"]["spec"]["containers"]
    context = container["securityContext"]
    assert context["runAsNonRoot"] is True
    assert context["readOnlyRootFilesystem"] is True
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert container["image"].rpartition(":")[2] not in {"", "latest"}
    assert {"requests", "limits"} <= set(container["resources"])


def test_models_are_fetched_with_the_credentials_of_the_account() -> None:
    account = of_kind(rendered(BASE), "ServiceAccount")[_service(BASE)["spec"]["predictor"]["serviceAccountName"]]
    assert account["secrets"] == [{"name": "jec-s3"}]
    assert account["automountServiceAccountToken"] is False
    assert not of_kind(rendered(BASE), "Secret")
