"""Where jet files are: a folder, a glob, an `s3://` prefix, `root://` URLs, or several of these.

Belongs here: turning what a user wrote into a sorted list of files with size and ETag. Does not belong here: opening
them (`reading.py`).
"""

from __future__ import annotations

import glob
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jec_assets.storage import S3Access, digest_of
from jec_assets.storage.s3 import explained, s3_faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jec_assets.storage import Storage

LISTING = "jet_files.json"


class SourceError(ValueError):
    """The source names nothing that can be read; the message names it and the remedy."""


@dataclass(frozen=True)
class JetFile:
    """One file as the source lists it; `etag` changes when its content is written anew. s3: how its server is asked."""

    url: str
    size: int
    etag: str
    s3: S3Access = field(default_factory=S3Access, compare=False, repr=False)

    @property
    def listed(self) -> dict[str, str | int]:
        """What the source says of it, as a record keeps it."""
        return {"url": self.url, "size": self.size, "etag": self.etag}

    @property
    def name(self) -> str:
        """The last part of the URL, for tables and log lines."""
        return self.url.rstrip("/").rsplit("/", 1)[-1]

    @property
    def is_remote(self) -> bool:
        """True for files that come over a network, whose faults may be transient."""
        return "://" in self.url


def list_files(source: str, max_files: int | None = None, s3: S3Access | None = None) -> list[JetFile]:
    """The files of a source (parts separated by commas), by URL, each once, at most `max_files`.

    Raises SourceError where a part names nothing or its server does not list it.
    """
    parts = [part.strip() for part in source.split(",") if part.strip()]
    if not parts:
        raise SourceError("no source is set: set JEC_SOURCE to a folder, a glob, an s3:// prefix or root:// URLs")
    files = {file.url: file for part in parts for file in _list_part(part, s3 or S3Access())}
    return [files[url] for url in sorted(files)][:max_files]


def source_version(files: Sequence[JetFile]) -> str:
    """Digest of the set of names, sizes and ETags: the data version of a source."""
    return digest_of(sorted([file.url, file.size, file.etag] for file in files))


def local_folders(files: Sequence[JetFile]) -> tuple[Path, ...]:
    """The folders of the files that come over no network, each once: whoever reads the files must see them."""
    return tuple(sorted({Path(file.url).parent for file in files if not file.is_remote}))


def publish_listing(storage: Storage, files: Sequence[JetFile]) -> None:
    """Record what the source holds now, for the step that reads it."""
    storage.publish_json(LISTING, [file.listed for file in files])


def load_listing(storage: Storage) -> list[JetFile]:
    """The recorded files. Raises ArtifactMissingError where nothing was listed yet."""
    return [JetFile(**file, s3=storage.s3) for file in storage.read_json(LISTING)]


def as_it_is(file: JetFile) -> JetFile:
    """The file with the size and ETag that it has this moment; OSError or SourceError where there is none."""
    if file.url.startswith("s3://"):
        return _stat_s3(file)
    if file.url.startswith("root://"):
        return _stat_xrootd(file.url)
    status = Path(file.url).stat()
    return replace(file, size=status.st_size, etag=f"{status.st_mtime_ns:x}")


def _list_part(part: str, s3: S3Access) -> list[JetFile]:
    if part.startswith("s3://"):
        found = list(_list_s3(part, s3))
    elif part.startswith("root://"):
        found = [_stat_xrootd(part)]
    elif "://" in part:
        raise SourceError(f"{part}: this kind of URL is not known; use a folder, a glob, s3:// or root://")
    else:
        found = list(_list_local(part))
    if not found:
        raise SourceError(
            f"{part}: there are no *.root files; set JEC_SOURCE to where they are (`jec simulate` makes some)"
        )
    return found


def _list_local(part: str) -> Iterator[JetFile]:
    pattern = str(Path(part) / "*.root") if Path(part).is_dir() else part
    for path in map(Path, glob.glob(pattern, recursive=True)):  # noqa: PTH207 - Path.glob takes no absolute pattern
        # A name that starts with a dot is a file still being written.
        if path.is_file() and not path.name.startswith("."):
            yield as_it_is(JetFile(str(path.absolute()), 0, ""))


def _list_s3(prefix: str, s3: S3Access) -> Iterator[JetFile]:
    import fsspec

    # Of its own, not fsspec's cached instance, whose endpoint and credentials are those of its first use.
    system = fsspec.filesystem("s3", skip_instance_cache=True, **s3.options())
    try:
        entries = system.glob(prefix, detail=True) if glob.has_magic(prefix) else system.find(prefix, detail=True)
    except s3_faults() as fault:
        raise SourceError(f"{prefix}: the S3 server does not list it: {explained(fault)}") from fault
    for key, entry in entries.items():
        if key.endswith(".root"):
            yield JetFile(f"s3://{key}", int(entry["size"]), str(entry["ETag"]).strip('"'), s3)


def _stat_s3(file: JetFile) -> JetFile:
    import fsspec

    system = fsspec.filesystem("s3", skip_instance_cache=True, **file.s3.options())
    status = system.info(file.url)
    return replace(file, size=int(status["size"]), etag=str(status["ETag"]).strip('"'))


def _stat_xrootd(url: str) -> JetFile:
    try:
        from fsspec_xrootd import XRootDFileSystem
    except ModuleNotFoundError as missing:
        raise SourceError(f"{url}: reading over XRootD needs `pip install 'jec-assets[xrootd]'`") from missing
    server, path = XRootDFileSystem._get_kwargs_from_urls(url)["hostid"], XRootDFileSystem._strip_protocol(url)
    try:
        status = XRootDFileSystem(hostid=server).info(path)
    except OSError as fault:
        raise SourceError(f"{url}: the XRootD server does not give this file: {fault}") from fault
    return JetFile(url, int(status["size"]), str(status.get("mtime", "")))
