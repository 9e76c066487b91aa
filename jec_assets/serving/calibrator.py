"""Jets in, calibrated jets out: a published model for people who have arrays.

Belongs here: what is made of a model's answers, and which jets it has none for. Does not belong here: files
(`calibrated_file.py`), and where answers come from (`predictors.py`).

What is calibrated is simulation, and data as far as data are like it: as after any correction that is derived from
simulation, data still need the residual correction.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from jec_assets.jets.computed import compute_features
from jec_assets.jets.features import feature_set_named
from jec_assets.jets.nanoaod import columns_of_events, is_nanoaod
from jec_assets.jets.records import RecordError, columns_of_records
from jec_assets.jets.selection import select_particles
from jec_assets.serving.client import NoQuantilesError
from jec_assets.serving.predictors import LocalPredictor, ServedPredictor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from jec_assets.jets.features import Columns, FeatureSet
    from jec_assets.serving.access import Access
    from jec_assets.serving.predictors import Predictor
    from jec_assets.serving.record import PublishedModel
    from jec_assets.serving.repository import ModelRepository
    from jec_assets.serving.transport import Protocol

DEFAULT_FAMILY = "pfn_committee"
NOT_KNOWN = -1.0  # resolution of a jet that is not calibrated


class ChangedFeaturesError(RuntimeError):
    """A model was trained with a feature set that has other features by now."""


@dataclass(frozen=True)
class Calibration:
    """What a model says of some jets; arrays are (jets,).

    factor: float32, calibrated pT over pT, and as well mass over mass; 1 where the jet is not calibrated
    calibrated: bool, False for jets without constituents, or with a feature or a factor that is not finite
    outside_range: bool, True where the training had no such jet, see `jec_assets.jets.training_range`; so are all jets
    that are not calibrated, and all where the range was not recorded
    quantiles: float32 (jets, 2), the factor that 16 % and 84 % of like jets stay below; None where the model has none
    """

    factor: NDArray[np.float32]
    calibrated: NDArray[np.bool_]
    outside_range: NDArray[np.bool_]
    quantiles: NDArray[np.float32] | None

    @property
    def resolution(self) -> NDArray[np.float32] | None:
        """Half the distance of the quantiles' logarithms, the relative resolution of that one jet, float32 (jets,).

        -1 for jets that are not calibrated; None where the model has no quantiles.
        """
        if self.quantiles is None:
            return None
        low, high = np.log(self.quantiles).T
        return np.where(self.calibrated, (high - low) / 2, np.float32(NOT_KNOWN))


class Calibrator:
    """A published model that calibrates jets, of one version as long as it lives; to be closed, or used as a context.

    url: host:port of the server. access: for one behind a proxy, see `Access`. Jets are an awkward array whose records
    are jets with the branches of the JetNTuple (see `jec_assets.jets.records`) or events of NanoAOD with candidates
    (see `jec_assets.jets.nanoaod`), momenta in GeV, jets with the standard correction. RecordError names a field that
    is missing; UnitsError, RequestRefusedError and ServerUnavailableError are those of `JetClient`.

        with Calibrator("127.0.0.1:8000") as calibrator:
            calibrated_pt = calibrator.factors(events) * events.Jet_pt
    """

    features: FeatureSet

    def __init__(
        self, url: str, family: str = DEFAULT_FAMILY, protocol: Protocol = "http", access: Access | None = None
    ) -> None:
        self._use(ServedPredictor(url, family, protocol, access))

    @classmethod
    def local(cls, repository: ModelRepository, family: str = DEFAULT_FAMILY, threads: int = 0) -> Self:
        """The same without a server: the model that a repository publishes, in this process."""
        calibrator = cls.__new__(cls)
        calibrator._use(LocalPredictor(repository, family, threads))
        return calibrator

    def _use(self, predictor: Predictor) -> None:
        self._predictor = predictor
        with ExitStack() as undo:
            undo.callback(self.close)
            self.features = _features_of(predictor.model)
            undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._predictor.close()

    @property
    def model(self) -> PublishedModel:
        """Which model calibrates."""
        return self._predictor.model

    def factors(self, jets: Any) -> Any:
        """Calibrated pT over pT, an awkward array in the shape of the jets: (jets,), or (events, var).

        1 for jets that are not calibrated, see `Calibration`.
        """
        return _shaped(jets, self._of_records(jets).factor)

    def quantiles(self, jets: Any) -> Any:
        """The factors that 16 % and 84 % of like jets stay below, (jets, 2) or (events, var, 2).

        NoQuantilesError where the model predicts none.
        """
        quantiles = self._of_records(jets).quantiles
        return _shaped(jets, self._needed(quantiles))

    def resolution(self, jets: Any) -> Any:
        """Relative resolution of each jet, in the shape of the jets; -1 for those that are not calibrated.

        NoQuantilesError where the model predicts no quantiles.
        """
        return _shaped(jets, self._needed(self._of_records(jets).resolution))

    def outside_range(self, jets: Any) -> Any:
        """Whether the training had no such jet, bool in the shape of the jets."""
        return _shaped(jets, self._of_records(jets).outside_range)

    def calibration(self, columns: Columns) -> Calibration:
        """All that the model says of jets in columns."""
        seen = select_particles(columns, self.features)
        computed = compute_features(seen, self.features)
        calibrated = computed.finite & (np.diff(seen.offsets) > 0)
        answers = self._predictor.outputs(computed.packed().take(np.flatnonzero(calibrated)))
        factors = np.ones((len(columns), answers.shape[1]), np.float32)
        with np.errstate(over="ignore"):
            factors[calibrated] = np.exp(answers)
        calibrated &= np.isfinite(factors).all(axis=1)
        factors[~calibrated] = 1
        outside = ~calibrated | self._outside_range(seen)
        return Calibration(factors[:, 0], calibrated, outside, factors[:, 1:] if factors.shape[1] > 1 else None)

    def _outside_range(self, seen: Columns) -> NDArray[np.bool_]:
        training_range = self.model.card.training_range
        if training_range is None:
            return np.ones(len(seen), np.bool_)
        return training_range.outside(seen.scalars["jetPt"], seen.scalars["jetEta"], np.diff(seen.offsets))

    def _of_records(self, jets: Any) -> Calibration:
        if not getattr(jets, "fields", None):
            raise RecordError("these are no records: give an awkward array with a field per branch")
        if is_nanoaod(jets):
            return self.calibration(columns_of_events(jets, self.features))
        return self.calibration(columns_of_records(jets, jets.fields, self.features, len(jets)))

    def _needed(self, values: NDArray[np.float32] | None) -> NDArray[np.float32]:
        if values is None:
            raise NoQuantilesError(f"{self.model.family} predicts no quantiles: use a model that was trained with them")
        return values


def _shaped(jets: Any, values: NDArray[Any]) -> Any:
    import awkward as ak

    if not is_nanoaod(jets):
        return ak.Array(values)
    pt = jets["Jet_pt"] if "Jet_pt" in jets.fields else jets["Jet"]["pt"]
    return ak.unflatten(values, ak.num(pt))


def _features_of(model: PublishedModel) -> FeatureSet:
    """The feature set that a model wants, as it is in this release."""
    card = model.card
    features = feature_set_named(card.feature_set)
    if (features.particle_names, features.jet_names) != (card.particle_features, card.jet_features):
        raise ChangedFeaturesError(
            f"{card.family} version {model.version} wants other features than {card.feature_set!r} has "
            "in this release: use the release that it was trained with, or train and publish it again"
        )
    return features
