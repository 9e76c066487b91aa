"""Training on this machine's GPU: the published networks' steps, what limits them, and weaver-core's beside them.

`python -m benchmarks.gpu_step`, about a minute and a half. Prints the device and its ceilings, whether the GPU computes
what the CPU does, a line a step, and how fast the loop and its batches are. Where weaver-core is installed (`pip
install weaver-core==0.5.3`) its ParticleNet is timed in turn with ours, on the same jets padded to 64.

Jets are those of `benchmarks.jets`: 35 particles on average, at most 64. A step is forward, mean absolute error,
backward and Adam. Times are wall times, medians of rounds in which all sides take turns; a GPU shared with others
measures the others too. "busy" is the share of a step in which the GPU computes: what is missing to 100 % is Python
launching kernels, which larger batches or several trainings side by side on one GPU fill.
"""

from __future__ import annotations

import copy
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.jets import padded, published, synthetic_jets, tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

    from jec_assets.jets.labels import LabeledJets
    from jec_assets.models.network import JetNetwork

BATCH_SIZES = (500, 4096)
LONGEST = 64
# Batches that are trained on in turn, so that no shape is always the same.
BATCHES = 4
ROUNDS = 5
SECONDS_A_ROUND = 0.12
PRECISIONS = ("float32", "TF32", "bfloat16")
LOOP_JETS, LOOP_EPOCHS = 100_000, 3

Inputs = dict[str, "Tensor"]


@dataclass(frozen=True)
class Timed:
    """A kind of step: what it is called, what it does with a batch, and the batches."""

    name: str
    precision: str
    step: Callable[[Inputs], None]
    batches: list[Inputs]


def main() -> None:
    """Measure everything; ends with a message where torch sees no GPU."""
    import torch

    if not torch.cuda.is_available():
        sys.exit("no GPU: torch sees none here. A CUDA build of torch and an NVIDIA driver are needed (nvidia-smi).")
    name = torch.cuda.get_device_name()
    print(f"{name}, torch {torch.__version__}")
    bandwidth = _print_ceilings()
    _print_agreement()
    for size in BATCH_SIZES:
        _print_steps(name, size, bandwidth)
    _print_loop(name)


def _print_ceilings() -> float:
    """Bandwidth in bytes a second, printed with the rates of large matrix products."""
    import torch

    source = torch.randn(2**28, device="cuda")
    target = torch.empty_like(source)
    bandwidth = 2 * source.nbytes / _seconds(lambda: target.copy_(source))
    print(f"copying {bandwidth / 1e12:.2f} TB/s", end="")
    for precision in PRECISIONS:
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        matrix = torch.randn(4096, 4096, device="cuda", dtype=dtype)
        with _products(precision):
            rate = 2 * 4096**3 / _seconds(lambda matrix=matrix: matrix @ matrix)  # type: ignore[misc]
        print(f", products in {precision} {rate / 1e12:.0f} TFLOP/s", end="")
    print()
    return bandwidth


def _print_agreement() -> None:
    """Stop unless outputs, gradients and running statistics on the GPU are the CPU's to 1e-4."""
    import torch

    for family in ("pfn", "particle_net"):
        on_cpu = _network(family)
        for module in on_cpu.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        on_gpu = copy.deepcopy(on_cpu).cuda()
        batch = tensors(synthetic_jets(200, LONGEST, seed=1))
        distances = {"outputs": 0.0, "gradients": 0.0, "statistics": 0.0}
        found = []
        for network, device in ((on_cpu, "cpu"), (on_gpu, "cuda")):
            outputs = _forward(network)({name: tensor.to(device) for name, tensor in batch.items()})
            (outputs[:, 0] - batch["target"].to(device)).abs().mean().backward()
            gradients = [weight.grad.flatten() for weight in network.parameters() if weight.grad is not None]
            statistics_ = [buffer.flatten().float() for buffer in network.buffers()]
            found.append([torch.cat(parts).detach().cpu() for parts in ([outputs.flatten()], gradients, statistics_)])
        for name, expected, actual in zip(distances, *found, strict=True):
            distances[name] = float((actual - expected).norm() / expected.norm())
        assert all(distance < 1e-4 for distance in distances.values()), f"{family} differs from the CPU: {distances}"
        print(f"{family} on the GPU and on the CPU:", ", ".join(f"{key} {d:.0e}" for key, d in distances.items()))


