"""What a server costs: the round trip to Triton over the time of ONNX Runtime in this process.

`python -m benchmarks.served_vs_inprocess`: published PFN, ParticleNet and ParT, one thread, 1024 jets a request and
one. `inprocess_vs_served_N` is how many times faster this process is without the server, the geometric mean over the
families: 1 would be free serving. Each family is printed before, over HTTP and, not counted in, over gRPC.

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
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.served import ServedNetworks, random_jets, served_networks

if TYPE_CHECKING:
    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.tensors import PaddedJets

FAMILIES = ("pfn", "particle_net", "particle_transformer")
PROTOCOLS = ("http", "grpc")
ROUNDS = {1024: {"pfn": 41, "particle_net": 7, "particle_transformer": 3}, 1: dict.fromkeys(FAMILIES, 301)}
DIFFERENT = 8  # batches in turn
CALL_FAMILY, CALL_JETS, CALL_ROUNDS = "pfn", 20_480, 11
INPROCESS = "inprocess"
J = TypeVar("J")


def main() -> None:
    """Print a line per family and size and, after these, `inprocess_vs_served_N RATIO`."""
    with served_networks(FAMILIES) as served:
        for size, rounds in ROUNDS.items():
            ratios = [_compared(served, family, size, rounds[family]) for family in FAMILIES]
            print(f"inprocess_vs_served_{size} {statistics.geometric_mean(ratios):.2f}", flush=True)
        _compared_in_a_call(served)


def _compared(served: ServedNetworks, family: str, size: int, rounds: int) -> float:
    from jec_assets.serving.client import JetClient
    from jec_assets.serving.tensors import PaddedJets

    batches = [PaddedJets.of(random_jets(served.jets, size, seed)) for seed in range(DIFFERENT)]
    with JetClient.of(served.endpoint, "http") as http, JetClient.of(served.endpoint, "grpc") as grpc:
        ways: dict[str, Callable[[PaddedJets], NDArray[np.float32]]] = {
            INPROCESS: served.sessions[family].log_factors,
            "http": lambda batch: http.answer(family, batch),
            "grpc": lambda batch: grpc.answer(family, batch),
        }
        return _timed(f"{family}, {size} jets", ways, batches, rounds)


def _compared_in_a_call(served: ServedNetworks) -> None:
    from jec_assets.serving.client import JetClient

    family, session = CALL_FAMILY, served.sessions[CALL_FAMILY]
    calls = [random_jets(served.jets, CALL_JETS, seed) for seed in range(2)]
    with JetClient.of(served.endpoint, "http") as http, JetClient.of(served.endpoint, "grpc") as grpc:
        ways: dict[str, Callable[[PackedJets], NDArray[np.float32]]] = {
            INPROCESS: session.predict,
            "http": lambda jets: http.log_factors(family, jets),
            "grpc": lambda jets: grpc.log_factors(family, jets),
        }
        _timed(f"{family}, {CALL_JETS} jets in a call", ways, calls, CALL_ROUNDS)


def _timed(what: str, ways: Mapping[str, Callable[[J], NDArray[np.float32]]], different: list[J], rounds: int) -> float:
    """Print a line; the ratio over HTTP."""
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
    ratios = {way: np.array(times[way]) / np.array(times[INPROCESS]) for way in PROTOCOLS}
    medians = ", ".join(f"{way} {1e3 * statistics.median(taken):.2f} ms" for way, taken in times.items())
    http_ratio, grpc_ratio = (float(np.median(ratios[way])) for way in PROTOCOLS)
    print(
        f"  {what}, {rounds} rounds: {medians}; ratio http {http_ratio:.2f} "
        f"({np.quantile(ratios['http'], 0.25):.2f} to {np.quantile(ratios['http'], 0.75):.2f}), grpc {grpc_ratio:.2f}",
        flush=True,
    )
    return http_ratio


if __name__ == "__main__":
    main()
