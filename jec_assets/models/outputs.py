"""What the numbers are that a network gives for a jet.

Belongs here: their names, in order. Does not belong here: the losses that train them (`jec_assets.training.losses`).
"""

from __future__ import annotations

LOG_FACTOR = "log_factor"

# The prediction alone: log(genJetPt / jetPt).
CALIBRATION = (LOG_FACTOR,)
