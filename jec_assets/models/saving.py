"""A network as one file: weights and standardization as safetensors, with its description in the same file.

Belongs here: bytes of a network and back. Does not belong here: where they are stored (`jec_assets.storage`) and
the state of an optimizer (`jec_assets.training`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jec_assets.models.families import family_named
from jec_assets.models.inputs import NetworkInputs
from jec_assets.models.outputs import CALIBRATION

if TYPE_CHECKING:
    from jec_assets.models.hyperparameters import Hyperparameters
    from jec_assets.models.network import JetNetwork

# One entry only: the order of several would differ from file to file.
METADATA_KEY = "network"


class UnreadableNetworkError(ValueError):
    """Bytes or a file that are not a network saved by `network_bytes`."""


@dataclass(frozen=True)
class NetworkDescription:
    """What a network is: enough to build it again, and to know which features it wants."""

    family: str
    hyperparameters: Hyperparameters
    feature_set: str
    inputs: NetworkInputs
    outputs: tuple[str, ...] = CALIBRATION

    def build(self) -> JetNetwork:
        """The network with fresh weights from torch's generator."""
        return family_named(self.family).build(self.hyperparameters, self.inputs, len(self.outputs))

    def to_json(self) -> str:
        """As JSON; equal descriptions give equal text."""
        values = asdict(self) | {"hyperparameters": self.hyperparameters.to_dict()}
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> NetworkDescription:
        """The inverse of `to_json`; LookupError, TypeError or ValueError for anything else."""
        values = json.loads(text)
        inputs: dict[str, Any] = {
            name: tuple(each) if isinstance(each, list) else each for name, each in values["inputs"].items()
        }
        return cls(
            values["family"],
            family_named(values["family"]).hyperparameters.from_dict(values["hyperparameters"]),
            values["feature_set"],
            NetworkInputs(**inputs),
            tuple(values["outputs"]),
        )


def network_bytes(network: JetNetwork, description: NetworkDescription) -> bytes:
    """The network as safetensors; equal weights, constants and descriptions give equal bytes on every machine."""
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    return bytes(save(tensors, metadata={METADATA_KEY: description.to_json()}))


def load_network(source: Path | bytes) -> tuple[JetNetwork, NetworkDescription]:
    """The network in a file or in bytes, on the CPU, in evaluation mode; UnreadableNetworkError names what is wrong."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    data = source if isinstance(source, bytes) else source.read_bytes()
    where = f"{len(data)} bytes" if isinstance(source, bytes) else str(source)
    try:
        description = NetworkDescription.from_json(_metadata(data)[METADATA_KEY])
        network = description.build()
        network.load_state_dict(load(data))
    except (SafetensorError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise UnreadableNetworkError(
            f"{where}: not a network saved by this project ({error}); train it again"
        ) from error
    return network.eval(), description


def _metadata(data: bytes) -> dict[str, str]:
    # The format: 8 bytes with the length of a JSON header, little-endian; the header; the tensors. The safetensors
    # package reads metadata of files only.
    length = int.from_bytes(data[:8], "little")
    metadata: dict[str, str] = json.loads(data[8 : 8 + length])["__metadata__"]
    return metadata
