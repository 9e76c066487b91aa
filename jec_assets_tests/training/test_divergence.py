from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from jec_assets.jets.labels import LabeledJets
from jec_assets.models.hyperparameters import Hyperparameters
from jec_assets.models.inputs import Standardization
from jec_assets.storage import Storage
from jec_assets.training.config import Checkpointing, Optimization, TrainingConfig
from jec_assets.training.faults import BrokenJetsError, TrainingDivergedError
from jec_assets.training.loop import train
from jec_assets_tests.models.group_of_two import group_of_two
from jec_assets_tests.training.samples import SMALL_PARTICLE_NET, SMALL_PFN, learnable_jets, small_network

CONFIG = TrainingConfig(Optimization("Adam", 0.01), epochs=2, batch_size=32, seed=3)
BROKEN = 77


def jets(number: int = 203, broken: str = "nothing", bad: tuple[int, ...] = (BROKEN,)) -> LabeledJets:
    """Jets of run 5, each its own event; some of them with a NaN somewhere."""
    some = learnable_jets(number, seed=1)
    packed = replace(some.packed, particles=some.packed.particles.copy(), jets=some.packed.jets.copy())
    target = some.labels.target.copy()
    for jet in bad:
        if broken == "particles":
            packed.particles[packed.offsets[jet + 1] - 1, 2] = np.nan
        elif broken == "jets":
            packed.jets[jet, 1] = np.inf
        elif broken == "target":
            target[jet] = np.nan
    number_of = np.arange(number)
    ids = {"run": np.full_like(some.labels.run, 5), "event": number_of.astype(np.uint64)}
    labels = replace(some.labels, target=target, **ids)
    return replace(some, packed=packed, labels=labels)


def failure(training: LabeledJets, validation: LabeledJets, config: TrainingConfig = CONFIG) -> str:
    with pytest.raises(TrainingDivergedError) as raised:
        train(small_network(), training, validation, config, lambda _: None)
    return str(raised.value)


def test_the_jet_that_brought_a_nan_is_named() -> None:
    message = failure(jets(broken="target"), jets())
    assert message.startswith("epoch 1, step ")
    assert "loss nan" in message
    assert f"features, target or weight not finite of run:lumi:event 5:1:{BROKEN};" in message


@pytest.mark.parametrize("broken", ["particles", "jets"])
def test_features_that_break_a_step_are_named(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jec_assets.training.loop._standardization", lambda _: Standardization.fit(jets().packed))
    broken_jets = jets(broken=broken)
    if broken == "jets":
        broken_jets.packed.jets[BROKEN, 1] = np.nan  # what is infinite is clipped
    message = failure(broken_jets, jets())
    assert f"features, target or weight not finite of run:lumi:event 5:1:{BROKEN};" in message


@pytest.mark.parametrize("broken", ["particles", "jets"])
def test_features_that_no_standardization_fits_are_named(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jec_assets.training.divergence.JETS_AT_A_TIME", 30)
    broken_jets = jets(broken=broken, bad=(BROKEN, 99))
    broken_jets.packed.jets[99] = np.nan
    with pytest.raises(BrokenJetsError, match=r"features not finite of run:lumi:event 5:1:77, 5:1:99; filter"):
        train(small_network(), broken_jets, jets(), CONFIG, lambda _: None)


def test_a_jet_that_breaks_the_validation_is_named() -> None:
    message = failure(jets(), jets(broken="target"))
    assert "epoch 1, validation loss nan" in message
    assert f"target or weight not finite of run:lumi:event 5:1:{BROKEN};" in message


def test_at_most_ten_jets_are_named() -> None:
    message = failure(jets(), jets(broken="target", bad=tuple(range(100, 125))))
    assert "5:1:100, 5:1:101, " in message
    assert "5:1:109 and 15 more;" in message


def test_a_rate_that_is_too_high_is_blamed_with_the_first_jets_that_show_it() -> None:
    config = replace(CONFIG, optimization=Optimization("RMSProp", 1e30))
    message = failure(jets(), jets(), config)
    assert (
        "epoch 1, step 2: loss nan, norm of the gradient nan; predictions not finite of run:lumi:event 5:1:" in message
    )
    assert message.endswith(
        "with RMSProp at a learning rate of 1e+30: lower it, unless a jet's features or target are to blame"
    )


def test_a_gradient_that_breaks_alone_is_told_from_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_norm(_: object) -> torch.Tensor:
        return torch.tensor(torch.inf)

    monkeypatch.setattr("jec_assets.training.step.get_total_norm", no_norm)
    message = failure(jets(), jets())
    assert "norm of the gradient inf; all jets' features, targets and predictions are finite" in message


def test_the_last_good_checkpoint_is_kept(tmp_path: Path) -> None:
    place = Checkpointing(Storage(str(tmp_path)), "checkpoint", "digest", seconds=0)
    config = replace(CONFIG, checkpoints=place)
    first = failure(jets(broken="target"), jets(), config)
    assert place.storage.exists("checkpoint")
    # A training that goes on from it takes the one bad step again.
    steps = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jec_assets.training.step.set_learning_rate", lambda *_: steps.append(1))
        assert failure(jets(broken="target"), jets(), config) == first
    assert len(steps) == 1


@dataclass(frozen=True)
class Part:
    training: LabeledJets
    validation: LabeledJets
    hyperparameters: Hyperparameters


def _failed(part: Part) -> str:
    try:
        network = small_network(hyperparameters=part.hyperparameters)
        train(network, part.training, part.validation, CONFIG, lambda _: None)
    except TrainingDivergedError as error:
        return str(error)
    return "did not fail"


@pytest.mark.parametrize("hyperparameters", [SMALL_PFN, SMALL_PARTICLE_NET])
def test_all_processes_stop_together_and_name_each_others_jets(
    hyperparameters: Hyperparameters, tmp_path: Path
) -> None:
    in_a_step = Part(jets(broken="target"), jets(), hyperparameters)
    last = 190  # of the second process's share
    in_validation = Part(jets(), jets(broken="target", bad=(last,)), hyperparameters)
    with group_of_two(tmp_path / "meeting") as two:
        for part, jet in ((in_a_step, BROKEN), (in_validation, last)):
            first, second = two.run(_failed, (part, part))
            assert first == second
            assert f"not finite of run:lumi:event 5:1:{jet};" in first
