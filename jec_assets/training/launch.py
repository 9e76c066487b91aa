"""Training a network with several processes of this machine, started by torchrun.

Belongs here: starting them, hearing how far they are, ending every one of them, and saying what went wrong. Does not
belong here: what they do (`worker.py`), nor several machines, where torchrun is started on each (see there). Imports no
torch.

The processes end with this one, whatever ends it: each has a pipe from here as its standard input, and ends when that
does.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

from jec_assets.jets.cache import CacheError
from jec_assets.processes import LOOPBACK, end, find
from jec_assets.training import faults
from jec_assets.training.config import TrainingConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jec_assets.training.job import Failure, TrainingJob
    from jec_assets.training.progress import Progress, Reporter
    from jec_assets.training.result import TrainingResult

HEARD_EVERY = 0.2  # s
POLITE_SECONDS = 5.0
LAST_LINES = 15

# What a training in this process would raise as well: workers' are raised here as what they are.
KNOWN = (
    *(kind for kind in vars(faults).values() if isinstance(kind, type) and issubclass(kind, Exception)),
    *(TrainingConfigError, CacheError),
)

# How torchrun says that a process was ended from outside.
SIGNALED = re.compile(r"Signal \d+ \((\w+)\) received by PID (\d+)")


class WorkerFailedError(RuntimeError):
    """A worker ended by an exception that is a bug, with the worker's traceback."""


class WorkerKilledError(RuntimeError):
    """A worker was ended from outside."""


def train_in_processes(job: TrainingJob, workers: int, reporter: Reporter) -> TrainingResult:
    """Carry out a job by so many processes; the network is in `job.network_file` then.

    The result is that of one process up to rounding, dropout aside, which each process draws for its own jets. The
    reporter hears the first process. When this returns or raises, every process that it started has ended.

    Raises what `jec_assets.training.loop.train` does, CacheError where there are no caches of jets, WorkerKilledError
    where a worker was ended from outside, WorkerFailedError for any other exception of a worker.
    """
    if workers < 1:
        raise TrainingConfigError(f"a training needs at least one worker, not {workers}")
    with _torchrun(job, workers) as torchrun:
        _follow(torchrun, job, reporter)
    result = job.read_result()
    if result is None:
        raise _error(job)
    return result


def _follow(torchrun: subprocess.Popen[bytes], job: TrainingJob, reporter: Reporter) -> None:
    """Hand on progress until torchrun ends."""
    heard: Progress | None = None
    running = True
    while running:
        running = torchrun.poll() is None
        progress = job.read_progress()
        if progress is not None and progress != heard:
            reporter(progress)
            heard = progress
        if running:
            time.sleep(HEARD_EVERY)


@contextmanager
def _torchrun(job: TrainingJob, workers: int) -> Iterator[subprocess.Popen[bytes]]:
    """Torchrun and its workers while the block runs."""
    work = ["-m", "jec_assets.training.worker", "--lifeline", str(job.publish().absolute())]
    meeting = ["--standalone", f"--local-addr={LOOPBACK}", f"--nproc-per-node={workers}"]
    command = [sys.executable, "-m", "torch.distributed.run", *meeting, *work]
    with job.log_file.open("wb") as log:
        torchrun = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=_environment(workers), start_new_session=True
        )
    try:
        yield torchrun
    finally:
        if torchrun.stdin is not None:
            torchrun.stdin.close()
        # Workers carry on the same work: also those whose torchrun was killed are found by it.
        end(find(lambda arguments: arguments[-len(work) :] == work), POLITE_SECONDS)
        torchrun.wait()


def _environment(workers: int) -> dict[str, str]:
    """This process's environment; the cores it may use are shared out, unless somebody said how many threads to use."""
    cores = len(os.sched_getaffinity(0))
    loopback = _loopback_interface()
    defaults = {"OMP_NUM_THREADS": str(max(1, cores // workers))}
    return defaults | os.environ | {"GLOO_SOCKET_IFNAME": loopback, "NCCL_SOCKET_IFNAME": loopback}


def _loopback_interface() -> str:
    addresses = psutil.net_if_addrs()
    return next(name for name in addresses if any(address.address == LOOPBACK for address in addresses[name]))


def _error(job: TrainingJob) -> Exception:
    """What to raise for a training without a result."""
    failure = job.read_failure()
    if failure is not None:
        return _known(failure) or WorkerFailedError(f"{failure.error}: {failure.message}\n{failure.traceback}")
    printed = job.log_file.read_text(errors="replace")
    # Once a worker is gone, torchrun itself ends the others by SIGTERM.
    signals = sorted(SIGNALED.findall(printed), key=lambda found: bool(found[0] == "SIGTERM"))
    if signals:
        name, pid = signals[0]
        return WorkerKilledError(
            f"worker process {pid} was ended by {name}: if nobody did that, memory ran out, so lower the number of "
            "workers (JEC_WORKERS) or the batch size (JEC_BATCH_SIZE)"
        )
    last = "\n".join(printed.splitlines()[-LAST_LINES:])
    return WorkerKilledError(f"the workers ended without a result; the last that they printed:\n{last}")


def _known(failure: Failure) -> Exception | None:
    classes: dict[str, type[Exception]] = {known.__name__: known for known in KNOWN}
    known = classes.get(failure.error)
    return None if known is None else known(failure.message)
