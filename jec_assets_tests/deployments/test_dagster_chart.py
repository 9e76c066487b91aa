"""The values for Dagster's Helm chart say the same as the base does; the chart itself cannot be had here."""

from __future__ import annotations

import re
from typing import Any

import dagster
import yaml

from jec_assets_tests.deployments.rendered import BASE, DEPLOYMENTS, SETTINGS, of_kind, pod_template, rendered

CHART = DEPLOYMENTS / "dagster-chart"
TEXT = (CHART / "values.yaml").read_text()
VALUES: dict[str, Any] = yaml.safe_load(TEXT)
INSTANCE: dict[str, Any] = yaml.safe_load((BASE / "dagster.yaml").read_text())
# Written by the chart from keys of its own.
CHARTS = {"storage", "compute_logs", "run_launcher", "python_logs", "telemetry"}
SERVERS = {
    "jec-webserver": VALUES["dagsterWebserver"],
    "jec-daemon": VALUES["dagsterDaemon"],
    "jec-code": VALUES["dagster-user-deployments"]["deployments"][0],
}


def test_the_version_is_that_of_the_dagster_here() -> None:
    """Chart and Dagster are released together: with another Dagster, all keys are to be looked up again."""
    [named] = re.findall(r"^# Values for Dagster's own Helm chart, version (\S+) ", TEXT, re.MULTILINE)
    assert named == dagster.__version__


def test_no_key_is_set_but_those_that_were_looked_up() -> None:
    """In the chart's sources, at that version: helm/dagster/schema, and `rbacEnabled` in its templates.

    Nothing here asks the chart, which ignores most keys that it does not know: look up a key before it is added.
    """
    assert set(VALUES) == {
        "additionalInstanceConfig",
        "computeLogManager",
        "dagster-user-deployments",
        "dagsterDaemon",
        "dagsterWebserver",
        "generatePostgresqlPasswordSecret",
        "global",
        "postgresql",
        "pythonLogs",
        "rbacEnabled",
        "runLauncher",
        "serviceAccount",
        "telemetry",
    }


def test_the_instance_is_the_bases() -> None:
    assert VALUES["additionalInstanceConfig"] == {key: INSTANCE[key] for key in INSTANCE.keys() - CHARTS}


def test_runs_look_alike() -> None:
    launcher, chart = INSTANCE["run_launcher"]["config"], VALUES["runLauncher"]["config"]["k8sRunLauncher"]
    wanted = launcher["run_k8s_config"]
    wanted["pod_spec_config"]["service_account_name"] = launcher["service_account_name"]
    names = {"jobSpecConfig": "job_spec_config", "podSpecConfig": "pod_spec_config"}
    names["containerConfig"] = "container_config"
    assert {names[key]: value for key, value in chart["runK8sConfig"].items()} == wanted
    assert [each["name"] for each in chart["envConfigMaps"]] == launcher["env_config_maps"]
    assert [each["name"] for each in chart["envSecrets"]] == launcher["env_secrets"]
    assert VALUES["global"]["postgresqlSecretName"] == launcher["postgres_password_secret"]
    assert VALUES["global"]["dagsterHome"] == launcher["dagster_home"]


def test_logs_go_to_the_same_place() -> None:
    chart = VALUES["computeLogManager"]["config"]["s3ComputeLogManager"]
    names = {"bucket": "bucket", "prefix": "prefix", "localDir": "local_dir", "uploadInterval": "upload_interval"}
    assert {names[key]: value for key, value in chart.items()} == INSTANCE["compute_logs"]["config"]


def test_servers_are_as_restricted_and_as_large_as_the_bases() -> None:
    deployments = of_kind(rendered(BASE), "Deployment")
    assert set(deployments) == set(SERVERS)
    for name, values in SERVERS.items():
        spec = pod_template(deployments[name])
        assert spec is not None
        [container] = spec["containers"]
        assert values["podSecurityContext"] == spec["securityContext"], name
        assert values["securityContext"] == container["securityContext"], name
        assert values["resources"] == container["resources"], name
        labels = deployments[name]["spec"]["template"]["metadata"]["labels"]
        assert values["labels"].items() <= labels.items(), name


def test_what_the_chart_needs_is_made_and_what_it_makes_is_not() -> None:
    manifests = rendered(CHART)
    assert not of_kind(manifests, "Deployment", "StatefulSet", "Service")
    assert SETTINGS in of_kind(manifests, "ConfigMap")
    assert {"jec-dagster", "jec-run", "jec-code"} <= set(of_kind(manifests, "ServiceAccount"))
    settings = of_kind(manifests, "ConfigMap")[SETTINGS]["data"]
    assert VALUES["postgresql"]["postgresqlHost"] == settings["DAGSTER_PG_HOST"]
    assert VALUES["postgresql"]["postgresqlUsername"] == settings["DAGSTER_PG_USERNAME"]


def test_no_password_is_among_the_values() -> None:
    assert "postgresqlPassword" not in VALUES["postgresql"]
    assert VALUES["generatePostgresqlPasswordSecret"] is False
