"""A version beside the one that is served: both get the same requests, and it takes the place if the checks hold.

Belongs here: mirroring jets to both, what is compared, the checks. Does not belong here: serving the two
(`deployment.py`), the decision on losses (`promotion.py`) and the record of it all (`rollout_log.py`).

What a client gets meanwhile is what it got before: the candidate has a name of its own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.loss import jet_losses
from jec_assets.serving.candidate import candidate_of
from jec_assets.serving.client import JetClient
from jec_assets.serving.deployment import promote, try_out, withdraw_candidate
from jec_assets.serving.promotion import Promotion, decide
from jec_assets.serving.selftest import self_test
from jec_assets.serving.tensors import MAX_SLOTS, PaddedJets, batches_by_length
from jec_assets.storage import ConflictError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.evaluation.bootstrap import Resampling
    from jec_assets.jets.dataset import SplitJets
    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.config import InstanceSettings
    from jec_assets.serving.endpoint import Endpoint
    from jec_assets.serving.record import PublishedModel
    from jec_assets.serving.repository import ModelRepository

JETS_PER_REQUEST = 64
FEWEST_REQUESTS = 60  # of each: a quartile of latencies needs some
SELF_TEST_JETS = 256
Asked = tuple[str, int]  # Triton's name of a model, and the version by its number


class NotComparableError(ValueError):
    """Two versions that can't be compared on these jets."""


@dataclass(frozen=True)
class RolloutPolicy:
    """When a candidate takes the place.

    resampling: behind the uncertainty of the difference of losses, see `promotion.decide`. max_median_change: of
    |log factor of the candidate - of what is served|, half of the jets: a correction that moves more than this should
    be looked at by somebody. max_slowdown: see `Mirrored.slowdown`. instances: how the candidate is run,
    beside what is served and then in its place; None: as that.
    """

    resampling: Resampling
    max_median_change: float = 0.02
    max_slowdown: float = 1.5
    instances: InstanceSettings | None = None


@dataclass(frozen=True)
class Mirrored:
    """Answers to the same requests: log factors, float32 (jets,), and round trips in seconds, float64 (requests,)."""

    served: NDArray[np.float32]
    candidate: NDArray[np.float32]
    served_seconds: NDArray[np.float64]
    candidate_seconds: NDArray[np.float64]

    @property
    def finite(self) -> NDArray[np.bool_]:
        """Jets that both answer with a number."""
        return np.asarray(np.isfinite(self.served) & np.isfinite(self.candidate))

    @property
    def slowdown(self) -> float:
        """The candidate's round trip over that of what is served, the lower quartile of each.

        What else the machine does makes requests slower, never faster: medians of equal models differ by half on a
        machine with far more to do than it has cores.
        """
        return float(np.quantile(self.candidate_seconds, 0.25) / np.quantile(self.served_seconds, 0.25))


@dataclass(frozen=True)
class Check:
    """One condition of a roll-out and what was found."""

    name: str
    passed: bool
    finding: str


@dataclass(frozen=True)
class Rollout:
    """What came of a roll-out: the versions, how many jets both answered, the checks, whether the candidate serves."""

    family: str
    served: int
    candidate: int
    jets: int
    checks: tuple[Check, ...]
    promoted: bool


def roll_out(
    endpoint: Endpoint,
    repository: ModelRepository,
    candidate: PublishedModel,
    jets: SplitJets,
    policy: RolloutPolicy,
) -> Rollout:
    """Serve a stored version beside the served one, compare them on these jets, and promote it if every check holds.

    In any other case, an exception included, the candidate is withdrawn and what was served still is. Raises
    NotComparableError where the two want other features than the jets have, and EndpointError where the server can't
    serve the candidate or answers something else than the published file computes. ConflictError where another run
    tries or promotes another version meanwhile: that one stays as it is.
    """
    (served,) = repository.served([candidate.family])
    _check_comparable(served, candidate, jets)
    try:
        name = try_out(endpoint, repository, candidate, policy.instances)
        try:
            self_test(endpoint, repository, candidate, jets.packed.slice(0, SELF_TEST_JETS), name)
            mirrored = mirror(endpoint, ((served.family, served.version), (name, candidate.version)), jets.packed)
        finally:  # whatever the server says of a version that isn't there any more
            _check_undisturbed(repository, served, candidate)
        checks = compare(mirrored, jets, policy)
        promoted = all(check.passed for check in checks)
        if promoted:
            promote(repository, candidate.family, candidate.version, policy.instances)
    finally:
        withdraw_candidate(endpoint, repository, candidate.family, candidate.version)
    return Rollout(served.family, served.version, candidate.version, len(jets.packed), checks, promoted)


