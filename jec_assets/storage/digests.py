"""Digests of bytes, values and code, and the versions of packages: what provenance is made of.

Belongs here: names that content gives itself. Does not belong here: where objects lie (`root.py`).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from types import ModuleType

DIGEST_LENGTH = 32  # hexadecimal digits kept of a SHA-256: 128 bits, and names people can still compare by eye


def digest_bytes(data: bytes) -> str:
    """Digest of raw bytes."""
    return hashlib.sha256(data).hexdigest()[:DIGEST_LENGTH]


def digest_file(path: Path) -> str:
    """Digest of a local file's bytes; equal to `digest_bytes` of its content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:DIGEST_LENGTH]


def digest_of(value: Any) -> str:
    """Digest of a JSON-like value (dicts, lists, strings, finite numbers, None); the order of keys does not matter."""
    return digest_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())


def code_digest(*modules: ModuleType, leaving_out: Collection[str] = ()) -> str:
    """Digest of the sources of modules, and of packages with all below them: the code version of what they do.

    leaving_out: sources that decide nothing, as `<package>/<path below it>`: `jec_assets.training/progress.py`.
    """
    digest = hashlib.sha256()
    for module in modules:
        for name, source in _sources(module):
            if name in leaving_out:
                continue
            digest.update(f"{name}\n".encode())
            digest.update(source.read_bytes())
    return digest.hexdigest()[:DIGEST_LENGTH]


def _sources(module: ModuleType) -> Iterator[tuple[str, Path]]:
    folders = getattr(module, "__path__", None)
    if folders is None:
        yield module.__name__, Path(str(module.__file__))
        return
    for folder in map(Path, folders):
        for source in sorted(folder.rglob("*.py")):
            yield f"{module.__name__}/{source.relative_to(folder).as_posix()}", source


def package_versions(*names: str) -> dict[str, str]:
    """Installed versions of the named distributions, for provenance; `absent` where one is not installed."""
    versions = {}
    for name in ("jec-assets", *names):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "absent"
    return versions
