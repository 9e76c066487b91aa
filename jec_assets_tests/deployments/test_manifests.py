"""The base and every overlay: Kubernetes takes them, what they name exists, and no Pod may do more than it needs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from jec_assets.serving.kubernetes.plan import LABELS, PORTS
from jec_assets.settings import Settings
from jec_assets.training.nodes.start import COMPONENT
from jec_assets_tests.deployments.rendered import (
    BASE,
    DEPLOYMENTS,
    OVERLAYS,
    REPOSITORY,
    SETTINGS,
    Manifest,
    of_kind,
    pod_template,
    rendered,
)

every_overlay = pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda folder: folder.name)
# Made by hand, as docs/cluster.md says: credentials are in no file.
SECRETS = {"jec-s3", "jec-postgres", "jec-endpoint", "jec-webhook"}
# Rights that only some clusters need.
OPTIONAL = (DEPLOYMENTS / "kserve/rights", DEPLOYMENTS / "kubeflow")
SECRETIVE = re.compile(r"PASSWORD|SECRET|TOKEN|CREDENTIAL|ACCESS_KEY", re.IGNORECASE)


def _pods(overlay: Path) -> Iterator[tuple[str, Manifest]]:
    for manifest in rendered(overlay):
        if spec := pod_template(manifest):
            yield f"{manifest['kind']} {manifest['metadata']['name']}", spec


def _containers(overlay: Path) -> Iterator[tuple[str, Manifest]]:
    for name, spec in _pods(overlay):
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            yield f"{name}, {container['name']}", container


def test_there_is_one_for_a_small_and_one_for_a_large_cluster() -> None:
    assert {folder.name for folder in OVERLAYS} == {"minikube", "production"}


@pytest.mark.parametrize("folder", [BASE, *OVERLAYS, *OPTIONAL], ids=lambda folder: folder.name)
def test_kubernetes_takes_every_object(folder: Path) -> None:
    manifests = rendered(folder)
    assert manifests
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.30", strict=True)
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    assert len(names) == len(set(names))


@every_overlay
def test_everything_is_in_the_one_namespace_which_restricts_pods(overlay: Path) -> None:
    [namespace] = of_kind(rendered(overlay), "Namespace").values()
    name = namespace["metadata"]["name"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    others = [each for each in rendered(overlay) if each["kind"] != "Namespace"]
    assert {each["metadata"].get("namespace") for each in others} == {name}
    assert of_kind(rendered(overlay), "ConfigMap")[SETTINGS]["data"]["JEC_NAMESPACE"] == name


@every_overlay
def test_no_pod_may_do_what_restricted_forbids(overlay: Path) -> None:
    for name, spec in _pods(overlay):
        context = spec["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec), name
        allowed = {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}
        assert all(set(volume) - {"name"} <= allowed for volume in spec.get("volumes", [])), name


@every_overlay
def test_no_container_may_become_more_or_write_to_its_image(overlay: Path) -> None:
    for name, container in _containers(overlay):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["readOnlyRootFilesystem"] is True, name
        assert context["capabilities"] == {"drop": ["ALL"]}, name
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}, name  # noqa: S108
        assert not any("hostPort" in port for port in container.get("ports", [])), name


@every_overlay
def test_every_container_says_what_it_takes_and_whether_it_is_well(overlay: Path) -> None:
    for name, container in _containers(overlay):
        resources = container["resources"]
        assert {"cpu", "memory", "ephemeral-storage"} <= set(resources["requests"]), name
        assert {"memory", "ephemeral-storage"} <= set(resources["limits"]), name
        assert "livenessProbe" in container, name


@every_overlay
def test_images_have_tags_that_stay(overlay: Path) -> None:
    images = {container["image"] for _, container in _containers(overlay)}
    settings = of_kind(rendered(overlay), "ConfigMap")[SETTINGS]["data"]
    for image in {*images, settings.get("JEC_TRIAL_IMAGE") or next(iter(images))}:
        repository, _, tag = image.rpartition(":")
        assert repository, f"{image} has no tag"
        assert tag not in {"latest", "main", "stable"}, image


@every_overlay
def test_runs_get_the_image_of_the_code_server(overlay: Path) -> None:
    [container] = pod_template(of_kind(rendered(overlay), "Deployment")["jec-code"])["containers"]
    assert {"name": "DAGSTER_CURRENT_IMAGE", "value": container["image"]} in container["env"]


@every_overlay
def test_no_credential_is_in_a_manifest(overlay: Path) -> None:
    assert not of_kind(rendered(overlay), "Secret")
    for name, container in _containers(overlay):
        for variable in container.get("env", []):
            assert "value" not in variable or not SECRETIVE.search(variable["name"]), f"{name}: {variable['name']}"
    for name, config in of_kind(rendered(overlay), "ConfigMap").items():
        # The name of a file with a secret is none.
        assert not [key for key in config["data"] if SECRETIVE.search(key.removesuffix("_TOKEN_FILE"))], name


@every_overlay
def test_what_pods_name_exists_or_is_documented(overlay: Path) -> None:
    manifests = rendered(overlay)
    accounts, configs = set(of_kind(manifests, "ServiceAccount")), of_kind(manifests, "ConfigMap")
    documented = {name for name in SECRETS if f"secret generic {name}" in (REPOSITORY / "docs/cluster.md").read_text()}
    assert documented == SECRETS
    for name, spec in _pods(overlay):
        if "serviceAccountName" in spec:
            assert spec["serviceAccountName"] in accounts, name
        for volume in spec.get("volumes", []):
            assert "configMap" not in volume or volume["configMap"]["name"] in configs, name
            assert "secret" not in volume or volume["secret"]["secretName"] in SECRETS, name
    for name, container in _containers(overlay):
        for source in container.get("envFrom", []):
            assert source.get("configMapRef", {}).get("name", SETTINGS) in configs, name
            assert source.get("secretRef", {}).get("name", "jec-s3") in SECRETS, name
        for variable in container.get("env", []):
            chosen = variable.get("valueFrom", {})
            assert chosen.get("secretKeyRef", {}).get("name", "jec-s3") in SECRETS, name
            if reference := chosen.get("configMapKeyRef"):
                assert reference["key"] in configs[reference["name"]]["data"], name


@every_overlay
def test_a_token_is_only_where_dagster_wants_one(overlay: Path) -> None:
    for name, account in of_kind(rendered(overlay), "ServiceAccount").items():
        assert account["automountServiceAccountToken"] is False, name
    for name, spec in _pods(overlay):
        wants = spec.get("serviceAccountName") in {"jec-dagster", "jec-code"}
        assert spec["automountServiceAccountToken"] is wants, name


@every_overlay
def test_rights_name_what_they_are_to(overlay: Path) -> None:
    assert not of_kind(rendered(overlay), "ClusterRole", "ClusterRoleBinding")
    for name, role in of_kind(rendered(overlay), "Role").items():
        for rule in role["rules"]:
            assert not {"*"} & {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}, name
            assert not {"secrets", "pods/exec", "serviceaccounts/token"} & set(rule["resources"]), name


@pytest.mark.parametrize("folder", OPTIONAL, ids=lambda folder: folder.name)
def test_optional_rights_are_as_narrow_and_are_given_to_accounts_of_the_base(folder: Path) -> None:
    manifests = rendered(folder)
    assert {each["kind"] for each in manifests} == {"Role", "RoleBinding"}
    for role in of_kind(manifests, "Role").values():
        assert "*" not in str(role["rules"])
    for binding in of_kind(manifests, "RoleBinding").values():
        assert {each["name"] for each in binding["subjects"]} <= set(of_kind(rendered(BASE), "ServiceAccount"))


@every_overlay
def test_every_setting_is_one(overlay: Path) -> None:
    data = of_kind(rendered(overlay), "ConfigMap")[SETTINGS]["data"]
    named = {key.removeprefix("JEC_").lower(): value for key, value in data.items() if key.startswith("JEC_")}
    assert set(named) <= set(Settings.model_fields)
    settings = Settings(**named)
    assert (settings.executor, settings.endpoint) == ("kubernetes", "kubernetes")
    assert settings.storage_root.startswith("s3://")
    assert str(settings.work_folder).startswith("/tmp/")  # noqa: S108


@every_overlay
def test_dagsters_instance_names_what_is_there(overlay: Path) -> None:
    manifests = rendered(overlay)
    configs = of_kind(manifests, "ConfigMap")
    instance = yaml.safe_load(configs["dagster-instance"]["data"]["dagster.yaml"])
    launcher = instance["run_launcher"]["config"]
    assert launcher["service_account_name"] in of_kind(manifests, "ServiceAccount")
    assert {launcher["instance_config_map"], *launcher["env_config_maps"]} <= set(configs)
    assert {launcher["postgres_password_secret"], *launcher["env_secrets"]} <= SECRETS
    given = {*configs[SETTINGS]["data"], "DAGSTER_PG_PASSWORD"}
    wanted = set(re.findall(r"env: (\w+)", configs["dagster-instance"]["data"]["dagster.yaml"]))
    assert wanted <= given
    for name, container in _containers(overlay):
        homes = [mount for mount in container["volumeMounts"] if mount["name"] == "instance"]
        assert all(home["mountPath"] == launcher["dagster_home"] for home in homes), name


def test_the_pods_of_runs_are_restricted_as_the_servers_are() -> None:
    instance = yaml.safe_load((BASE / "dagster.yaml").read_text())
    config = instance["run_launcher"]["config"]["run_k8s_config"]
    pod, container = config["pod_spec_config"], config["container_config"]
    assert pod["security_context"]["run_as_non_root"] is True
    assert pod["security_context"]["seccomp_profile"] == {"type": "RuntimeDefault"}
    assert container["security_context"] == {
        "allow_privilege_escalation": False,
        "read_only_root_filesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _lets_in(policies: list[Manifest], labels: Manifest, port: int) -> bool:
    return any(
        labels.items() >= policy["spec"]["podSelector"].get("matchLabels", {}).items()
        and any(allowed["port"] == port for rule in policy["spec"].get("ingress", []) for allowed in rule["ports"])
        for policy in policies
        if policy["metadata"]["name"] not in {"nothing-else", "training-nodes"}
    )


@every_overlay
def test_nobody_talks_to_anybody_unless_a_policy_says_so(overlay: Path) -> None:
    policies = of_kind(rendered(overlay), "NetworkPolicy")
    assert policies["nothing-else"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, policy in policies.items():
        assert name == "training-nodes" or all("ports" in rule for rule in policy["spec"].get("ingress", [])), name


@every_overlay
def test_every_service_finds_its_pods_and_is_let_in(overlay: Path) -> None:
    manifests = rendered(overlay)
    policies = list(of_kind(manifests, "NetworkPolicy").values())
    templates = [each["spec"]["template"] for each in manifests if pod_template(each)]
    for name, service in of_kind(manifests, "Service").items():
        selector = service["spec"]["selector"]
        [template] = [each for each in templates if each["metadata"]["labels"].items() >= selector.items()]
        [offered] = service["spec"]["ports"]
        [port] = [
            port["containerPort"]
            for container in template["spec"]["containers"]
            for port in container["ports"]
            if port["name"] == offered["targetPort"]
        ]
        # People reach the UI by port-forward, which comes from the node.
        assert name == "jec-webserver" or _lets_in(policies, template["metadata"]["labels"], port), name


@every_overlay
def test_policies_know_the_pods_that_steps_make(overlay: Path) -> None:
    policies = of_kind(rendered(overlay), "NetworkPolicy")
    for port in (PORTS.http, PORTS.grpc, PORTS.metrics):
        assert _lets_in([policies["to-endpoint"]], LABELS, port)
    assert policies["training-nodes"]["spec"]["podSelector"] == {"matchLabels": COMPONENT}
    [outwards] = policies["dagster-outwards"]["spec"]["podSelector"]["matchExpressions"]
    # As dagster-k8s calls a run and a step, and this project the Pods of a training.
    assert {"run_worker", "step_worker", *COMPONENT.values()} <= set(outwards["values"])
    assert outwards["key"] in COMPONENT


def test_every_file_of_deployments_that_is_yaml_can_be_read_safely() -> None:
    files = [file for file in (REPOSITORY / "deployments").rglob("*") if file.suffix in {".yaml", ".yml"}]
    assert files
    for file in files:
        assert list(yaml.safe_load_all(file.read_text())), file
