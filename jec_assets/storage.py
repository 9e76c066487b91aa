"""One storage root (a folder or an `s3://` prefix), atomic publishing, digests, provenance.

Belongs here: how bytes become an artifact that a reader sees whole or not at all. Does not belong here: what the bytes
mean. Keys are relative, with forward slashes: `filtered_jets/manifest.json`.

The order of publishing is the whole contract: immutable objects first, named by their digest; one small pointer object
last. A reader that starts at the pointer never meets half an artifact, and a run killed in between leaves only objects
that nothing points to.
"""

from __future__ import annotations

import glob
import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from types import ModuleType

    from upath import UPath

SECONDS_UNTIL_ABANDONED = 86_400.0
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

        if self.is_local:
            return UPath(self.root if "://" in self.root else Path(self.root).absolute())
        # s3fs would answer from its memory of a listing, which misses what other processes publish. All paths share one
        # client: to make one takes longer than most requests.
        return UPath(self.root, use_listings_cache=False)

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
            raise ArtifactMissingError(_missing(self.uri(key))) from missing

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
            write_atomically(Path(str(self.base / key)), data)
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

    def publish_file_named_by_digest(self, folder: str, suffix: str, path: Path) -> Artifact:
        """Move a finished local file to its immutable place, under its digest, without holding it in memory."""
        digest, size = digest_file(path), path.stat().st_size
        key = f"{folder}/{digest}{suffix}"
        artifact = Artifact(key, self.uri(key), digest, size)
        if self.exists(key):
            path.unlink()
        elif self.is_local:
            move_atomically(path, Path(str(self.base / key)))
        else:
            self.base.fs.put_file(str(path), (self.base / key).path)  # a finished multipart upload appears at once
            path.unlink()
        return artifact

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
                raise ArtifactMissingError(_missing(str(path)))
            return path
        cache = self.cache or Path(tempfile.gettempdir()) / "jec_assets"
        path = cache / digest_bytes(self.root.encode()) / key
        if not path.exists():
            write_atomically(path, self.read_bytes(key))
        return path


def _missing(uri: str) -> str:
    return f"nothing is stored at {uri}: materialize the asset that publishes it"


def write_atomically(path: Path, data: bytes) -> None:
    """Write a local file so that it appears whole or not at all."""
    with appearing(path) as stream:
        stream.write(data)


def move_atomically(source: Path, target: Path) -> None:
    """Move a finished file to `target`, which may lie on another file system, so that it appears there whole."""
    with appearing(target) as stream, source.open("rb") as origin:
        shutil.copyfileobj(origin, stream, 1 << 22)
    source.unlink()


@contextmanager
def appearing(path: Path) -> Iterator[BinaryIO]:
    """A stream to a hidden neighbor of `path`, renamed to it when all is written and synced to disk."""
    with appearing_file(path) as temporary, temporary.open("wb") as stream:
        yield stream


@contextmanager
def appearing_file(path: Path) -> Iterator[Path]:
    """The same for whoever opens files by name: the hidden neighbor, empty at first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _remove_abandoned(path: Path) -> None:
    """Remove what killed writers of this file left; a living one has written within the day."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        if time.time() - part.stat().st_mtime > SECONDS_UNTIL_ABANDONED:
            part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Let the new name survive a loss of power, so that a pointer never does without what it points to."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
