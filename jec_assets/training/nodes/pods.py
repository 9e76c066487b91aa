"""The pods of a training on several machines: like the pod that starts it, with what training takes.

Belongs here: the spec of such a pod. Does not belong here: what it runs (`start.py`). Pure functions on plain
dictionaries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jec_assets.cluster.apply import Manifest

# What a machine has in common with the pod that starts it: image, settings, secrets, security, scratch folders.
_CONTAINER = ("image", "imagePullPolicy", "workingDir", "env", "envFrom", "securityContext", "volumeMounts")
_SPEC = ("imagePullSecrets", "securityContext", "nodeSelector", "priorityClassName", "runtimeClassName", "volumes")
# Dagster's own variables, its password for PostgreSQL among them, and its instance.
_DAGSTERS = ("DAGSTER_", "dagster-")
# The token for the cluster's API, which Kubernetes adds to each pod.
_ADDED = "kube-api-access-"


def pod_like(own: Manifest, needs: Manifest) -> Manifest:
    """The spec of a pod like `own`, as the API holds it, without Dagster's parts and without a token for the API.

    needs: a spec with one container, of which each field stands in place of the one that `own` has; volumes, mounts and
    variables are added.
    """
    (has, *_), (wants,) = own["spec"]["containers"], needs["containers"]
    container = {name: has[name] for name in _CONTAINER if name in has} | wants
    spec = {name: own["spec"][name] for name in _SPEC if name in own["spec"]} | needs
    for name in ("env", "volumeMounts"):
        container[name] = _joined(has.get(name, []), wants.get(name, []))
    return {
        **spec,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "volumes": _joined(own["spec"].get("volumes", []), needs.get("volumes", [])),
        "containers": [container],
    }


def _joined(has: list[Manifest], wants: list[Manifest]) -> list[Manifest]:
    """Both, what is Dagster's and what Kubernetes adds aside; what is wanted stands in place of its namesake."""
    wanted = {each["name"] for each in wants}
    return [
        each for each in has if each["name"] not in wanted and not each["name"].startswith((*_DAGSTERS, _ADDED))
    ] + wants
