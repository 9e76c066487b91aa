"""The standard correction that a sample's jets get: derived for the sample, or given as a file.

Belongs here: the file that is shipped beside the jets, with what they need of it. Does not belong here: deriving and
reading one (`campaign.py` calls `jec_assets.correction`).

Comparing generators needs jets that differ in nothing but the generator: a sample of another tune is then simulated
with the file that the nominal sample ships.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jec_assets.correction import AppliedCorrection


@dataclass(frozen=True)
class ShippedCorrection:
    """A correction with its file: `name` and `content` (correctionlib JSON), and `digest`, equal for equal factors.

    jets: how many it was derived from; None where it was given.
    """

    correction: AppliedCorrection
    name: str
    content: str
    digest: str
    jets: int | None
