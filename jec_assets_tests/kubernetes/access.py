"""Acting on a test cluster with the rights of the base's accounts, as a Pod of theirs would."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from kubernetes import client
from kubernetes.utils import create_from_dict

from jec_assets_tests.deployments.rendered import accounts_and_rights
from jec_assets_tests.kubernetes.conftest import Cluster
from jec_assets_tests.s3 import KEY, SECRET

# What the Secret jec-s3 holds. An empty token is none; the test cluster takes keys that a Pod may have for musts.
S3_KEYS = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": ""}


def make_accounts(cluster: Cluster, namespace: str) -> None:
    """The accounts of deployments/kubernetes/base and their rights, in a namespace."""
    for manifest in accounts_and_rights(namespace):
        create_from_dict(cluster.api, manifest)


def act_as(
    cluster: Cluster, account: str, namespace: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> client.ApiClient:
    """Have this process find the cluster with an account's token, and nothing else; a client of that kind."""
    asked = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[]))
    core = client.CoreV1Api(cluster.api)
    token = core.create_namespaced_service_account_token(account, namespace, asked).status.token
    configuration = yaml.safe_load(cluster.kubeconfig.read_text())
    user = configuration["contexts"][0]["context"]["user"]
    configuration["users"] = [{"name": user, "user": {"token": token}}]
    file = folder / f"{account}.kubeconfig"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(configuration))
    # KUBECONFIG itself is read once, when the client is imported.
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
    from jec_assets.cluster.connection import connect

    return connect()