def _print_steps(device: str, size: int, bandwidth: float) -> None:
    sides = [side for precision in PRECISIONS for side in _sides(size, precision)]
    seconds = _interleaved(sides)
    print(f"\n{device}, batches of {size} jets")
    print(f"{'network':28s} {'products':9s} {'ms a step':>9s} {'jets/s':>10s} {'GiB':>6s} {'busy':>6s}")
    for side, time_ in zip(sides, seconds, strict=True):
        memory, busy = _memory(side), _busy_seconds(side) / time_
        rate = f"{1e3 * time_:9.2f} {size / time_:10,.0f} {memory / 2**30:6.2f} {busy:6.0%}"
        print(f"{side.name:28s} {side.precision:9s} {rate}")
        if side.name == "ParticleNet":
            least = _least_bytes(side) / bandwidth
            print(f"{'':28s} moving what is stored of its edges alone takes {1e3 * least:.2f} ms, {least / time_:.0%}")
    if importlib.util.find_spec("weaver") is not None:
        times = {(side.name, side.precision): time_ for side, time_ in zip(sides, seconds, strict=True)}
        for precision in PRECISIONS:
            ratio = times["weaver-core's ParticleNet", precision] / times["ParticleNet", precision]
            print(f"gpu_particle_net_step_vs_weaver_{precision}_{size} {ratio:.2f}")


def _sides(size: int, precision: str) -> Iterator[Timed]:
    import torch

    for title, family in (("PFN", "pfn"), ("ParticleNet", "particle_net")):
        batches = [_on_gpu(tensors(synthetic_jets(size, LONGEST, seed))) for seed in range(BATCHES)]
        network = _network(family).cuda()
        yield Timed(title, precision, _training_step(network, _forward(network), precision), batches)
    if importlib.util.find_spec("weaver") is not None:
        from benchmarks.weavers_particle_net import WeaversParticleNet

        torch.manual_seed(1)
        weavers = WeaversParticleNet().cuda().train()
        batches = []
        for seed in range(BATCHES):
            arrays = synthetic_jets(size, LONGEST, seed)
            dense, real = padded(arrays, LONGEST)
            batch = {**tensors(arrays), "dense": torch.from_numpy(dense), "real": torch.from_numpy(real)}
            batches.append(_on_gpu(batch))

        def forward(batch: Inputs, network: nn.Module = weavers) -> Tensor:
            output: Tensor = network(batch["dense"], batch["real"], batch["jets"])
            return output

        yield Timed("weaver-core's ParticleNet", precision, _training_step(weavers, forward, precision), batches)


def _print_loop(device: str) -> None:
    """The whole loop with its own choice of numbers, and its batches alone."""
    import torch

    from jec_assets.models.families import FAMILIES
    from jec_assets.training.config import Computation, Optimization, TrainingConfig
    from jec_assets.training.loader import BatchPlan, ShuffledBatches
    from jec_assets.training.loop import train

    jets = _labeled(LOOP_JETS)
    print(f"\n{device}, the loop: {LOOP_JETS:,} jets, Ranger, the last of {LOOP_EPOCHS} epochs")
    for size in BATCH_SIZES:
        for workers in (0, 4):
            batches = ShuffledBatches(jets, BatchPlan(size, seed=1, workers=workers), torch.device("cuda"))
            seconds = []
            for epoch in range(ROUNDS):
                start = time.perf_counter()
                for _ in batches.epoch(epoch):
                    pass
                torch.cuda.synchronize()
                seconds.append(time.perf_counter() - start)
            rate = LOOP_JETS / statistics.median(seconds)
            print(f"{'batches alone':28s} {size:5d} jets, {workers} threads {rate:12,.0f} jets/s")
        for family in ("pfn", "particle_net"):
            optimization = Optimization("Ranger", 1e-3)
            config = TrainingConfig(optimization, LOOP_EPOCHS, size, 1, computation=Computation(loading_threads=4))
            result = train(_network(family), jets, jets.slice(0, 1000), config, lambda _: None)
            rate = result.history[-1].jets_per_second
            print(f"{FAMILIES[family].title:28s} {size:5d} jets, 4 threads {rate:12,.0f} jets/s")


