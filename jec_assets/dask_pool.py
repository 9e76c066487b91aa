"""The workers of a Dask cluster, in place of this machine's processes.

Belongs here: reaching the cluster, making sure that its workers are as good as processes of this machine, and saying
what is wrong where they are not. Does not belong here: what workers do, and starting a cluster (`deployments/dask/`).

A worker must run the same software, or results would differ from what their names say; read and write the same storage;
and see the same folders of files. Each worker process is examined before its first task, also one that joins later.

What a lost worker was at, others do again. A task at which several workers died (the scheduler's `allowed-failures`,
three by default, and one more) ends the run: what kills workers is mostly want of memory, a reason that passes, and no
reason to leave a file out.
"""

from __future__ import annotations

import platform
import reprlib
import time
import uuid
from concurrent.futures import CancelledError, Executor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import jec_assets
from jec_assets.storage import ArtifactMissingError, Storage, code_digest, package_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from distributed import Client

SECONDS_TO_CONNECT = 10.0
SECONDS_TO_FIRST_WORKER = 60.0  # that of a pod whose image is already on its node
# Without a worker, and calls to do: long enough for pods to get another node. Dask itself would wait forever.
SECONDS_WITHOUT_WORKERS = 600.0
SECONDS_BETWEEN_LOOKS = 1.0
DECIDING_PACKAGES = ("awkward", "numpy", "polars", "pyarrow", "uproot")


class DaskClusterError(RuntimeError):
    """A Dask cluster that cannot be used, or was lost: names its address, what is wrong and the remedy."""


@dataclass(frozen=True)
class Workplace:
    """What a worker must have: this software, the storage in which `probe` lies, and the folders of local files."""

    software: tuple[tuple[str, str], ...]
    storage: Storage
    probe: str
    folders: tuple[Path, ...]


@dataclass(frozen=True)
class Patience:
    """Seconds to wait for the first worker, and for another one once all are gone."""

    first_worker: float = SECONDS_TO_FIRST_WORKER
    without_workers: float = SECONDS_WITHOUT_WORKERS


class DaskExecutor(Executor):
    """Runs calls on a cluster's workers, each of which is examined before its first one."""

    def __init__(self, client: Client, workplace: Workplace) -> None:
        self._executor: Any = client.get_executor()  # type: ignore[no-untyped-call]
        self._workplace = workplace
        self._calls: dict[object, tuple[object, ...]] = {}

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run the call on a worker; its future is one of `concurrent.futures`."""
        key = f"{function.__name__}-{uuid.uuid4().hex}"
        self._calls[key] = args
        future: Future[Any] = self._executor.submit(_call, self._workplace, function, *args, **kwargs, key=key)
        return future

    def described(self, key: object) -> str:
        """The call of a key, in words of bounded length."""
        short = reprlib.Repr()
        short.maxother = 300
        return f"{str(key).partition('-')[0]}({', '.join(map(short.repr, self._calls[key]))})"

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for all calls, or forget those that have not ended."""
        self._executor.shutdown(wait=wait and not cancel_futures)


@contextmanager
def dask_pool(
    address: str, storage: Storage, folders: tuple[Path, ...], patience: Patience | None = None
) -> Iterator[DaskExecutor]:
    """An executor of the workers of the cluster whose scheduler is at `address` (tcp:// or tls://).

    When the block ends with an exception, no call is begun any more. Raises DaskClusterError where the cluster cannot
    be reached, is not fit, or is lost meanwhile; certificates of tls:// are those of dask's own configuration.
    """
    with _connected(address) as client, _probe(storage) as probe:
        from distributed.scheduler import KilledWorker, NoWorkerError  # the latter where the scheduler's patience ends

        workplace = Workplace(_software(), storage, probe, folders)
        patience = patience or Patience()
        _examine(client, workplace, address, patience.first_worker)
        executor = DaskExecutor(client, workplace)
        try:
            with _watched(client, executor, patience.without_workers):
                yield executor
        except KilledWorker as killed:
            call = executor.described(killed.task)
            remedy = "most likely for want of memory: give them more or one thread each; what was done is kept"
            raise DaskClusterError(f"{address}: several workers died at {call}, {remedy}") from killed
        except (CancelledError, NoWorkerError) as lost:
            raise DaskClusterError(
                f"{address}: the scheduler or all of its workers were lost; what was done is kept, run it again"
            ) from lost
        finally:
            executor.shutdown(cancel_futures=True)


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    try:
        from distributed import Client
    except ModuleNotFoundError as missing:
        raise DaskClusterError(f"{address}: a Dask cluster needs `pip install 'jec-assets[dask]'`") from missing
    try:
        client: Client = Client(  # type: ignore[no-untyped-call]
            address, timeout=SECONDS_TO_CONNECT, set_as_default=False
        )
    except (OSError, TypeError, ValueError) as fault:  # TypeError: tls:// without certificates
        remedy = "check JEC_DASK_SCHEDULER, whether it runs, and for tls:// the certificates in dask's configuration"
        raise DaskClusterError(f"{address}: no scheduler can be reached ({fault}): {remedy}") from fault
    with client:
        yield client


