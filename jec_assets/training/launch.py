"""Training a network with several processes of this machine, started by torchrun.

Belongs here: starting them, hearing how far they are, ending every one of them, and saying what went wrong. Does not
belong here: what they do (`worker.py`), nor how several machines come together (`nodes/`). Imports no torch.

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
    from collections.abc import Iterator, Mapping

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
    meeting = ["--standalone", f"--local-addr={LOOPBACK}", f"--nproc-per-node={workers}"]
    result = run_torchrun(job, meeting, environment(workers, LOOPBACK), reporter)
    if result is None:
        raise _error(job)
    return result


def run_torchrun(
    job: TrainingJob, meeting: list[str], variables: Mapping[str, str], reporter: Reporter
) -> TrainingResult | None:
    """Carry out a job by the workers that torchrun starts here; the result, where the first process is among them.

    meeting: torchrun's options: how many workers there are, and where they meet those of other machines
    Everything else is as in `train_in_processes`.
    """
    with _torchrun(job, meeting, variables) as torchrun:
        _follow(torchrun, job, reporter)
    if torchrun.returncode != 0:
        raise _error(job)
    return job.read_result()


def environment(workers: int, address: str) -> dict[str, str]:
    """Variables of so many workers that speak with the others from this address: this process's own, with two more.

    The cores that it may use are shared out, unless somebody said how many threads to use (OMP_NUM_THREADS). gloo and
    NCCL use the interface that has the address, unless somebody named another one for those of several machines.
    """
    if workers < 1:
        raise TrainingConfigError(f"a training needs at least one worker, not {workers}")
    threads = str(max(1, len(os.sched_getaffinity(0)) // workers))
    interfaces = dict.fromkeys(("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"), _interface(address))
    if address == LOOPBACK:
        return {"OMP_NUM_THREADS": threads} | os.environ | interfaces
    return {"OMP_NUM_THREADS": threads} | interfaces | os.environ


def error_of(failure: Failure) -> Exception:
    """What a worker raised, as this process would have."""
    classes: dict[str, type[Exception]] = {known.__name__: known for known in KNOWN}
    known = classes.get(failure.error)
    if known is not None:
        return known(failure.message)
    return WorkerFailedError(f"{failure.error}: {failure.message}\n{failure.traceback}")


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
def _torchrun(job: TrainingJob, meeting: list[str], variables: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Torchrun and its workers while the block runs."""
    work = ["-m", "jec_assets.training.worker", "--lifeline", str(job.publish().absolute())]
    command = [sys.executable, "-m", "torch.distributed.run", *meeting, *work]
    with job.log_file.open("wb") as log:
        torchrun = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=variables, start_new_session=True
        )
    try:
        yield torchrun
    finally:
        if torchrun.stdin is not None:
            torchrun.stdin.close()
        # Workers carry on the same work: also those whose torchrun was killed are found by it.
        end(find(lambda arguments: arguments[-len(work) :] == work), POLITE_SECONDS)
        torchrun.wait()


def _interface(address: str) -> str:
    """The network interface of this machine that has the address."""
    interfaces = psutil.net_if_addrs()
    return next(name for name in interfaces if any(known.address == address for known in interfaces[name]))


def _error(job: TrainingJob) -> Exception:
    """What to raise for a training without a result."""
    failure = job.read_failure()
    if failure is not None:
        return error_of(failure)
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
