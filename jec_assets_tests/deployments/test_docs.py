"""docs/cluster.md names what there is: folders, settings, objects."""

from __future__ import annotations

import re

from jec_assets.serving.kubernetes.plan import NAME
from jec_assets.settings import Settings
from jec_assets_tests.deployments.rendered import DEPLOYMENTS, OVERLAYS, REPOSITORY, of_kind, rendered

TEXT = (REPOSITORY / "docs/cluster.md").read_text()
KINDS = {"deployment": "Deployment", "statefulset": "StatefulSet", "service": "Service"}


def test_every_folder_exists() -> None:
    named = set(re.findall(r"deployments/[\w./-]*[\w]", TEXT))
    assert len(named) > 5
    assert all((REPOSITORY / path).exists() for path in named), named
    table = TEXT.partition("| `deployments/`")[2].partition("\n\n")[0]
    listed = {path for line in table.splitlines() for path in re.findall(r"`([\w/-]+)`", line.partition(" | ")[0])}
    assert all((DEPLOYMENTS / path).exists() for path in listed), listed
    tops = {path.split("/")[0] for path in listed} | {"proxy"}
    assert tops == {folder.name for folder in DEPLOYMENTS.iterdir()}


def test_every_setting_is_one() -> None:
    fields = {f"JEC_{name.upper()}" for name in Settings.model_fields}
    for name in re.findall(r"JEC_\w+", TEXT):
        # JEC_ARRIVALS_* stands for several.
        assert name in fields or (name.endswith("_") and any(field.startswith(name) for field in fields)), name


def test_every_object_is_made_by_an_overlay_or_by_the_step_that_serves() -> None:
    for word, kind in KINDS.items():
        made = {name for overlay in OVERLAYS for name in of_kind(rendered(overlay), kind)} | {NAME}
        for name in re.findall(rf"\b{word}/(jec-[\w-]+)", TEXT):
            assert name in made, f"{kind} {name}"


def test_every_account_is_described() -> None:
    section = TEXT.partition("## Rights")[2].partition("\n## ")[0]
    described = set(re.findall(r"^\| `(jec-[\w-]+)`", section, re.MULTILINE))
    assert described == set(of_kind(rendered(OVERLAYS[0]), "ServiceAccount"))
