"""Applying objects to a cluster, and removing them.

Belongs here: one object at a time, of any kind that the cluster knows. Does not belong here: what becomes of it
(`rollout.py`).

Objects are applied by the server (server-side apply): fields that this project names are its own, what others set
beside them stays, and what is as it should be is not written again.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jec_assets.cluster.connection import REQUEST_TIMEOUT, ClusterError, patiently, told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubernetes.client import ApiClient
    from kubernetes.dynamic import DynamicClient, Resource

    # An object of Kubernetes, as in YAML: what its fields may be is the API's to say.
    Manifest = dict[str, Any]

FIELD_MANAGER = "jec-assets"
LOOKS = 5  # at an object that others are writing to
# What the server notes about an object, whoever changed it and what for.
_NOTES = ("creationTimestamp", "generation", "managedFields", "resourceVersion")


@dataclass(frozen=True)
class Applied:
    """An object as the cluster holds it. changed: whether it was made or changed by being applied."""

    kind: str
    name: str
    changed: bool


def apply(api: ApiClient, manifest: Manifest, namespace: str) -> Applied:
    """Have the cluster hold this object; ClusterError where it can't be.

    Needs the rights to get, create and patch it.
    """
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    if _is_held(api, manifest, namespace):
        return Applied(kind, name, changed=False)
    _patched(api, manifest, namespace, dry_run=False)
    return Applied(kind, name, changed=True)


def read(api: ApiClient, api_version: str, kind: str, name: str, namespace: str) -> Manifest | None:
    """An object as the cluster holds it; None where there is none."""
    from kubernetes.dynamic.exceptions import NotFoundError

    @patiently
    def ask() -> Manifest:
        with told(f"read {kind} {name} in {namespace}"):
            try:
                return _answer(_resource(api, api_version, kind), "get", name=name, namespace=namespace)
            except NotFoundError:
                return {}

    return ask() or None


def listed(api: ApiClient, api_version: str, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Manifest]:
    """The objects of a kind that carry these labels."""
    selector = ",".join(f"{key}={value}" for key, value in labels.items())

    @patiently
    def ask() -> list[Manifest]:
        with told(f"list {kind} {selector} in {namespace}"):
            resource = _resource(api, api_version, kind)
            return list(_answer(resource, "get", namespace=namespace, label_selector=selector)["items"])

    return ask()


def delete(api: ApiClient, api_version: str, kind: str, name: str, namespace: str) -> bool:
    """Remove an object, and in the background what it owns; whether there was one."""
    from kubernetes.dynamic.exceptions import NotFoundError

    @patiently
    def ask() -> bool:
        with told(f"delete {kind} {name} in {namespace}"):
            try:
                resource = _resource(api, api_version, kind)
                _answer(resource, "delete", name=name, namespace=namespace, propagation_policy="Background")
            except NotFoundError:
                return False
        return True

    return ask()


def _is_held(api: ApiClient, manifest: Manifest, namespace: str) -> bool:
    """Whether applying would change nothing of what the cluster holds."""
    for _ in range(LOOKS):
        held = read(api, manifest["apiVersion"], manifest["kind"], manifest["metadata"]["name"], namespace)
        if held is None:
            return False
        applied = _patched(api, manifest, namespace, dry_run=True)
        if _wanted(applied) == _wanted(held):
            return True
        # A controller may have noted something in between, of a Deployment its revision: then that is the difference.
        if applied["metadata"]["resourceVersion"] == held["metadata"]["resourceVersion"]:
            return False
    return False


@patiently
def _patched(api: ApiClient, manifest: Manifest, namespace: str, *, dry_run: bool) -> Manifest:
    """The object that applying makes. Conflicts are forced: what the manifest names is nobody else's."""
    with told(f"apply {manifest['kind']} {manifest['metadata']['name']} in {namespace}"):
        resource = _resource(api, manifest["apiVersion"], manifest["kind"])
        return _answer(
            resource,
            "server_side_apply",
            body=manifest,
            namespace=namespace,
            field_manager=FIELD_MANAGER,
            force_conflicts=True,
            dry_run="All" if dry_run else None,
        )


def _answer(resource: Resource, verb: str, **arguments: object) -> Manifest:
    return dict(getattr(resource, verb)(**arguments, _request_timeout=REQUEST_TIMEOUT).to_dict())


def _resource(api: ApiClient, api_version: str, kind: str) -> Resource:
    """What the cluster calls objects of a kind; ClusterError where it knows none of them."""
    from kubernetes.dynamic.exceptions import ResourceNotFoundError

    try:
        return _dynamic(api).resources.get(api_version=api_version, kind=kind)
    except ResourceNotFoundError as error:
        raise ClusterError(f"the cluster knows no {kind} of {api_version}: install what brings it") from error


def _dynamic(api: ApiClient) -> DynamicClient:
    from kubernetes.dynamic import DynamicClient

    # What it learns of the cluster it would leave where everybody can write, and believe what it finds there.
    with tempfile.TemporaryDirectory() as folder:
        return DynamicClient(api, cache_file=str(Path(folder) / "discovered.json"))


def _wanted(held: Manifest) -> Manifest:
    """Without the server's own notes and what happens to the object."""
    metadata = {key: value for key, value in held["metadata"].items() if key not in _NOTES}
    return {**{key: value for key, value in held.items() if key != "status"}, "metadata": metadata}
