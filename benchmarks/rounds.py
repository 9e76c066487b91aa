"""Two ways to do the same work, timed against each other in interleaved rounds.

Belongs here: starting both sides, each in an interpreter of its own, letting them work in turn, comparing what they
computed and what it cost. Does not belong here: the work of any claim.

A claim is a module that ends with `run` of one `Claim` or several. Started plainly (`python -m benchmarks.NAME`) it is
the referee; the referee starts the module again for each side, ours with this interpreter, the peer's with that of the
environment `.bench` (which `make bench` makes; the variable JEC_PEER_PYTHON names another). Both have one thread and
the same environment. They talk over pipes in lines of JSON; arrays lie in files of a folder that both see. So a
module's top level imports nothing that only one side has.

Cost is CPU time, children included: on a shared machine wall time is mostly the others'. In every round the sides work
one after the other, in alternating order, and a round gives a ratio; the claim is the median of the ratios.
"""

from __future__ import annotations

import inspect
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
SideName = Literal["ours", "peer"]
Arrays = Mapping[str, NDArray[Any]]

# One thread, and a heap that keeps what it has: otherwise every large block goes back to the system and comes anew, by
# pages. That costs padded steps a third of their time and packed ones a tenth: it is for the peers' good.
ENVIRONMENT = {
    **dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"), "1"
    ),
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
    "MALLOC_TOP_PAD_": str(2**26),
    "PYTHONNOUSERSITE": "1",
    "PYTHONWARNINGS": "ignore",
}


class BenchmarkError(RuntimeError):
    """A side that cannot be started or ended before its work was done."""


@dataclass(frozen=True)
class Side:
    """What one side does: `work` is timed and says how much it did (jets, say), `results` gives what must be equal."""

    work: Callable[[], int]
    results: Callable[[], Arrays]


@dataclass(frozen=True)
class Claim:
    """A comparison, printed as `name RATIO`; more than 1: ours is faster.

    prepare: writes what both sides read into a folder, before either starts; runs in our interpreter.
    ours, peer: make a side from that folder, untimed.
    check: raises AssertionError if the results, of ours and of the peer's, are not equal.
    unit: of what `work` counts.
    """

    name: str
    prepare: Callable[[Path], None]
    ours: Callable[[Path], Side]
    peer: Callable[[Path], Side]
    check: Callable[[Arrays, Arrays], None]
    unit: str = "jets"
    rounds: int = 9


@dataclass(frozen=True)
class Together:
    """Claims that are one, printed as `name RATIO` after them: the geometric mean of their ratios."""

    name: str
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Cost:
    """Seconds of CPU and of wall time for an amount of work."""

    amount: int
    cpu: float
    wall: float


def save_arrays(path: Path, arrays: Arrays) -> None:
    """Write arrays by name, as .npz; names may hold dots."""
    np.savez(path, allow_pickle=False, **arrays)


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The inverse of `save_arrays`."""
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def run(*claims: Claim | Together) -> None:
    """What a module of claims does when it is started: referee of them all, or one side if the referee says so.

    Prints a table for each and, last, its name and the ratio. Raises AssertionError where the sides computed different
    things, `BenchmarkError` if a side cannot work.
    """
    if len(sys.argv) > 1:
        name, side, folder = sys.argv[1:]
        every = [one for claim in claims for one in (claim.claims if isinstance(claim, Together) else (claim,))]
        (claim,) = [claim for claim in every if claim.name == name]
        _serve({"ours": claim.ours, "peer": claim.peer}[side], Path(folder), side)
        return
    module = _module_of_caller()
    for claim in claims:
        if isinstance(claim, Together):
            ratios = [_refereed(one, module) for one in claim.claims]
            print(f"{claim.name} {statistics.geometric_mean(ratios):.2f}", flush=True)
        else:
            _refereed(claim, module)


def _refereed(claim: Claim, module: str) -> float:
    costs = measure(claim, module)
    print(table(claim, costs))
    print(f"{claim.name} {ratio(costs):.2f}", flush=True)
    return ratio(costs)


def measure(claim: Claim, module: str) -> dict[SideName, list[Cost]]:
    """Costs of all rounds, by side; `module` is what either interpreter starts as `-m`."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        claim.prepare(folder)
        ours = stack.enter_context(_Process("ours", [sys.executable, "-m", module, claim.name], folder))
        peer = stack.enter_context(_Process("peer", [peer_python(), "-m", module, claim.name], folder))
        claim.check(ours.results(), peer.results())
        for process in (ours, peer):
            process.work()  # the first round pays for what later ones find ready
        costs: dict[SideName, list[Cost]] = {"ours": [], "peer": []}
        for number in range(claim.rounds):
            for process in (ours, peer) if number % 2 else (peer, ours):
                costs[process.name].append(process.work())
        return costs


