"""Manifests as `kubectl kustomize` renders them, for the tests that look at them and those that apply them."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
DEPLOYMENTS = REPOSITORY / "deployments"
BASE = DEPLOYMENTS / "kubernetes" / "base"
OVERLAYS = tuple(sorted((DEPLOYMENTS / "kubernetes" / "overlays").iterdir()))
SETTINGS = "jec-settings"
ACCESS = ("ServiceAccount", "Role", "RoleBinding")

Manifest = dict[str, Any]


@cache
def rendered(folder: Path) -> tuple[Manifest, ...]:
    """All objects of a kustomization; callers must not change them."""
    text = subprocess.run(["kubectl", "kustomize", str(folder)], check=True, capture_output=True, text=True).stdout
    return tuple(yaml.safe_load_all(text))


def of_kind(manifests: tuple[Manifest, ...], *kinds: str) -> dict[str, Manifest]:
    """The objects of these kinds, by name."""
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] in kinds}


def pod_template(manifest: Manifest) -> Manifest | None:
    """The spec of the Pods that an object makes, None where it makes none."""
    template = manifest.get("spec", {}).get("template", {})
    spec: Manifest | None = template.get("spec") if isinstance(template, dict) else None
    return spec if spec and "containers" in spec else None


def accounts_and_rights(namespace: str) -> list[Manifest]:
    """The base's ServiceAccounts, Roles and RoleBindings, as they would stand in this namespace."""
    chosen = [each for each in rendered(BASE) if each["kind"] in ACCESS]
    text: str = yaml.safe_dump_all(chosen).replace("namespace: jec\n", f"namespace: {namespace}\n")
    return list(yaml.safe_load_all(text))
