"""The repository and the server that serves it, changed together.

Belongs here: checking files before a server loads them, and promoting or rolling back so that the running server
follows or nothing has happened. Does not belong here: the repository alone (`repository.py`) and the server alone
(`endpoint.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jec_assets.serving.candidate import candidate_of, lay_out_candidate, remove_candidate
from jec_assets.serving.endpoint import READY_TIMEOUT, Endpoint, EndpointError, listens, load, load_as, ready, unload
from jec_assets.serving.layout import candidate_name
from jec_assets.serving.reachable import require_reachable
from jec_assets.serving.repository import UnpublishedModelError
from jec_assets.serving.served import ENDPOINT_KEY, load_endpoint
from jec_assets.serving.version_store import BrokenRepositoryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jec_assets.serving.config import InstanceSettings
    from jec_assets.serving.record import PublishedModel
    from jec_assets.serving.repository import ModelRepository
    from jec_assets.storage import Storage


@dataclass(frozen=True)
class Deployed:
    """What is served, and by which server; None where none runs, so that the next to start will."""

    model: PublishedModel
    endpoint: Endpoint | None


def running_endpoint(storage: Storage) -> Endpoint | None:
    """The recorded endpoint if it takes requests; None where none runs.

    EndpointError where something listens there that doesn't say it is ready: a server that is busy, hangs or starts is
    no server that is gone, and would go on with what it serves.
    """
    if not storage.exists(ENDPOINT_KEY):
        return None
    endpoint = load_endpoint(storage)
    if ready(endpoint):
        return endpoint
    if listens(endpoint):
        raise EndpointError(
            f"{endpoint.url} is there and isn't ready within {READY_TIMEOUT:.0f} s: wait until it is, or start it "
            "again (`make stop`, `jec serve`); nothing has changed"
        )
    return None


def load_served(endpoint: Endpoint, repository: ModelRepository, families: Sequence[str]) -> tuple[PublishedModel, ...]:
    """Have a server serve what is published of these families, every file of it checked by its digest before.

    All are tried before EndpointError says which failed and why, so that one that is damaged or was never published
    keeps no other from being served. Like everything here that has a server load something, it raises
    UnreachableRepositoryError within seconds where the repository's own server doesn't answer: nothing has changed
    then.
    """
    require_reachable(repository.uri)
    models, faults = [], []
    for family in families:
        try:
            (model,) = repository.served([family])
            repository.check(family)
            load(endpoint, [model])
            models.append(model)
        except (BrokenRepositoryError, EndpointError, UnpublishedModelError) as fault:
            faults.append(str(fault))
    if faults:
        raise EndpointError("; ".join(faults))
    return tuple(models)


def promote(
    repository: ModelRepository, family: str, version: int, settings: InstanceSettings | None = None
) -> Deployed:
    """Serve a stored version, here and by the recorded server if it runs; its try-out, if there is one, is over.

    settings: how it is run; None: as the one before. EndpointError where the server can't serve it,
    BrokenRepositoryError where its files are damaged: then, and whatever else goes wrong, what was served still is, and
    the repository says so.
    """
    require_reachable(repository.uri)
    endpoint, before = running_endpoint(repository.storage), repository.configuration(family)
    model = repository.promote(family, version, settings)
    _follow(endpoint, repository, model, before)
    withdraw_candidate(endpoint, repository, family, version)
    repository.make_room(family)
    return Deployed(model, endpoint)


def rollback(repository: ModelRepository, family: str) -> Deployed:
    """Undo the last step: end the try-out of a candidate if there is one, else serve what was served before.

    NothingBeforeError where there is neither; else raises what `promote` does.
    """
    require_reachable(repository.uri)
    endpoint, tried = running_endpoint(repository.storage), candidate_of(repository, family)
    if tried is not None:
        withdraw_candidate(endpoint, repository, family, tried)
        (model,) = repository.served([family])
        return Deployed(model, endpoint)
    before = repository.configuration(family)
    model = repository.rollback(family)
    _follow(endpoint, repository, model, before)
    return Deployed(model, endpoint)


def try_out(
    endpoint: Endpoint, repository: ModelRepository, model: PublishedModel, settings: InstanceSettings | None = None
) -> str:
    """Serve a stored version beside the one that is served, as `<family>.candidate`; that name.

    It takes the place of another that is tried: who asks for that one by its number is refused from then on.
    settings: how it is run; None: as what is served. EndpointError where the server can't serve it: then it is no
    candidate.
    """
    require_reachable(repository.uri)
    if (tried := candidate_of(repository, model.family)) is not None:
        withdraw_candidate(endpoint, repository, model.family, tried)
    name = lay_out_candidate(repository, model, settings)
    try:
        repository.check(name)
        load_as(endpoint, name, model.version)
    except (EndpointError, BrokenRepositoryError):
        if candidate_of(repository, model.family) == model.version:
            remove_candidate(repository, model.family)
        raise
    return name


def withdraw_candidate(endpoint: Endpoint | None, repository: ModelRepository, family: str, version: int) -> None:
    """Serve this version as its family's candidate no more; it stays stored. Another that is tried by now stays tried.

    endpoint: the server that serves it; None where none runs. EndpointError where that can't be told: the next server
    doesn't serve it all the same.
    """
    if candidate_of(repository, family) != version:
        return
    try:
        if endpoint is not None:
            unload(endpoint, candidate_name(family))
    finally:
        remove_candidate(repository, family)


def _follow(
    endpoint: Endpoint | None, repository: ModelRepository, model: PublishedModel, before: bytes | None
) -> None:
    """Have the server, if one runs, serve what the repository points to by now; else that points back.

    before: the configuration to restore; the server keeps serving that by itself until then.
    """
    try:
        if endpoint is None:
            repository.check(model.family)
        else:
            load_served(endpoint, repository, [model.family])
    except BaseException:  # whoever interrupts it, too, shall find what was served
        repository.restore(model, before)
        raise