@contextmanager
def _watched(client: Client, executor: DaskExecutor, seconds: float) -> Iterator[None]:
    """While the block runs, have all calls cancelled when there was no worker for so long."""
    over = Event()

    def watch() -> None:
        last = time.monotonic()
        while not over.wait(SECONDS_BETWEEN_LOOKS):
            try:
                workers = client.nthreads()  # type: ignore[no-untyped-call]
            except (OSError, TimeoutError):  # no scheduler: then the client cancels them
                workers = {}
            if workers:
                last = time.monotonic()
            elif time.monotonic() - last > seconds:
                executor.shutdown(cancel_futures=True)
                return

    watcher = Thread(target=watch, name="workers of Dask", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


@contextmanager
def _probe(storage: Storage) -> Iterator[str]:
    """The key of an object that is there as long as the block."""
    key = f"dask_probes/{uuid.uuid4().hex}.json"
    storage.publish_json(key, "workers of a Dask cluster look whether they see this")
    try:
        yield key
    finally:
        storage.remove(key)


def _examine(client: Client, workplace: Workplace, address: str, seconds: float) -> None:
    """Let all workers that are there now look around; DaskClusterError where there is none or one is unfit."""
    from distributed.versions import error_message

    try:
        client.wait_for_workers(1, timeout=seconds)
    except TimeoutError as fault:
        remedy = "start workers with the same jec_assets"
        raise DaskClusterError(f"{address}: no worker came within {seconds:g} s: {remedy}") from fault
    versions: Any = client.get_versions()  # dask's own type says that it might have to be awaited
    answer = error_message(*(versions[each] for each in ("scheduler", "workers", "client")))  # type: ignore[no-untyped-call]
    if differing := answer["warning"]:
        raise DaskClusterError(f"{address}: give scheduler, workers and this program the same image. {differing}")
    answers = client.run(_require, workplace, on_error="return")
    faults = [f"- {worker}: {answer}" for worker, answer in answers.items() if isinstance(answer, BaseException)]
    if faults:
        raise DaskClusterError("\n".join([f"{address}: {len(faults)} of {len(answers)} workers are not fit:", *faults]))


def _call(workplace: Workplace, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """In a worker: the call's result."""
    _require(workplace)
    return function(*args, **kwargs)


@cache
def _require(workplace: Workplace) -> None:
    """In a worker, once a process: DaskClusterError or StorageError where this is no workplace as it must be."""
    differing = [
        f"{name} is {here}, not {there}"
        for (name, here), (_, there) in zip(_software(), workplace.software, strict=True)
        if here != there
    ]
    if differing:
        raise DaskClusterError(f"other software ({'; '.join(differing)}): give all the same image")
    unseen = [str(folder) for folder in workplace.folders if not folder.is_dir()]
    if unseen:
        raise DaskClusterError(f"no folder {', '.join(unseen)}: mount it there, or give JEC_SOURCE as s3:// or root://")
    storage = workplace.storage
    try:
        storage.read_bytes(workplace.probe)
        mark = storage.publish_bytes(f"{workplace.probe}.{uuid.uuid4().hex}", b"")
        storage.remove(mark.key)
    except ArtifactMissingError as missing:
        remedy = "JEC_STORAGE_ROOT must be an s3:// prefix, or an absolute path of a folder that all machines share"
        raise DaskClusterError(f"its {storage.uri('')} is another one: {remedy}") from missing


@cache
def _software() -> tuple[tuple[str, str], ...]:
    """What decides results in this process, by name."""
    sources = {"python": platform.python_version(), "jec_assets": code_digest(jec_assets)}
    return tuple({**sources, **package_versions(*DECIDING_PACKAGES)}.items())
