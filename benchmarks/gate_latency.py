"""What `jec gate` costs: the round trip over HTTP through the gate beside that to Triton itself.

`python -m benchmarks.gate_latency`: the published PFN, one thread, one jet a request and 1024. A round asks for the
same random jets both ways, in changing order; answers are compared bit by bit before anything is timed. No claim, and
not part of `make bench`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.served import random_jets, served_networks

if TYPE_CHECKING:
    from jec_assets.serving.client import JetClient
    from jec_assets.serving.tensors import PaddedJets

FAMILY = "pfn"
ROUNDS = {1: 1001, 1024: 201}
DIFFERENT = 8  # batches in turn


def main() -> None:
    """Print a line for each size."""
    from jec_assets.serving.client import JetClient
    from jec_assets.serving.tensors import PaddedJets

    with served_networks([FAMILY]) as served, _gate(served.endpoint.http) as gate:
        for size, rounds in ROUNDS.items():
            batches = [PaddedJets.of(random_jets(served.jets, size, seed)) for seed in range(DIFFERENT)]
            with JetClient(served.endpoint.http) as direct, JetClient(gate) as through:
                _timed(f"{FAMILY}, {size} jets", (direct, through), batches, rounds)


def _timed(what: str, clients: tuple[JetClient, JetClient], batches: list[PaddedJets], rounds: int) -> None:
    for batch in batches:
        direct, through = (client.answer(FAMILY, batch) for client in clients)
        np.testing.assert_array_equal(through, direct)
    times = np.empty((rounds, len(clients)))
    for number in range(rounds):
        for place in (0, 1) if number % 2 else (1, 0):
            start = time.perf_counter()
            clients[place].answer(FAMILY, batches[number % DIFFERENT])
            times[number, place] = 1e3 * (time.perf_counter() - start)
    more = times[:, 1] - times[:, 0]
    print(
        f"{what}, {rounds} rounds: {np.median(times[:, 0]):.2f} ms, through the gate {np.median(times[:, 1]):.2f} ms; "
        f"it costs {np.median(more):.2f} ms ({np.quantile(more, 0.25):.2f} to {np.quantile(more, 0.75):.2f})",
        flush=True,
    )


@contextmanager
def _gate(triton: str) -> Iterator[str]:
    """Address of a gate before a Triton, as a process of its own."""
    from jec_assets.processes import LOOPBACK, free_ports

    (port,) = free_ports(1)
    command = [str(Path(sys.executable).with_name("jec")), "gate", f"--port={port}", f"--triton={triton}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        assert b"passes inference on" in (said := process.stderr.readline()), said
        yield f"{LOOPBACK}:{port}"
    finally:
        process.terminate()
        process.communicate()


if __name__ == "__main__":
    main()
