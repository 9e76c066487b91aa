"""Is what somebody sends a model that can be served?

Belongs here: the checks of an uploaded ONNX file and of what is said of it. Does not belong here: how it comes
(`repository_service.py`) and where it goes (`version_store.py`).

A file of unknown origin is loaded and run in a process of its own, with limited memory and time: whatever it does to
ONNX Runtime, nothing else is hurt.
"""

from __future__ import annotations

import resource
from concurrent.futures import TimeoutError as FuturesTimeoutError
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from jec_assets.jets.features import FEATURE_SETS
from jec_assets.jets.training_range import TrainingRange
from jec_assets.models.outputs import CALIBRATION, QUANTILES
from jec_assets.pools import worker_pool
from jec_assets.serving.record import ModelCard
from jec_assets.serving.runtime import UnusableModelError, inference_session
from jec_assets.serving.tensors import OUTPUTS, PaddedJets
from jec_assets.storage import digest_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

    from jec_assets.serving.config import ModelWidths
    from jec_assets.serving.runtime import JetSession

TEST_JETS, TEST_PARTICLES = 16, 20
UNCOMPARED = 0.0  # nobody has the network that an uploaded graph was made from


class InvalidModelError(ValueError):
    """An uploaded file that can't be served, or that isn't what is said of it."""


class UploadedCard(BaseModel):
    """What whoever uploads a model must say of it, and may."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    feature_set: str = Field(min_length=1, max_length=64)
    particle_features: tuple[str, ...] = Field(min_length=1, max_length=1000)
    jet_features: tuple[str, ...] = Field(min_length=1, max_length=1000)
    data_digests: dict[str, str] = Field(min_length=1)
    losses: dict[str, FiniteFloat] = Field(default_factory=dict)
    package_versions: dict[str, str] = Field(default_factory=dict)
    hyperparameters: dict[str, str | int | FiniteFloat | bool | None] = Field(default_factory=dict)
    training: dict[str, str | int | FiniteFloat | bool | None] = Field(default_factory=dict)
    quantiles: bool = False
    training_range: TrainingRange | None = None

    def card(self, family: str, onnx: bytes) -> ModelCard:
        """The model's card; InvalidModelError where its features aren't those of the declared set that it names."""
        declared = FEATURE_SETS.get(self.feature_set)
        given = self.particle_features, self.jet_features
        if declared is not None and given != (declared.particle_names, declared.jet_names):
            raise InvalidModelError(
                f"feature set {self.feature_set!r} has other features: {declared.particle_names} and "
                f"{declared.jet_names}, in this order"
            )
        return ModelCard(
            family=family,
            network_digest=digest_bytes(onnx),
            feature_set=self.feature_set,
            particle_features=self.particle_features,
            jet_features=self.jet_features,
            data_digests=self.data_digests,
            losses=self.losses,
            export_difference=UNCOMPARED,
            package_versions=self.package_versions,
            outputs=QUANTILES if self.quantiles else CALIBRATION,
            training_range=self.training_range,
            hyperparameters=self.hyperparameters,
            training=self.training,
        )


@dataclass(frozen=True)
class Limits:
    """Of the process that tries a model: bytes of address space, seconds."""

    memory: int = 8 << 30
    seconds: float = 120.0


LIMITS = Limits()


def check_model(onnx: bytes, widths: ModelWidths, limits: Limits = LIMITS) -> None:
    """InvalidModelError unless this is an ONNX model of these widths that answers a test batch with finite numbers."""
    try:
        with worker_pool(1, _limit_memory, limits.memory) as pool:
            pool.submit(_try, onnx, widths).result(limits.seconds)
    except FuturesTimeoutError:
        raise InvalidModelError(f"the model takes more than {limits.seconds:g} s for {TEST_JETS} jets") from None
    except (BrokenProcessPool, MemoryError) as error:
        raise InvalidModelError("ONNX Runtime dies of the model, or it needs too much memory") from error


def _limit_memory(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _try(onnx: bytes, widths: ModelWidths) -> None:
    """InvalidModelError, with what is wrong, unless the model can be served; runs in a process of its own."""
    from google.protobuf.message import DecodeError
    from onnx import load_model_from_string

    try:
        external = next(_external(load_model_from_string(onnx)), None)
    except (DecodeError, UnicodeDecodeError) as error:
        raise InvalidModelError(f"these {len(onnx)} bytes are no ONNX model") from error
    if external:
        raise InvalidModelError(f"tensor {external!r} lies in another file: save the model with all its weights inside")
    try:
        session = inference_session(onnx, threads=1)
    except UnusableModelError as error:
        raise InvalidModelError(str(error)) from error
    _check_widths(session, widths)
    _check_answers(session, widths)


def _check_widths(session: JetSession, widths: ModelWidths) -> None:
    try:
        wanted = session.feature_counts
    except (IndexError, TypeError, ValueError) as error:
        raise InvalidModelError(
            "the model must declare how many features it wants: the last axis of its inputs"
        ) from error
    if wanted != (widths.particle_features, widths.jet_features):
        raise InvalidModelError(
            f"the model wants {wanted} particle and jet features, its card names "
            f"{(widths.particle_features, widths.jet_features)}"
        )
    given = sum(OUTPUTS[name] for name in session.outputs)
    if given != widths.outputs:
        raise InvalidModelError(f"the model gives {given} numbers a jet, its card says {widths.outputs}")


def _check_answers(session: JetSession, widths: ModelWidths) -> None:
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    try:
        answers = session.answers(_test_batch(widths))
    except (
        errors.Fail,
        errors.InvalidArgument,
        errors.NotImplemented,
        errors.RuntimeException,
        UnicodeDecodeError,
    ) as error:
        raise InvalidModelError(f"the model fails on a test batch: {error}") from None
    for name, values in answers.items():
        if values.shape != (TEST_JETS, OUTPUTS[name]):
            raise InvalidModelError(f"the model answers {TEST_JETS} jets with {name} of shape {values.shape}")
        if not np.isfinite(values).all():
            raise InvalidModelError(f"the model's {name} of a test batch is not finite")


def _test_batch(widths: ModelWidths) -> PaddedJets:
    random = np.random.default_rng(0)
    return PaddedJets(
        random.normal(0.3, 1.5, (TEST_JETS, TEST_PARTICLES, widths.particle_features)).astype(np.float32),
        random.integers(1, TEST_PARTICLES + 1, (TEST_JETS, 1)),
        random.normal(1.0, 4.0, (TEST_JETS, widths.jet_features)).astype(np.float32),
    )


def _external(message: Message) -> Iterator[str]:
    """Names of tensors whose values are in other files, wherever in a message they are.

    Graphs have them as initializers, sparse ones too, and in attributes of nodes; so have graphs in attributes, and
    functions.
    """
    from onnx import TensorProto

    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for part in value if field.is_repeated else [value]:
            if not isinstance(part, TensorProto):
                yield from _external(part)
            elif part.data_location == TensorProto.EXTERNAL:
                yield part.name or "constant"
