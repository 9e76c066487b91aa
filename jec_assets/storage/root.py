"""The storage root: objects by key, in a folder or below an `s3://` prefix.

Belongs here: reading, publishing, replacing and listing. Does not belong here: how local files appear whole
(`atomic.py`), how S3 is asked (`s3.py`).
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jec_assets.storage.atomic import move_atomically, write_atomically
from jec_assets.storage.digests import digest_bytes, digest_file
from jec_assets.storage.faults import ArtifactMissingError, ConflictError, naming
from jec_assets.storage.s3 import S3Access, is_changed, s3_faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from upath import UPath

LOCK = ".lock"
NANOSECONDS = 1_000_000_000
READINGS = 10  # of a pointer that is replaced every time while it is read


@dataclass(frozen=True)
class Artifact:
    """A published object: where it is, what it holds, how large it is."""

    key: str
    uri: str
    digest: str
    size: int


@dataclass(frozen=True)
class Held:
    """What a pointer held when it was read: its bytes, and the mark that tells whether it is still the same.

    modified: when it was written, as the disk or server tells it, in ns since 1970; S3 knows whole seconds only. All
    None where there was no object.
    """

    data: bytes | None = None
    mark: str | None = None
    modified: int | None = None


@dataclass(frozen=True)
class Storage:
    """The storage root. Cheap to make; connects only when used.

    `root` is a folder or a URL that fsspec knows (`s3://bucket/prefix`). `cache` is a local folder for copies of remote
    objects that must be files (memory-mapped arrays, models); it is unused where the root is a folder itself.

    Whatever a disk or server raises becomes a StorageError that names the object and the remedy.
    """

    root: str
    cache: Path | None = None
    s3: S3Access = field(default_factory=S3Access)

    @cached_property
    def base(self) -> UPath:
        """The root as a path."""
        from upath import UPath

        if self.is_local:
            return UPath(self.root if "://" in self.root else Path(self.root).absolute())
        # All paths share one client: to make one takes longer than most requests.
        base: UPath = UPath(self.root, **self.s3.options())
        return base

    @property
    def is_local(self) -> bool:
        """True where the root is a folder of this machine."""
        return "://" not in self.root or self.root.startswith("file://")

    def below(self, folder: str) -> Storage:
        """A root of its own below this one."""
        return Storage(self.uri(folder), self.cache, self.s3)

    def uri(self, key: str) -> str:
        """Absolute address of a key, as shown to people and recorded in metadata."""
        return str(self.base / key)

    def exists(self, key: str) -> bool:
        """Whether the key holds an object."""
        with self._naming(key):
            return bool((self.base / key).exists())

    def read_bytes(self, key: str) -> bytes:
        """The object's bytes, of one version of it; `ArtifactMissingError` where there is none."""
        held = self.read_held(key)
        if held.data is None:
            raise ArtifactMissingError(_missing(self.uri(key)))
        return held.data

    def read_json(self, key: str) -> Any:
        """The JSON object at a key; `ArtifactMissingError` where there is none."""
        return json.loads(self.read_bytes(key))

    def read_held(self, key: str) -> Held:
        """What a pointer holds, for `replace_bytes`."""
        with self._naming(key):
            try:
                return self._read_local(key) if self.is_local else self._read_remote(key)
            except FileNotFoundError:
                return Held()

    def list(self, prefix: str) -> list[str]:
        """Keys of the objects directly below a prefix, sorted; empty where there are none."""
        files = [name for name, is_folder in self.entries(prefix).items() if not is_folder]
        return [f"{prefix}/{name}" for name in files if not name.startswith(".")]

    def entries(self, prefix: str) -> dict[str, bool]:
        """Sorted names of all that is directly below a prefix, hidden too, and whether each is a folder of objects."""
        folder = self.base / prefix
        with self._naming(prefix):
            try:
                entries = folder.fs.ls(folder.path, detail=True)
            except FileNotFoundError:
                return {}
        found = {entry["name"].rsplit("/", 1)[-1]: entry["type"] == "directory" for entry in entries}
        return {name: found[name] for name in sorted(found) if name}

    def publish_bytes(self, key: str, data: bytes) -> Artifact:
        """Write an object so that a reader sees the old one or the new one, never a part."""
        with self._naming(key):
            if self.is_local:
                write_atomically(self._path(key), data)
            else:
                self.base.fs.pipe_file((self.base / key).path, data)  # an S3 PUT is atomic
        return self._artifact(key, data)

    def publish_json(self, key: str, value: Any) -> Artifact:
        """Write a pointer, manifest or record: readable JSON with sorted keys."""
        return self.publish_bytes(key, _json_bytes(value))

    def replace_bytes(self, key: str, data: bytes, held: Held) -> Artifact:
        """Write a pointer if it still is as it was read; else ConflictError, and the other run's stays.

        Of several that hold the same, one gets through. On S3 the server decides (If-Match, If-None-Match); in a folder
        a lock does, which holds on one machine and wherever the file system honors flock.
        """
        with self._naming(key):
            replaced = self._replace_local(key, data, held) if self.is_local else self._replace_remote(key, data, held)
        if not replaced:
            raise ConflictError(
                f"{self.uri(key)}: another run replaced it since it was read, and nothing was overwritten: "
                "wait until that run is over, then run this one again"
            )
        return self._artifact(key, data)

    def replace_json(self, key: str, value: Any, held: Held) -> Artifact:
        """The same for readable JSON."""
        return self.replace_bytes(key, _json_bytes(value), held)

    def publish_named_by_digest(self, folder: str, suffix: str, data: bytes) -> Artifact:
        """Write an immutable object under its digest; an object that is already there is not written again."""
        key = f"{folder}/{digest_bytes(data)}{suffix}"
        return self._artifact(key, data) if self.exists(key) else self.publish_bytes(key, data)

    def publish_file_named_by_digest(self, folder: str, suffix: str, path: Path) -> Artifact:
        """Move a finished local file to its immutable place, under its digest, without holding it in memory."""
        digest, size = digest_file(path), path.stat().st_size
        key = f"{folder}/{digest}{suffix}"
        if self.exists(key):
            path.unlink()
        else:
            self.publish_file(key, path)
        return Artifact(key, self.uri(key), digest, size)

    def publish_file(self, key: str, path: Path) -> None:
        """Move a finished local file to a key, without holding it in memory."""
        with self._naming(key):
            if self.is_local:
                move_atomically(path, self._path(key))
            else:
                self.base.fs.put_file(str(path), (self.base / key).path)  # a finished multipart upload appears at once
                path.unlink()

    def remove(self, key: str) -> None:
        """Remove an object; fine where there is none."""
        with self._naming(key):
            if self.is_local:
                self._path(key).unlink(missing_ok=True)
            else:
                self.base.fs.rm_file((self.base / key).path)

    def remove_folder(self, prefix: str) -> None:
        """Remove a folder without objects; a server has none."""
        if self.is_local:
            with self._naming(prefix):
                self._path(prefix).rmdir()

    def local_file(self, key: str) -> Path:
        """The object as a local file that can be memory-mapped: itself, or a copy in the cache for remote roots.

        Only for objects named by digest: a cached copy is never checked for changes.
        """
        if self.is_local:
            path = self._path(key)
            if not path.exists():
                raise ArtifactMissingError(_missing(str(path)))
            return path
        cache = self.cache or Path(tempfile.gettempdir()) / "jec_assets"
        path = cache / digest_bytes(self.root.encode()) / key
        if not path.exists():
            write_atomically(path, self.read_bytes(key))
        return path

    def _naming(self, key: str) -> AbstractContextManager[None]:
        return naming(self.uri(key), self.is_local)

    def _path(self, key: str) -> Path:
        return Path(str(self.base / key))

    def _artifact(self, key: str, data: bytes) -> Artifact:
        return Artifact(key, self.uri(key), digest_bytes(data), len(data))

    def _read_local(self, key: str) -> Held:
        with self._path(key).open("rb") as stream:
            data, modified = stream.read(), os.fstat(stream.fileno()).st_mtime_ns
        return Held(data, digest_bytes(data), modified)

    def _read_remote(self, key: str) -> Held:
        for _ in range(READINGS - 1):
            try:
                return self._read_one_version(key)
            except s3_faults() as fault:
                if not is_changed(fault):
                    raise
        return self._read_one_version(key)

    def _read_one_version(self, key: str) -> Held:
        """s3fs asks for the ETag, then for bytes of that version only."""
        with self.base.fs.open((self.base / key).path, "rb") as stream:
            modified = round(stream.details["LastModified"].timestamp()) * NANOSECONDS
            return Held(stream.read(), stream.details["ETag"], modified)

    def _replace_local(self, key: str, data: bytes, held: Held) -> bool:
        with self._locked():
            path = self._path(key)
            now = self._read_local(key) if path.exists() else Held()
            if now.mark == held.mark:
                write_atomically(path, data)
            return now.mark == held.mark

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among those that replace pointers of this root, for as long as one takes."""
        lock = self._path(LOCK)
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _replace_remote(self, key: str, data: bytes, held: Held) -> bool:
        condition = {"mode": "create"} if held.mark is None else {"IfMatch": held.mark}
        try:
            self.base.fs.pipe_file((self.base / key).path, data, **condition)
        except s3_faults() as fault:
            if not (is_changed(fault) or isinstance(fault, FileExistsError | FileNotFoundError)):
                raise
            # A server may have written it and failed to say so: the repeated request met what the first one wrote.
            return self.read_held(key).data == data
        return True


def _missing(uri: str) -> str:
    return f"nothing is stored at {uri}: materialize the asset that publishes it"


def _json_bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
