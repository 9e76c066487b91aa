"""One storage root (a folder or an `s3://` prefix), atomic publishing, digests, provenance.

Belongs here: how bytes become an artifact that a reader sees whole or not at all, and how S3 is spoken to. Does not
belong here: what the bytes mean. Keys are relative, with forward slashes: `filtered_jets/manifest.json`.

The order of publishing is the whole contract: immutable objects first, named by their digest; one small pointer object
last. A reader that starts at the pointer never meets half an artifact, and a run killed in between leaves only objects
that nothing points to.
"""

from jec_assets.storage.atomic import (
    SECONDS_UNTIL_ABANDONED,
    appearing,
    appearing_file,
    move_atomically,
    write_atomically,
)
from jec_assets.storage.digests import (
    DIGEST_LENGTH,
    code_digest,
    digest_bytes,
    digest_file,
    digest_of,
    package_versions,
)
from jec_assets.storage.faults import ArtifactMissingError, ConflictError, StorageError
from jec_assets.storage.root import Artifact, Held, Storage
from jec_assets.storage.s3 import S3Access

__all__ = [
    "DIGEST_LENGTH",
    "SECONDS_UNTIL_ABANDONED",
    "Artifact",
    "ArtifactMissingError",
    "ConflictError",
    "Held",
    "S3Access",
    "Storage",
    "StorageError",
    "appearing",
    "appearing_file",
    "code_digest",
    "digest_bytes",
    "digest_file",
    "digest_of",
    "move_atomically",
    "package_versions",
    "write_atomically",
]
