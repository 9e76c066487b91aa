"""The surroundings in which torch computes the same thing again.

Belongs here: random state, threads and the choice of operators, set for a while and restored. With equal seed, inputs
and threads, weights are bit-equal on the CPU; on a GPU some of torch's sums have no fixed order, unless asked for.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from jec_assets.models import group

if TYPE_CHECKING:
    from collections.abc import Iterator

# cuBLAS sums in a fixed order only with a workspace of a fixed size.
CUBLAS_WORKSPACE = ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's random numbers on every device; afterwards they go on as if nothing had been drawn."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch's operators use `count` threads on the CPU; 0 changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def deterministic(wanted: bool) -> Iterator[None]:
    """Let torch use operators only whose sums have a fixed order, and raise RuntimeError where there is none.

    On a GPU it must be entered before anything was computed there. False changes nothing.
    """
    if not wanted:
        yield
        return
    name, workspace = CUBLAS_WORKSPACE
    before = (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
    benchmark, variable = torch.backends.cudnn.benchmark, os.environ.get(name)
    os.environ[name] = variable or workspace
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.benchmark = benchmark
        if variable is None:
            del os.environ[name]


def random_states(device: torch.device) -> torch.Tensor:
    """The states of the generators that a training on the device draws from, uint8 (processes, bytes), on the CPU.

    Every process gets those of all, and all must ask together.
    """
    own = torch.get_rng_state()
    if device.type == "cuda":
        own = torch.cat([own, torch.cuda.get_rng_state(device)])
    states = own.new_zeros(group.size(), len(own))
    states[group.rank()] = own
    return group.sum_over_processes(states.to(device)).cpu()


def set_random_states(states: torch.Tensor, device: torch.device) -> None:
    """The inverse of `random_states`: this process takes over its own."""
    length = len(torch.get_rng_state())
    own, gpu = torch.split(states[group.rank()], [length, states.shape[1] - length])
    # Cloned: torch reads the memory where a tensor's storage begins, and crashes if the state does not begin there.
    torch.set_rng_state(own.clone())
    if device.type == "cuda":
        torch.cuda.set_rng_state(gpu.clone(), device)
