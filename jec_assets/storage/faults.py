"""What goes wrong with a storage root, said with the object and the remedy.

Belongs here: the errors, and turning what disks and S3 clients raise into them. Does not belong here: retrying, which
the S3 client does (`s3.py`).
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jec_assets.storage.s3 import explained, s3_faults

if TYPE_CHECKING:
    from collections.abc import Iterator


class ArtifactMissingError(FileNotFoundError):
    """A key that something points to (or that a step needs) isn't in storage."""


class StorageError(RuntimeError):
    """The storage root failed; never the fault of what is read or written, so no OSError that might be taken for it."""


class ConflictError(RuntimeError):
    """A pointer was replaced by another run since it was read; nothing was overwritten."""


@contextmanager
def naming(uri: str, is_local: bool) -> Iterator[None]:
    """StorageError, with the object's address and what to do, in place of whatever a disk or an S3 server raises."""
    try:
        yield
    except ArtifactMissingError:
        raise
    except OSError as fault:
        raise StorageError(f"{uri}: {_explained_locally(fault) if is_local else explained(fault)}") from fault
    except Exception as fault:
        if is_local or not isinstance(fault, s3_faults()):
            raise
        raise StorageError(f"{uri}: {explained(fault)}") from fault


def _explained_locally(fault: OSError) -> str:
    remedies = {
        errno.ENOSPC: "make room, then run it again",
        errno.EDQUOT: "make room, then run it again",
        errno.EACCES: "give this user the right to read and write there",
        errno.EROFS: "set JEC_STORAGE_ROOT to where one can write",
    }
    return f"{fault.strerror or fault}; {remedies.get(fault.errno or 0, 'check JEC_STORAGE_ROOT and the disk')}"