def _network(family: str) -> JetNetwork:
    """The published network with fresh weights, in training."""
    import torch

    torch.manual_seed(1)
    return published(family).train()


def _forward(network: JetNetwork) -> Callable[[Inputs], Tensor]:
    def forward(batch: Inputs) -> Tensor:
        outputs: Tensor = network(batch["particles"], batch["offsets"], batch["jets"])
        return outputs

    return forward


def _training_step(network: nn.Module, forward: Callable[[Inputs], Tensor], precision: str) -> Callable[[Inputs], None]:
    import torch

    optimizer = torch.optim.Adam(network.parameters(), 1e-4)

    def step(batch: Inputs) -> None:
        optimizer.zero_grad()
        with _products(precision), _autocast(precision):
            loss = (forward(batch)[:, 0].float() - batch["target"]).abs().mean()
        with _products(precision):
            loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


@contextmanager
def _products(precision: str) -> Iterator[None]:
    """Products of single-precision matrices as named: exact in float32, else rounded as TF32."""
    import torch

    before = (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32)
    torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
    torch.backends.cudnn.allow_tf32 = precision != "float32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def _autocast(precision: str) -> AbstractContextManager[object]:
    import torch

    return torch.autocast("cuda", torch.bfloat16) if precision == "bfloat16" else nullcontext()


def _on_gpu(batch: Inputs) -> Inputs:
    return {name: tensor.cuda() for name, tensor in batch.items()}


def _seconds(work: Callable[[], object], repeats: int = 20) -> float:
    """Of one call, when many are queued."""
    import torch

    work()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / repeats


def _interleaved(sides: list[Timed]) -> list[float]:
    """Median seconds of a step of each side."""

    def turn(side: Timed) -> Callable[[], None]:
        return lambda: [side.step(batch) for batch in side.batches] and None

    # The first steps compile kernels.
    repeats = [max(1, round(SECONDS_A_ROUND / _seconds(turn(side), repeats=2))) for side in sides]
    rounds = [[_seconds(turn(side), count) for side, count in zip(sides, repeats, strict=True)] for _ in range(ROUNDS)]
    return [statistics.median(times) / BATCHES for times in zip(*rounds, strict=True)]


def _memory(side: Timed) -> int:
    """Bytes that a step needs at most, beside what was there."""
    import torch

    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    side.step(side.batches[0])
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - before


def _busy_seconds(side: Timed) -> float:
    """In which the GPU computes, a step."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as profiler:
        for batch in side.batches:
            side.step(batch)
        torch.cuda.synchronize()
    kernels = [event for event in profiler.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    return float(sum(event.self_device_time_total for event in kernels)) * 1e-6 / BATCHES


def _least_bytes(side: Timed) -> float:
    """Bytes of the passes over stored edges that a step of the published ParticleNet cannot do without.

    Per block, y of the second and third layer are written and read once forward; backward reads both for the third
    layer's derivatives and the second alone for its own, and writes and reads dL/do of the second and of the first.
    """
    import torch

    from jec_assets.models.families import FAMILIES
    from jec_assets.models.hyperparameters import ParticleNetHyperparameters

    published = FAMILIES["particle_net"].optimum
    assert isinstance(published, ParticleNetHyperparameters)
    counts = [batch["offsets"].diff() for batch in side.batches]
    edges = [float((count * torch.clamp(count - 1, 0, published.neighbors)).sum()) for count in counts]
    number = 2 if side.precision == "bfloat16" else 4
    return published.blocks * 11 * statistics.mean(edges) * published.units * number


def _labeled(jets: int) -> LabeledJets:
    """Synthetic jets with labels that say nothing."""
    from jec_assets.jets.labels import JetLabels, LabeledJets
    from jec_assets.jets.packed import PackedJets

    arrays = synthetic_jets(jets, LONGEST, seed=1)
    packed = PackedJets(arrays["particles"], arrays["offsets"], arrays["jets"])
    ones = np.ones(jets, np.float32)
    ids = (np.ones(jets, np.int32), np.ones(jets, np.int32), np.arange(jets, dtype=np.uint64))
    return LabeledJets(packed, JetLabels(*ids, np.ones(jets, np.int32), ones, ones, ones, arrays["target"]))


if __name__ == "__main__":
    main()
