"""A training in a process of its own that is killed, once or several times, and started again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Literal

import torch

from jec_assets.models.hyperparameters import Hyperparameters
from jec_assets.storage import Storage
from jec_assets.training.config import Checkpointing, TrainingConfig, output_names
from jec_assets.training.loop import train
from jec_assets.training.result import EpochFigures
from jec_assets.training.step import Stepper
from jec_assets.training.tensor_tree import from_bytes, to_bytes
from jec_assets_tests.training.samples import learnable_jets, small_network

KEY = "checkpoints/trial.safetensors"
TRAINING = learnable_jets(203, seed=1)
VALIDATION = learnable_jets(61, seed=2)

Moment = Literal["after the step", "while the checkpoint is written"]


@dataclass(frozen=True)
class Killing:
    """SIGKILL at the n-th step, or at the n-th checkpoint, of one run."""

    moment: Moment
    number: int

    def arm(self) -> None:
        """From now on in this process."""
        if self.moment == "after the step":
            Stepper.take = self._last(Stepper.take)  # type: ignore[method-assign]
        else:
            os.fsync = self._last(os.fsync)

    def _last(self, function: Callable[..., Any]) -> Callable[..., Any]:
        calls = 0

        def counted(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            result = function(*arguments)
            if calls == self.number:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return counted


@dataclass(frozen=True)
class Ended:
    """How a training ended."""

    weights: dict[str, torch.Tensor]
    history: list[dict[str, float]]


def run(config: TrainingConfig, hyperparameters: Hyperparameters) -> Ended:
    """Train in this process."""
    network = small_network(hyperparameters=hyperparameters, outputs=len(output_names(config.loss)))
    result = train(network, TRAINING, VALIDATION, config, lambda _: None)
    return Ended(dict(network.state_dict()), [_untimed(figures) for figures in result.history])


def run_killed(
    folder: Path, config: TrainingConfig, hyperparameters: Hyperparameters, killings: list[Killing]
) -> Ended:
    """Train in a process that is killed and started again for each of the killings, then to the end."""
    place = Checkpointing(Storage(str(folder)), KEY, "digest", seconds=0)
    kept = replace(config, checkpoints=place)
    for killing in killings:
        assert _process(folder, kept, hyperparameters, killing) == -signal.SIGKILL
    assert _process(folder, kept, hyperparameters, None) == 0
    tree: Any = from_bytes((folder / "end").read_bytes())
    return Ended(tree["weights"], tree["history"])


def _process(
    folder: Path, config: TrainingConfig, hyperparameters: Hyperparameters, killing: Killing | None
) -> int | None:
    process = _context().Process(target=_train, args=(folder, config, hyperparameters, killing))
    process.start()
    process.join()
    return process.exitcode


def _context() -> ForkServerContext:
    # Its server imports what takes long once, for all processes.
    context = get_context("forkserver")
    context.set_forkserver_preload(["jec_assets.training.loop", "pytorch_optimizer", "torch._dynamo", "upath"])
    return context


def _train(folder: Path, config: TrainingConfig, hyperparameters: Hyperparameters, killing: Killing | None) -> None:
    torch.set_num_threads(1)
    if killing is not None:
        killing.arm()
    ended = run(config, hyperparameters)
    (folder / "end").write_bytes(to_bytes({"weights": ended.weights, "history": ended.history}))


def _untimed(figures: EpochFigures) -> dict[str, float]:
    return {name: value for name, value in vars(figures).items() if name != "jets_per_second"}
