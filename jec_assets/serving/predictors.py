"""What answers with a published model: a server, or ONNX Runtime in this process.

Belongs here: the two behind one face. Does not belong here: what is made of the answers (`calibrator.py`).
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

from jec_assets.serving.access import Access
from jec_assets.serving.client import JetClient
from jec_assets.serving.runtime import inference_session
from jec_assets.serving.units import check_units

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from jec_assets.jets.packed import PackedJets
    from jec_assets.serving.record import PublishedModel
    from jec_assets.serving.repository import ModelRepository
    from jec_assets.serving.transport import Protocol as Wire


class Predictor(Protocol):
    """A published model that answers."""

    @property
    def model(self) -> PublishedModel:
        """Which one: the same as long as this lives."""

    def outputs(self, jets: PackedJets) -> NDArray[np.float32]:
        """All its outputs, float32 (jets, 1 or 3), in the jets' order; see `JetClient.outputs` for what it raises."""

    def close(self) -> None:
        """Let go of connections."""


class ServedPredictor:
    """A server's model, in the version that it serves when this is made.

    address: host:port, with or without http:// before it. access: for a server behind a proxy, see `Access`; https://
    without it means one whose certificate this machine trusts, and which asks for no token. If another version takes
    this one's place meanwhile, the next request is refused rather than answered by a mixture.
    """

    def __init__(self, address: str, family: str, protocol: Wire = "http", access: Access | None = None) -> None:
        scheme, _, plain = address.rpartition("://")
        if scheme == "https" and access is None:
            access = Access()
        self._client = JetClient(plain.rstrip("/"), protocol, access=access)
        with ExitStack() as undo:
            undo.callback(self._client.close)
            self.model = self._client.published(family)
            undo.pop_all()

    def outputs(self, jets: PackedJets) -> NDArray[np.float32]:
        """See `Predictor.outputs`."""
        return self._client.outputs(self.model.family, jets, str(self.model.version))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class LocalPredictor:
    """The model that a repository publishes, without a server.

    threads: 0 for one per core. UnpublishedModelError where the repository has no such family.
    """

    def __init__(self, repository: ModelRepository, family: str, threads: int = 0) -> None:
        (self.model,) = repository.served([family])
        self._session = inference_session(repository.onnx(self.model), threads)

    def outputs(self, jets: PackedJets) -> NDArray[np.float32]:
        """See `Predictor.outputs`."""
        check_units(jets, self.model.card.jet_features)
        return self._session.predict_outputs(jets)

    def close(self) -> None:
        """Nothing to let go of."""
