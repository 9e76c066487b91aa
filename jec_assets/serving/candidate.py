"""A version that is tried beside the one that is served.

Belongs here: laying it out for Triton and removing that again. Does not belong here: comparing the two (`rollout.py`).

The candidate is a model of its own in Triton, `<family>.candidate`, with the number of its version: were it a version
of the family, Triton would answer with it wherever a client names none, before anybody has looked at it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.serving.config import Pointer
from jec_assets.serving.layout import MODEL, candidate_name, config_key, version_key
from jec_assets.storage import Held

if TYPE_CHECKING:
    from jec_assets.serving.config import InstanceSettings
    from jec_assets.serving.record import PublishedModel
    from jec_assets.serving.repository import ModelRepository


def lay_out_candidate(
    repository: ModelRepository, model: PublishedModel, settings: InstanceSettings | None = None
) -> str:
    """Copy a stored version to where it is tried, one a family; its name in Triton.

    settings: how it is run; None: as what is served.
    """
    name = candidate_name(model.family)
    remove_candidate(repository, model.family)
    repository.storage.publish_bytes(version_key(name, model.version, MODEL), repository.onnx(model))
    digests = {f"{model.version}/{MODEL}": model.onnx_digest}
    repository.lay_out(name, model, Pointer(model.version, digests=digests), settings, Held())
    return name


def candidate_of(repository: ModelRepository, family: str) -> int | None:
    """The version that is laid out to be tried, if there is one."""
    pointer = repository.pointer(candidate_name(family))
    return None if pointer is None else pointer.version


def remove_candidate(repository: ModelRepository, family: str) -> None:
    """Remove the copy, if there is one; the version itself stays stored."""
    name = candidate_name(family)
    repository.storage.remove(config_key(name))
    repository.clear(name, set())