def ratio(costs: Mapping[SideName, list[Cost]], clock: Literal["cpu", "wall"] = "cpu") -> float:
    """How many times faster ours is: the median over rounds of the ratio of the rates."""
    return statistics.median(_ratios(costs, clock))


def table(claim: Claim, costs: Mapping[SideName, list[Cost]]) -> str:
    """The figures of both sides, for people."""
    lines = [f"{claim.name}, {claim.rounds} rounds"]
    for side, rounds in costs.items():
        cpu = statistics.median(cost.amount / cost.cpu for cost in rounds)
        wall = statistics.median(cost.amount / cost.wall for cost in rounds)
        lines.append(f"  {side}: {cpu:,.0f} {claim.unit} per CPU second, {wall:,.0f} per second")
    low, high = min(_ratios(costs, "cpu")), max(_ratios(costs, "cpu"))
    lines.append(f"  ratio by CPU time {low:.2f} to {high:.2f}, median by wall time {ratio(costs, 'wall'):.2f}")
    return "\n".join(lines)


def peer_python() -> str:
    """The interpreter of the peer's environment; `BenchmarkError` if there is none."""
    path = os.environ.get("JEC_PEER_PYTHON", str(ROOT / ".bench" / "bin" / "python"))
    if not Path(path).exists():
        raise BenchmarkError(f"there is no {path}: `make bench` makes it, JEC_PEER_PYTHON names another")
    return path


def _ratios(costs: Mapping[SideName, list[Cost]], clock: Literal["cpu", "wall"]) -> list[float]:
    def rate(cost: Cost) -> float:
        return cost.amount / (cost.cpu if clock == "cpu" else cost.wall)

    return [rate(ours) / rate(peer) for ours, peer in zip(costs["ours"], costs["peer"], strict=True)]


class _Process:
    """A side in a process of its own, which ends with the context."""

    def __init__(self, name: SideName, command: list[str], folder: Path) -> None:
        self.name: SideName = name
        self._command = [*command, name, str(folder)]
        self._results = folder / _results_file(name)

    def __enter__(self) -> _Process:
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env=os.environ | ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()

    def results(self) -> Arrays:
        """Have the side compute its results."""
        self._ask("results")
        return load_arrays(self._results)

    def work(self) -> Cost:
        """Have the side do its work once."""
        return Cost(**self._ask("work"))

    def _ask(self, what: str) -> dict[str, Any]:
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        try:
            requests.write(json.dumps(what) + "\n")
            requests.flush()
            answer = answers.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise BenchmarkError(f"{' '.join(self._command)} ended when asked for {what}: see its message above")
        parsed: dict[str, Any] = json.loads(answer)
        return parsed


def _serve(make: Callable[[Path], Side], folder: Path, name: str) -> None:
    """Answer the referee until it has no more requests."""
    answers = _take_stdout()
    side = make(folder)
    for line in sys.stdin:
        answer: dict[str, Any] = {}
        if json.loads(line) == "results":
            save_arrays(folder / _results_file(name), side.results())
        else:
            wall, cpu = time.perf_counter(), _cpu_seconds()
            amount = side.work()
            answer = {"amount": amount, "cpu": _cpu_seconds() - cpu, "wall": time.perf_counter() - wall}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _take_stdout() -> IO[str]:
    """The pipe to the referee; what libraries print goes to standard error from here on."""
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return pipe


def _cpu_seconds() -> float:
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _results_file(name: str) -> str:
    return f"results_of_{name}.npz"


def _module_of_caller() -> str:
    """The name under which the claim's module was started: `__main__` does not say."""
    started = inspect.stack()[2].frame.f_globals["__spec__"]
    assert started is not None, "start a claim as `python -m benchmarks.NAME`"
    name: str = started.name
    return name
