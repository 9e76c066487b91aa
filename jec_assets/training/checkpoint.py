"""An unfinished training, kept so that it goes on where it was killed.

Belongs here: when a checkpoint is written, where, and whether one is of this training. Does not belong here: what it
holds (`loop.py`) and how that becomes bytes (`tensor_tree.py`).

A checkpoint is a single object, replaced in one piece, so a reader finds a whole one. Whoever publishes a training's
result removes its checkpoint then, with `remove_checkpoint`: until that moment a killed run can still go on from it.

One that cannot be read, or that another training left, is passed over with a warning that names it, and the training
begins anew: the result is the same to the last bit, and only time is lost, where an error would stop a whole study
over an object that nobody can repair.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from jec_assets.models import group
from jec_assets.storage import digest_of
from jec_assets.training.tensor_tree import UnreadableTreeError, from_bytes, to_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from jec_assets.training.config import Checkpointing

_LOGGER = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoint of one training; `None` keeps none.

    circumstances: what else must be the same for a checkpoint to be of use: JSON-like values.
    """

    def __init__(
        self,
        place: Checkpointing | None,
        circumstances: dict[str, Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place, self._clock = place, clock
        self._training = digest_of({"given": place and place.digest, "circumstances": circumstances})
        self._written = clock()

    @property
    def kept(self) -> bool:
        """Whether there are any."""
        return self._place is not None

    def due(self) -> bool:
        """Whether it is time for one, as the first process's clock has it."""
        place = self._place
        return place is not None and group.rank() == 0 and self._clock() >= self._written + place.seconds

    def write(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint, where this is the first process."""
        if self._place is not None and group.rank() == 0:
            data = to_bytes({"training": self._training, "state": state})
            self._place.storage.publish_bytes(self._place.key, data)
        self._written = self._clock()

    def read(self) -> dict[str, Any] | None:
        """The state to go on from, None where there is none."""
        place = self._place
        if place is None or not place.storage.exists(place.key):
            return None
        where = place.storage.uri(place.key)
        try:
            tree = from_bytes(place.storage.read_bytes(place.key))
        except UnreadableTreeError as error:
            _LOGGER.warning("%s cannot be read, the training begins anew: %s", where, error)
            return None
        if not isinstance(tree, dict) or tree.get("training") != self._training:
            _LOGGER.warning("%s is another training's, which begins anew", where)
            return None
        state: dict[str, Any] = tree["state"]
        return state


def remove_checkpoint(place: Checkpointing) -> None:
    """Remove the checkpoint of a training whose result is published; fine where there is none."""
    place.storage.remove(place.key)
