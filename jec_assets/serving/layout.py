"""Where things lie in the model repository: keys below the storage root.

Belongs here: names and nothing else. Does not belong here: reading and writing (`version_store.py`, `repository.py`).

    model_repository/<family>/config.pbtxt         what is served: the pointer, replaced last
    model_repository/<family>/tags.json            names that people gave to versions
    model_repository/<family>/warmup/<digest>      what Triton sends to a model before it is ready
    model_repository/<family>/labels/<digest>.txt  what the numbers are that it answers
    model_repository/<family>/<N>/model.json       where the model comes from, for programs
    model_repository/<family>/<N>/README.md        the same for people, and how to call it
    model_repository/<family>/<N>/model.onnx       written last in its folder: a version without it is not one
    model_repository/<family>/<N>/deleted.json     a version that was deleted; its number is never used again
    model_repository/<family>.candidate/           a version that is tried beside the one that is served

Triton reads exactly this folder, and ignores the files that it doesn't know.
"""

from __future__ import annotations

import re

ROOT = "model_repository"
CONFIG, TAGS = "config.pbtxt", "tags.json"
RECORD, README, MODEL, TOMBSTONE = "model.json", "README.md", "model.onnx", "deleted.json"
# What Triton wants its files of these kinds to lie in; a label file's folder is free.
WARM_UP_FOLDER, LABEL_FOLDER = "warmup", "labels"
# Not a version of the family: Triton answers whoever names no version with the highest.
CANDIDATE_SUFFIX = ".candidate"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


class ModelNameError(ValueError):
    """A name that no family or tag can have."""


def check_name(name: str, what: str = "family") -> str:
    """The name, if it can be a folder's, an address's and Triton's; ModelNameError otherwise."""
    if not _NAME.fullmatch(name):
        raise ModelNameError(
            f"{name!r} can't be the name of a {what}: a small letter, then at most 63 of a-z, 0-9 and the underscore"
        )
    return name


def candidate_name(family: str) -> str:
    """What Triton calls the version of a family that is tried."""
    return f"{family}{CANDIDATE_SUFFIX}"


def config_key(name: str) -> str:
    """Key of a model's configuration; name: a family or a candidate."""
    return f"{ROOT}/{name}/{CONFIG}"


def tags_key(family: str) -> str:
    """Key of a family's tags."""
    return f"{ROOT}/{family}/{TAGS}"


def version_folder(name: str, version: int) -> str:
    """What the keys of a version's files begin with."""
    return f"{ROOT}/{name}/{version}"


def version_key(name: str, version: int, file: str) -> str:
    """Key of a file of a version."""
    return f"{version_folder(name, version)}/{file}"
