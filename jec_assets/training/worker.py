"""One of the processes that train a network together: `python -m jec_assets.training.worker JOB`, under torchrun.

Belongs here: joining the others, and training the job's network with them. Does not belong here: the training itself
(`loop.py`), which asks `jec_assets.models.group` what it needs to know of the group.

`launch.py` starts workers on this machine, and `nodes/` on several of a cluster. On several of one's own, start this on
each of them, with the job, the jets' caches and the checkpoints' storage on disks that all of them see:

    torchrun --nnodes 2 --nproc-per-node 1 --rdzv-backend c10d --rdzv-endpoint HOST:PORT --rdzv-id NAME \\
        -m jec_assets.training.worker FOLDER/job.json

HOST is one of the machines, PORT free there. Where a machine's name does not lead to its address in their network, add
`--local-addr ADDRESS` on each, and `--rdzv-conf is_host=true` on HOST, `is_host=false` on the others; where there are
several networks, name the interface in GLOO_SOCKET_IFNAME (for GPUs NCCL_SOCKET_IFNAME). The first process writes
network and result.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import traceback
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from torch import cuda, distributed

from jec_assets.jets.cache import open_cache
from jec_assets.models import group
from jec_assets.models.saving import network_bytes
from jec_assets.storage import write_atomically
from jec_assets.training.config import TrainingConfigError
from jec_assets.training.job import Failure, TrainingJob
from jec_assets.training.loop import train
from jec_assets.training.reproducible import seeded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jec_assets.training.progress import Progress, Reporter

# How long a process waits for the others, which may be reading their first jets from a slow disk.
PATIENCE = timedelta(minutes=10)


def main(arguments: list[str]) -> None:
    """Train; the process's exit status says whether all went well."""
    parser = argparse.ArgumentParser(prog="python -m jec_assets.training.worker", description="Train with others.")
    parser.add_argument("job", type=Path, help="the job's file")
    parser.add_argument("--lifeline", action="store_true", help="end as soon as standard input does")
    options = parser.parse_args(arguments)
    if options.lifeline:
        threading.Thread(target=_end_with_input, daemon=True).start()
    job = TrainingJob.read(options.job)
    with _failures_told(job), _group():
        _train(job)


def _train(job: TrainingJob) -> None:
    with seeded(job.config.seed):
        network = job.network.build()
    result = train(network, open_cache(job.training), open_cache(job.validation), job.config, _reporter(job))
    if group.rank() == 0:
        write_atomically(job.network_file, network_bytes(network, job.network))
        job.write_result(result)


def _reporter(job: TrainingJob) -> Reporter:
    def report(progress: Progress) -> None:
        print(progress, flush=True)  # noqa: T201 - who starts workers by hand reads this
        job.write_progress(progress)

    return report


@contextmanager
def _group() -> Iterator[None]:
    """Join the processes that torchrun started: by NCCL where each has a GPU, else by gloo."""
    if cuda.is_available():
        here, gpus = int(os.environ["LOCAL_WORLD_SIZE"]), cuda.device_count()
        if here > gpus:
            raise TrainingConfigError(f"{here} workers cannot share {gpus} GPUs: ask for one worker a GPU at most")
        cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if cuda.is_available() else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


@contextmanager
def _failures_told(job: TrainingJob) -> Iterator[None]:
    """Leave word of an exception for whoever waits for the job, unless it is only that another process is gone."""
    try:
        yield
    except group.ProcessLostError:
        raise
    except Exception as error:
        job.write_failure(Failure(type(error).__name__, str(error), traceback.format_exc()))
        raise


def _end_with_input() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
