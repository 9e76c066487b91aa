"""Names that people give to versions.

Belongs here: setting, removing and reading them. Does not belong here: searching by them (`catalog.py`).

A tag names at most one version of a family; given to another, it moves. A version that has a tag is never removed to
make room for later ones.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from jec_assets.serving.layout import check_name, tags_key

if TYPE_CHECKING:
    from jec_assets.storage import Held, Storage


class UnknownTagError(LookupError):
    """No version of a family has that tag."""


def tags_of(storage: Storage, family: str) -> dict[str, int]:
    """The family's tags and the versions that they name."""
    return _tags_in(storage.read_held(tags_key(family)))


def set_tag(storage: Storage, family: str, tag: str, version: int) -> None:
    """Give a tag to a version, which is there; ModelNameError for what can't be a tag."""
    held = storage.read_held(tags_key(family))
    storage.replace_json(tags_key(family), {**_tags_in(held), check_name(tag, "tag"): version}, held)


def remove_tag(storage: Storage, family: str, tag: str) -> None:
    """Take a tag away; UnknownTagError where there is none."""
    held = storage.read_held(tags_key(family))
    tags = _tags_in(held)
    if tag not in tags:
        raise UnknownTagError(f"no version of {family} is tagged {tag!r}: there are {', '.join(tags) or 'no tags'}")
    del tags[tag]
    storage.replace_json(tags_key(family), tags, held)


def _tags_in(held: Held) -> dict[str, int]:
    named = {} if held.data is None else json.loads(held.data)
    return {str(tag): int(version) for tag, version in named.items()}
