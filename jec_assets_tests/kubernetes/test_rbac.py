"""The accounts of deployments/kubernetes/base may do what they are for and nothing else: asked of a real API server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from jec_assets.cluster.apply import apply, delete
from jec_assets.cluster.connection import ForbiddenError
from jec_assets_tests.deployments.rendered import Manifest, accounts_and_rights
from jec_assets_tests.kubernetes.access import make_accounts
from jec_assets_tests.kubernetes.conftest import Cluster
from jec_assets_tests.kubernetes.installation import PATIENCE, wait_until

pytestmark = pytest.mark.needs("cluster")

Right = tuple[str, str, str, str]  # API group, resource, its name (empty: any), verb


def _rights_to(group: str, resource: str, verbs: str, name: str = "") -> set[Right]:
    return {(group, resource, name, verb) for verb in verbs.split()}


JOBS = (
    _rights_to("batch", "jobs", "create list delete")
    | _rights_to("batch", "jobs/status", "get")
    | _rights_to("", "pods", "get list delete")
    | _rights_to("", "pods/log", "get")
    | _rights_to("", "events", "list")
)
ENDPOINT = (
    _rights_to("apps", "deployments", "get create patch", "jec-endpoint")
    | _rights_to("", "services", "get create patch", "jec-endpoint")
    | _rights_to("", "services", "get create patch", "jec-endpoint-replicas")
)
TRAINING = (
    _rights_to("batch", "jobs", "get create patch delete")
    | _rights_to("", "services", "get create patch delete")
    | _rights_to("", "pods", "get list")
    | _rights_to("", "pods/log", "get")
)
ALLOWED: dict[str, set[Right]] = {
    "jec-dagster": JOBS,
    "jec-run": JOBS | ENDPOINT,
    "jec-training": TRAINING,
    "jec-code": set(),
    "jec-endpoint": set(),
}
# What Kubernetes grants to whoever is known: to ask what they may do.
EVERYBODY = {"authorization.k8s.io", "authentication.k8s.io"}


@pytest.fixture
def as_account(cluster: Cluster, namespace: str) -> Iterator[Callable[[str], client.ApiClient]]:
    """Clients with the token of an account, of the kind that a Pod gets."""
    make_accounts(cluster, namespace)
    opened: list[client.ApiClient] = []

    def act(account: str) -> client.ApiClient:
        request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[]))
        issued = client.CoreV1Api(cluster.api).create_namespaced_service_account_token(account, namespace, request)
        configuration = client.Configuration(host=cluster.api.configuration.host)
        configuration.ssl_ca_cert = cluster.api.configuration.ssl_ca_cert
        configuration.api_key = {"authorization": f"Bearer {issued.status.token}"}
        opened.append(client.ApiClient(configuration))
        return opened[-1]

    yield act
    for each in opened:
        each.close()


def _rights(api: client.ApiClient, namespace: str) -> set[Right]:
    """What the server says that this client may do, without what everybody may."""
    review = client.V1SelfSubjectRulesReview(spec=client.V1SelfSubjectRulesReviewSpec(namespace=namespace))
    answer = client.AuthorizationV1Api(api).create_self_subject_rules_review(review).status
    assert not answer.incomplete
    return {
        (group, resource, name, verb)
        for rule in answer.resource_rules
        for group in rule.api_groups
        for resource in rule.resources
        for name in rule.resource_names or [""]
        for verb in rule.verbs
        if group not in EVERYBODY
    }


@pytest.mark.parametrize("account", ALLOWED)
def test_an_account_has_exactly_its_rights(
    as_account: Callable[[str], client.ApiClient], namespace: str, account: str
) -> None:
    api = as_account(account)
    assert _rights(api, namespace) == ALLOWED[account]
    assert _rights(api, "default") == set(), "it has rights outside its namespace"


def test_every_account_of_the_base_is_known_here() -> None:
    accounts = {each["metadata"]["name"] for each in accounts_and_rights("any") if each["kind"] == "ServiceAccount"}
    assert accounts == set(ALLOWED)


def _job(name: str) -> client.V1Job:
    container = client.V1Container(name="only", image="host", command=["sh", "-c", "echo seen; sleep 600"])
    template = client.V1PodTemplateSpec(spec=client.V1PodSpec(containers=[container], restart_policy="Never"))
    spec = client.V1JobSpec(template=template, backoff_limit=0)
    return client.V1Job(metadata=client.V1ObjectMeta(name=name), spec=spec)


@pytest.mark.parametrize("account", ["jec-dagster", "jec-run"])
def test_dagsters_way_with_a_job(as_account: Callable[[str], client.ApiClient], namespace: str, account: str) -> None:
    from dagster_k8s.client import DagsterKubernetesClient

    api = as_account(account)
    dagsters = DagsterKubernetesClient.production_client(client.BatchV1Api(api), client.CoreV1Api(api))
    dagsters.create_namespaced_job_with_retries(_job("step"), namespace)
    dagsters.wait_for_job_to_have_pods("step", namespace)
    [pod] = dagsters.get_pods_in_job("step", namespace)
    name = pod.metadata.name
    wait_until(
        lambda: dagsters.get_pod_by_name(name, namespace).status.phase == "Running", PATIENCE, "the Pod doesn't run"
    )
    assert dagsters.get_job_status("step", namespace).active == 1
    said = dagsters.get_pod_debug_info(name, namespace)
    assert "Forbidden" not in said
    assert "Forbidden" not in dagsters.get_job_debug_info("step", namespace)
    assert dagsters.delete_job("step", namespace)


def _object(api_version: str, kind: str, name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _service(name: str) -> Manifest:
    return _object("v1", "Service", name, {"selector": {"any": "pod"}, "ports": [{"port": 8000, "protocol": "TCP"}]})


def _deployment(name: str) -> Manifest:
    labels = {"any": "pod"}
    pod = {"containers": [{"name": "only", "image": "host", "command": ["sleep", "600"]}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return _object(
        "apps/v1", "Deployment", name, {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    )


def test_a_run_may_apply_the_endpoint_and_nothing_like_it(
    as_account: Callable[[str], client.ApiClient], namespace: str
) -> None:
    api = as_account("jec-run")
    for wanted in (_deployment("jec-endpoint"), _service("jec-endpoint"), _service("jec-endpoint-replicas")):
        assert apply(api, wanted, namespace).changed
        assert not apply(api, wanted, namespace).changed
    for other in (_deployment("jec-webserver"), _service("jec-code")):
        with pytest.raises(ForbiddenError):
            apply(api, other, namespace)


def test_a_trial_on_several_nodes_may_start_and_remove_them(
    as_account: Callable[[str], client.ApiClient], namespace: str
) -> None:
    api = as_account("jec-training")
    job = api.sanitize_for_serialization(_job("nodes")) | {"apiVersion": "batch/v1", "kind": "Job"}
    for wanted in (_service("nodes"), job):
        assert apply(api, wanted, namespace).changed
        assert delete(api, wanted["apiVersion"], wanted["kind"], "nodes", namespace)
    with pytest.raises(ForbiddenError):
        apply(api, _deployment("jec-endpoint"), namespace)


REFUSED: dict[str, Callable[[client.ApiClient, str], object]] = {
    "secrets: list": lambda api, name: client.CoreV1Api(api).list_namespaced_secret(name),
    "secrets: get": lambda api, name: client.CoreV1Api(api).read_namespaced_secret("jec-s3", name),
    "config maps: get": lambda api, name: client.CoreV1Api(api).read_namespaced_config_map("jec-settings", name),
    "config maps: create": lambda api, name: client.CoreV1Api(api).create_namespaced_config_map(
        name, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="any"))
    ),
    "pods: exec": lambda api, name: client.CoreV1Api(api).connect_post_namespaced_pod_exec("any", name, command="true"),
    "pods: port-forward": lambda api, name: client.CoreV1Api(api).connect_post_namespaced_pod_portforward("any", name),
    "pods: create": lambda api, name: client.CoreV1Api(api).create_namespaced_pod(
        name, client.V1Pod(metadata=client.V1ObjectMeta(name="any"), spec=_job("any").spec.template.spec)
    ),
    "pods: all at once": lambda api, name: client.CoreV1Api(api).delete_collection_namespaced_pod(name),
    "jobs: all at once": lambda api, name: client.BatchV1Api(api).delete_collection_namespaced_job(name),
    "jobs: replace": lambda api, name: client.BatchV1Api(api).replace_namespaced_job("any", name, _job("any")),
    "deployments: delete": lambda api, name: client.AppsV1Api(api).delete_namespaced_deployment("jec-webserver", name),
    "deployments: list": lambda api, name: client.AppsV1Api(api).list_namespaced_deployment(name),
    "stateful sets: list": lambda api, name: client.AppsV1Api(api).list_namespaced_stateful_set(name),
    "services: all at once": lambda api, name: client.CoreV1Api(api).delete_collection_namespaced_service(name),
    "tokens": lambda api, name: client.CoreV1Api(api).create_namespaced_service_account_token(
        "jec-dagster", name, client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[]))
    ),
    "its own rights": lambda api, name: client.RbacAuthorizationV1Api(api).patch_namespaced_role(
        "jec-jobs", name, {"rules": []}
    ),
    "role bindings: list": lambda api, name: client.RbacAuthorizationV1Api(api).list_namespaced_role_binding(name),
    "cluster roles: list": lambda api, _: client.RbacAuthorizationV1Api(api).list_cluster_role(),
    "nodes: list": lambda api, _: client.CoreV1Api(api).list_node(),
    "namespaces: list": lambda api, _: client.CoreV1Api(api).list_namespace(),
    "namespaces: delete": lambda api, name: client.CoreV1Api(api).delete_namespace(name),
    "another namespace's pods": lambda api, _: client.CoreV1Api(api).list_namespaced_pod("default"),
    "another namespace's jobs": lambda api, _: client.BatchV1Api(api).create_namespaced_job("default", _job("any")),
    "all pods": lambda api, _: client.CoreV1Api(api).list_pod_for_all_namespaces(),
}


@pytest.mark.parametrize("account", ALLOWED)
def test_everything_else_is_refused(
    as_account: Callable[[str], client.ApiClient], namespace: str, account: str
) -> None:
    api = as_account(account)
    for what, call in REFUSED.items():
        with pytest.raises(ApiException) as refusal:
            call(api, namespace)
        assert refusal.value.status == 403, f"{account} may do this: {what}"


def test_nobody_else_may_be_impersonated(as_account: Callable[[str], client.ApiClient], namespace: str) -> None:
    api = as_account("jec-run")
    api.set_default_header("Impersonate-User", "admin")
    with pytest.raises(ApiException) as refusal:
        client.CoreV1Api(api).list_namespaced_secret(namespace)
    assert refusal.value.status == 403
