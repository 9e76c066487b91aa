"""One storage root (a folder or an `s3://` prefix), atomic publishing, digests, provenance.

Belongs here: how bytes become an artifact that a reader sees whole or not at all. Does not belong here: what the bytes
mean. Keys are relative, with forward slashes: `filtered_jets/manifest.json`.

The order of publishing is the whole contract: immutable objects first, named by their digest; one small pointer object
last. A reader that starts at the pointer never meets half an artifact, and a run killed in between leaves only objects
that nothing points to.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    from upath import UPath

DIGEST_LENGTH = 32  # hexadecimal digits kept of a SHA-256: 128 bits, and names people can still compare by eye


class ArtifactMissingError(FileNotFoundError):
    """A key that something points to (or that a step needs) isn't in storage."""


@dataclass(frozen=True)
class Artifact:
    """A published object: where it is, what it holds, how large it is."""

    key: str
    uri: str
    digest: str
    size: int


def digest_bytes(data: bytes) -> str:
    """Digest of raw bytes."""
    return hashlib.sha256(data).hexdigest()[:DIGEST_LENGTH]


def digest_file(path: Path) -> str:
    """Digest of a local file's bytes; equal to `digest_bytes` of its content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:DIGEST_LENGTH]


def digest_of(value: Any) -> str:
    """Digest of a JSON-like value (dicts, lists, strings, numbers, None); the order of a dict's keys does not matter."""
    return digest_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())


def code_digest(*packages: ModuleType) -> str:
    """Digest of the Python sources of whole packages, subpackages included: the code version of what they compute."""
    digest = hashlib.sha256()
    for package in packages:
        for folder in package.__path__:
            for source in sorted(Path(folder).rglob("*.py")):
                digest.update(f"{package.__name__}/{source.relative_to(folder).as_posix()}\n".encode())
                digest.update(source.read_bytes())
    return digest.hexdigest()[:DIGEST_LENGTH]


def package_versions(*names: str) -> dict[str, str]:
    """Installed versions of the named distributions, for provenance; `absent` where one is not installed."""
    versions = {}
    for name in ("jec-assets", *names):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "absent"
    return versions


@dataclass(frozen=True)
class Storage:
    """The storage root. Cheap to make; connects only when used.

    `root` is a folder or a URL that fsspec knows (`s3://bucket/prefix`). `cache` is a local folder for copies of remote
    objects that must be files (memory-mapped arrays, models); it is unused where the root is a folder itself.
    """

    root: str
    cache: Path | None = None

    @cached_property
    def base(self) -> UPath:
        """The root as a path."""
        from upath import UPath

        return UPath(self.root) if "://" in self.root else UPath(Path(self.root).absolute())

    @property
    def is_local(self) -> bool:
        """True where the root is a folder of this machine."""
        return "://" not in self.root or self.root.startswith("file://")

    def uri(self, key: str) -> str:
        """Absolute address of a key, as shown to people and recorded in metadata."""
        return str(self.base / key)

    def exists(self, key: str) -> bool:
        """Whether the key holds an object."""
        return bool((self.base / key).exists())

    def read_bytes(self, key: str) -> bytes:
        """The object's bytes; `ArtifactMissingError` where there is none."""
        try:
            return bytes((self.base / key).read_bytes())
        except FileNotFoundError as missing:
            raise ArtifactMissingError(
                f"nothing is stored at {self.uri(key)}: materialize the asset that publishes it"
            ) from missing

    def read_json(self, key: str) -> Any:
        """The JSON object at a key; `ArtifactMissingError` where there is none."""
        return json.loads(self.read_bytes(key))

    def list(self, prefix: str) -> list[str]:
        """Keys of the objects directly below a prefix, sorted; empty where there are none."""
        folder = self.base / prefix
        if not folder.exists():
            return []
        return sorted(
            f"{prefix}/{entry.name}" for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith(".")
        )

    def publish_bytes(self, key: str, data: bytes) -> Artifact:
        """Write an object so that a reader sees the old one or the new one, never a part."""
        if self.is_local:
            self._replace_local(key, data)
        else:
            (self.base / key).write_bytes(data)  # an S3 PUT is atomic
        return Artifact(key, self.uri(key), digest_bytes(data), len(data))

    def publish_json(self, key: str, value: Any) -> Artifact:
        """Write a pointer, manifest or record: readable JSON with sorted keys."""
        return self.publish_bytes(key, (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())

    def publish_named_by_digest(self, folder: str, suffix: str, data: bytes) -> Artifact:
        """Write an immutable object under its digest; an object that is already there is not written again."""
        digest = digest_bytes(data)
        key = f"{folder}/{digest}{suffix}"
        if self.exists(key):
            return Artifact(key, self.uri(key), digest, len(data))
        return self.publish_bytes(key, data)

    def remove(self, key: str) -> None:
        """Remove an object; fine where there is none."""
        (self.base / key).unlink(missing_ok=True)

    def local_file(self, key: str) -> Path:
        """The object as a local file that can be memory-mapped: itself, or a copy in the cache for remote roots.

        Only for objects named by digest: a cached copy is never checked for changes.
        """
        if self.is_local:
            path = Path(str(self.base / key))
            if not path.exists():
                raise ArtifactMissingError(f"nothing is stored at {path}: materialize the asset that publishes it")
            return path
        cache = self.cache or Path(tempfile.gettempdir()) / "jec_assets"
        path = cache / digest_bytes(self.root.encode()) / key
        if not path.exists():
            write_atomically(path, self.read_bytes(key))
        return path

    def _replace_local(self, key: str, data: bytes) -> None:
        write_atomically(Path(str(self.base / key)), data)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a local file by way of a hidden neighbor and a rename, synced to disk before the name appears."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