def first_jets(jets: SplitJets, number: int) -> SplitJets:
    """The first so many jets of a split, or all if it has fewer."""
    return replace(jets, packed=jets.packed.slice(0, number), table=jets.table.head(number))


def mirror(endpoint: Endpoint, pair: tuple[Asked, Asked], jets: PackedJets) -> Mirrored:
    """Send the same requests to what is served and to the candidate, in turn and each first every other time.

    Few jets are sent again until there are enough requests to compare latencies.
    """
    batches = [
        (indices, PaddedJets.of(jets.take(indices)))
        for indices in batches_by_length(jets.counts, JETS_PER_REQUEST, MAX_SLOTS)
    ]
    answers = {asked: np.empty(len(jets), np.float32) for asked in pair}
    seconds: dict[Asked, list[float]] = {asked: [] for asked in pair}
    with JetClient.of(endpoint, "http") as client:
        for name, version in pair:
            client.answer(name, batches[0][1], str(version))  # the first of a connection takes longer
        for turn in range(max(len(batches), FEWEST_REQUESTS)):
            indices, batch = batches[turn % len(batches)]
            for asked in pair if turn % 2 == 0 else reversed(pair):
                name, version = asked
                begin = time.perf_counter()
                answers[asked][indices] = client.answer(name, batch, str(version))[:, 0]
                seconds[asked].append(time.perf_counter() - begin)
    served, candidate = pair
    return Mirrored(answers[served], answers[candidate], np.array(seconds[served]), np.array(seconds[candidate]))


def compare(mirrored: Mirrored, jets: SplitJets, policy: RolloutPolicy) -> tuple[Check, ...]:
    """The checks of a candidate: finite answers, loss, change of the correction, latency."""
    finite = mirrored.finite
    missing = int(np.count_nonzero(~np.isfinite(mirrored.candidate)))
    answered = Check("finite", missing == 0, f"{missing} of {len(finite):,} answers are no number")
    if not finite.any():
        return (answered,)
    promotion = _loss_decision(mirrored, jets, policy)
    change = np.abs(mirrored.candidate - mirrored.served)[finite]
    median = float(np.median(change))
    change_text = f"half of the log factors change by {median:.2e} or less, the most by {change.max():.2e}"
    slowdown = mirrored.slowdown
    return (
        answered,
        Check("loss", promotion.promoted, promotion.reason),
        Check("change", median <= policy.max_median_change, f"{change_text} (allowed: {policy.max_median_change:g})"),
        Check(
            "latency",
            slowdown <= policy.max_slowdown,
            f"{1e3 * np.quantile(mirrored.candidate_seconds, 0.25):.2f} ms a request in the lower quartile, "
            f"{slowdown:.2f} times what is served (allowed: {policy.max_slowdown:g})",
        ),
    )


def _loss_decision(mirrored: Mirrored, jets: SplitJets, policy: RolloutPolicy) -> Promotion:
    finite = mirrored.finite
    targets = jets.table["target"].to_numpy()[finite]
    draws = policy.resampling.draws(jets.table["event_hash"].to_numpy()[finite])
    return decide(jet_losses(targets, mirrored.served[finite]), jet_losses(targets, mirrored.candidate[finite]), draws)


def _check_undisturbed(repository: ModelRepository, served: PublishedModel, candidate: PublishedModel) -> None:
    tried, pointer = candidate_of(repository, served.family), repository.pointer(served.family)
    now = None if pointer is None else pointer.version
    if (now, tried) != (served.version, candidate.version):
        raise ConflictError(
            f"{candidate.title} was compared with version {served.version}, and another run changed that meanwhile: "
            f"version {now} is served, version {tried} tried; wait until that run is over, then roll it out again"
        )


def _check_comparable(served: PublishedModel, candidate: PublishedModel, jets: SplitJets) -> None:
    if served.version == candidate.version:
        raise NotComparableError(f"{candidate.title} is what is served: there is nothing to compare it with")
    if len(jets.packed) == 0:
        raise NotComparableError("there are no jets to compare versions on: materialize validation_jets")
    wanted = jets.features.particle_names, jets.features.jet_names
    for model in (served, candidate):
        if (model.card.particle_features, model.card.jet_features) != wanted:
            raise NotComparableError(
                f"{model.title} wants other features than these jets have ({jets.split.feature_set}): compare it with "
                f"`jec models diff` and promote it without a roll-out"
            )
