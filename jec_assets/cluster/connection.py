"""The connection to a cluster, and what its API server answers where it does not do what it is asked.

Belongs here: finding the cluster, and turning the errors of its API into ones that say what to do. Does not belong
here: what is asked of it (`apply.py`, `pods.py`).
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_exponential

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubernetes.client import ApiClient, ApiException

REQUEST_TIMEOUT = 30.0  # seconds for an answer
OUTAGE = 90.0  # seconds that an API server may take to be back: it is restarted whenever a cluster is upgraded
FORBIDDEN = 403
NOT_NOW = frozenset({429, 502, 503, 504})


class ClusterError(RuntimeError):
    """The cluster can't be reached or does not do what it is asked; the message says what to do."""


class ForbiddenError(ClusterError):
    """Whoever asks lacks the right; the message names the verb and the resource."""


class UnreachableClusterError(ClusterError):
    """The API server doesn't answer, or not now."""


def connect() -> ApiClient:
    """A client with the rights of the Pod that this process runs in, else of KUBECONFIG's current context.

    ClusterError where there is neither.
    """
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        try:
            config.load_kube_config(client_configuration=configuration)
        except (config.ConfigException, OSError) as error:
            raise ClusterError(
                "no cluster is known: this is not a Pod with a service account's token, and there is no kubeconfig "
                f"({error}): set KUBECONFIG"
            ) from error
    return client.ApiClient(configuration)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Errors of the API inside the block become ClusterError; what: is asked for, as in `apply Service jec`."""
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        raise _cluster_error(what, error) from error
    except HTTPError as error:
        raise UnreachableClusterError(
            f"{what}: the cluster's API server doesn't answer ({error}): is it up, and is it the one in KUBECONFIG?"
        ) from error


# What is asked twice must be the same as asked once.
patiently = retry(
    retry=retry_if_exception_type(UnreachableClusterError),
    wait=wait_exponential(multiplier=0.5, max=5),
    stop=stop_after_delay(OUTAGE),
    reraise=True,
)


def _cluster_error(what: str, error: ApiException) -> ClusterError:
    said = _message(error)
    if error.status == FORBIDDEN:
        return ForbiddenError(f"{what}: {said}: grant this right to the service account (a Role and its RoleBinding)")
    if error.status in NOT_NOW:
        return UnreachableClusterError(f"{what}: the API server can't answer now: {said}")
    return ClusterError(f"{what}: {said}")


def _message(error: ApiException) -> str:
    """What the API server says in words; its answer as it is where that is none of Kubernetes' own."""
    body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else str(error.body or error.reason)
    try:
        return str(json.loads(body)["message"])
    except (ValueError, TypeError, KeyError):
        return f"{error.status} {body[:500]}"
