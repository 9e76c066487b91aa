"""Reading JetNTuple files: only the branches asked for, in chunks of bounded memory.

Belongs here: uproot, and turning what it may raise into one error that names the file, the problem and the remedy. Does
not belong here: which jets are kept (`selection.py`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from jec_assets.jets.records import MissingBranchError, RecordError, columns_of_branches, spellings
from jec_assets.jets.schema import TREE
from jec_assets.jets.sources import as_it_is
from jec_assets.storage.s3 import explained, is_changed, is_refusal, s3_faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jec_assets.jets.features import Columns
    from jec_assets.jets.sources import JetFile

# Jets of a chunk: with the 180 candidates of the square and 15 branches of them, about 220 MB.
CHUNK_JETS = 20_000
S3 = "s3://"


class JetFileError(ValueError):
    """A file that cannot be read: names the file, what is wrong, and what to do."""

    def __init__(self, url: str, problem: str, remedy: str) -> None:
        super().__init__(f"{url}: {problem}; {remedy}")
        self.url, self.problem, self.remedy = url, problem, remedy

    def __reduce__(self) -> tuple[type[JetFileError], tuple[str, str, str]]:
        return type(self), (self.url, self.problem, self.remedy)


class RemoteReadError(OSError):
    """A remote server failed while a file was read; the same file may well be readable a moment later."""


class FileNotGivenError(RemoteReadError):
    """A source does not give a file as it listed it, however often it is asked: refused, gone or overwritten.

    The file is no bad one: whoever mends the source gets its jets.
    """


def remote_attempts() -> Retrying:
    """Calls what reads a file, and again, from its beginning, where a remote server fails: at most three times."""
    return Retrying(
        stop=stop_after_attempt(4),
        wait=wait_random_exponential(multiplier=0.5, max=20),
        retry=retry_if_exception(
            lambda fault: isinstance(fault, RemoteReadError) and not isinstance(fault, FileNotGivenError)
        ),
        reraise=True,
    )


def read_columns(file: JetFile, branches: Sequence[str]) -> Iterator[Columns]:
    """Chunks of at most `CHUNK_JETS` jets with the named branches, in file order; every jet of the file exactly once.

    Raises JetFileError for a file that is not ROOT, is damaged, or lacks the tree or a branch, RemoteReadError where a
    remote server fails, and FileNotGivenError where it refuses, or where the file was overwritten meanwhile: what is
    read is of one version of it.
    """
    with open_tree(file) as tree:
        names = _names_in_file(file, tree, branches)
        read = 0
        for start in range(0, tree.num_entries, CHUNK_JETS):
            stop = min(start + CHUNK_JETS, tree.num_entries)
            with naming(file):
                arrays = tree.arrays(list(names.values()), entry_start=start, entry_stop=stop, library="ak", how=dict)
            chunk = _columns(file, {name: arrays[spelled] for name, spelled in names.items()}, stop - start)
            read += len(chunk)
            yield chunk
        if read != tree.num_entries:
            raise JetFileError(file.url, f"{read} of {tree.num_entries} jets could be read", "copy the file again")


@contextmanager
def naming(file: JetFile) -> Iterator[None]:
    """Name the file in whatever uproot raises: a network fault of a remote file, which may pass, or a bad file."""
    try:
        yield
    except (JetFileError, RemoteReadError):
        raise
    except Exception as fault:  # damaged bytes make decompressors and deserializers raise anything at all
        if file.url.startswith(S3) and isinstance(fault, s3_faults()) and not _is_short(fault):
            raise _s3_error(file, fault) from fault
        if file.is_remote and isinstance(fault, OSError) and not _is_short(fault):
            raise RemoteReadError(f"{file.url}: {fault}") from fault
        if isinstance(fault, FileNotFoundError | PermissionError):
            problem, remedy = f"it cannot be opened ({fault.strerror})", "check its name and rights"
        else:
            problem = f"it is not a ROOT file or it is damaged ({type(fault).__name__}: {_first_line(fault)})"
            remedy = "copy the file again or take it out of the source"
        raise JetFileError(file.url, problem, remedy) from fault


def _s3_error(file: JetFile, fault: Exception) -> RemoteReadError:
    if is_changed(fault):
        return _overwritten(file)
    error = FileNotGivenError if is_refusal(fault) else RemoteReadError
    return error(f"{file.url}: {explained(fault)}")


def _overwritten(file: JetFile) -> FileNotGivenError:
    return FileNotGivenError(
        f"{file.url}: it was overwritten since it was listed; list the source again and read it then"
    )


def _is_short(fault: Exception) -> bool:
    """Whether uproot found fewer bytes than the file says it has: what servers leave out, their clients notice."""
    return isinstance(fault, OSError) and str(fault).startswith("expected Chunk of length")


def _first_line(fault: BaseException) -> str:
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(fault).__name__


@contextmanager
def open_tree(file: JetFile) -> Iterator[Any]:
    """The file's tree, open in uproot; JetFileError or RemoteReadError where there is none.

    FileNotGivenError, at the end, where the file was overwritten meanwhile.
    """
    import uproot

    with _one_version(file) as version:
        with naming(file):
            opened = uproot.open(file.url, **_options(version))
        with opened:
            with naming(file):
                # Of several cycles (jetTree;3, jetTree;4) uproot takes the highest, as it should be.
                tree = opened.get(TREE)
                if tree is None:
                    raise JetFileError(file.url, f"there is no tree {TREE}", "give files in the JetNTuple schema")
            yield tree


def _options(file: JetFile) -> dict[str, Any]:
    """How uproot asks an S3 server: for this version of the object and no other, by a client of the file's own."""
    if not file.url.startswith(S3):
        return {}
    version = {"IfMatch": f'"{file.etag}"'}
    return {**file.s3.options(), "s3_additional_kwargs": version, "skip_instance_cache": True}


@contextmanager
def _one_version(file: JetFile) -> Iterator[JetFile]:
    """The file as it is; FileNotGivenError where it is another one at the end. On S3, the server sees to that."""
    with naming(file):
        before = file if file.url.startswith(S3) and file.etag else as_it_is(file)
    if file.url.startswith(S3):
        yield before
        return
    try:
        yield before
    except (JetFileError, RemoteReadError) as fault:
        if _is_another(file, before):
            raise _overwritten(file) from fault
        raise
    if _is_another(file, before):
        raise _overwritten(file)


def _is_another(file: JetFile, before: JetFile) -> bool:
    with naming(file):
        return as_it_is(file) != before


def _names_in_file(file: JetFile, tree: Any, branches: Sequence[str]) -> dict[str, str]:
    """How each branch is spelled in this file."""
    try:
        return spellings(branches, set(tree.keys()))
    except MissingBranchError as fault:
        problem = f"the tree {TREE} has no branch {', '.join(fault.branches)}"
        remedy = "give files in the JetNTuple schema or another JEC_FEATURE_SET"
        raise JetFileError(file.url, problem, remedy) from fault


def _columns(file: JetFile, arrays: dict[str, Any], jets: int) -> Columns:
    try:
        return columns_of_branches(arrays, jets)
    except RecordError as fault:
        raise JetFileError(file.url, str(fault), "give files in the JetNTuple schema") from fault
