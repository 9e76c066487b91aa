"""What a server costs: the round trip to Triton over the time of ONNX Runtime in this process.

`python -m benchmarks.served_vs_inprocess`: published PFN, ParticleNet and ParT, one thread, 1024 jets a request and
one. `inprocess_vs_served_N` is how many times faster this process is without the server, over HTTP, the geometric mean
over the families: 1 would be free serving. `inprocess_vs_shared_memory_N` is the same where client and server share the
memory that jets lie in (`JetClient.beside`). Each family is printed before, these ways and, not counted in, over gRPC.

A round asks for the same random jets each way, one after the other in changing order, as a program would that needs a
correction now and then: ONNX Runtime called again and again without a pause finds a processor that is warmed up and is
up to twice as fast. Round trip: from arrays to arrays, by wall clock, since most of it is in other processes. The
median over rounds of the ratio is the claim. Answers are compared bit by bit before anything is timed.

Last, without a name of its own, a call of many requests to the PFN, from packed jets to factors in their order: while
one is computed the next is on its way.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.served import ServedNetworks, random_jets, served_networks

if TYPE_CHECKING:
    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.client import JetClient
    from jec_assets.serving.endpoint import Endpoint
    from jec_assets.serving.tensors import PaddedJets

FAMILIES = ("pfn", "particle_net", "particle_transformer")
ROUNDS = {1024: {"pfn": 41, "particle_net": 7, "particle_transformer": 3}, 1: dict.fromkeys(FAMILIES, 301)}
DIFFERENT = 8  # batches in turn
CALL_FAMILY, CALL_JETS, CALL_ROUNDS = "pfn", 20_480, 11
INPROCESS = "inprocess"
NAMES = {"http": "inprocess_vs_served", "shared memory": "inprocess_vs_shared_memory"}
J = TypeVar("J")


def main() -> None:
    """Print a line per family and size and, after these, `inprocess_vs_served_N RATIO` and that of shared memory."""
    with served_networks(FAMILIES) as served:
        for size, rounds in ROUNDS.items():
            ratios = [_compared(served, family, size, rounds[family]) for family in FAMILIES]
            for way, name in NAMES.items():
                ratio = statistics.geometric_mean(of_family[way] for of_family in ratios)
                print(f"{name}_{size} {ratio:.2f}", flush=True)
        _compared_in_a_call(served)


def _compared(served: ServedNetworks, family: str, size: int, rounds: int) -> dict[str, float]:
    from jec_assets.serving.tensors import PaddedJets

    batches = [PaddedJets.of(random_jets(served.jets, size, seed)) for seed in range(DIFFERENT)]
    with _clients(served.endpoint) as clients:
        ways: dict[str, Callable[[PaddedJets], NDArray[np.float32]]] = {
            INPROCESS: served.sessions[family].log_factors,
            **{way: partial(client.answer, family) for way, client in clients.items()},
        }
        return _timed(f"{family}, {size} jets", ways, batches, rounds)


def _compared_in_a_call(served: ServedNetworks) -> None:
    family, session = CALL_FAMILY, served.sessions[CALL_FAMILY]
    calls = [random_jets(served.jets, CALL_JETS, seed) for seed in range(2)]
    with _clients(served.endpoint) as clients:
        ways: dict[str, Callable[[PackedJets], NDArray[np.float32]]] = {
            INPROCESS: session.predict,
            **{way: partial(client.log_factors, family) for way, client in clients.items()},
        }
        _timed(f"{family}, {CALL_JETS} jets in a call", ways, calls, CALL_ROUNDS)


@contextmanager
def _clients(endpoint: Endpoint) -> Iterator[dict[str, JetClient]]:
    from jec_assets.serving.client import JetClient

    with (
        JetClient.of(endpoint, "http") as http,
        JetClient.of(endpoint, "grpc") as grpc,
        JetClient.beside(endpoint) as beside,
    ):
        yield {"http": http, "grpc": grpc, "shared memory": beside}


def _timed(
    what: str, ways: Mapping[str, Callable[[J], NDArray[np.float32]]], different: list[J], rounds: int
) -> dict[str, float]:
    """Print a line; ratios to INPROCESS, by way."""
    for jets in different[:rounds]:
        answers = [answer(jets) for answer in ways.values()]
        for answer in answers[1:]:
            np.testing.assert_array_equal(answer, answers[0])
    times: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds):
        jets = different[number % len(different)]
        for place in range(len(ways)):
            way = list(ways)[(place + number) % len(ways)]
            start = time.perf_counter()
            ways[way](jets)
            times[way].append(time.perf_counter() - start)
    ratios = {way: np.array(taken) / np.array(times[INPROCESS]) for way, taken in times.items() if way != INPROCESS}
    said = [f"{INPROCESS} {1e3 * statistics.median(times[INPROCESS]):.2f} ms"]
    for way, ratio in ratios.items():
        low, middle, high = np.quantile(ratio, [0.25, 0.5, 0.75])
        said.append(f"{way} {1e3 * statistics.median(times[way]):.2f} ms, x {middle:.2f} ({low:.2f} to {high:.2f})")
    print(f"  {what}, {rounds} rounds: {'; '.join(said)}", flush=True)
    return {way: float(np.median(ratio)) for way, ratio in ratios.items()}


if __name__ == "__main__":
    main()
