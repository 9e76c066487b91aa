"""May a candidate replace the model that is served?

Belongs here: the decision from losses on the same jets. Does not belong here: computing losses
(`jec_assets.evaluation.loss`) and publishing (`repository.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.bootstrap import means

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Promotion:
    """The decision and its reason.

    difference: mean loss of the candidate minus that of the served model, with its uncertainty; both 0 where there
    is nothing to compare with.
    """

    promoted: bool
    reason: str
    difference: float = 0.0
    uncertainty: float = 0.0

    @classmethod
    def unopposed(cls, reason: str) -> Promotion:
        """Promote without a comparison, because there is nothing to compare with."""
        return cls(True, reason)


def decide(
    served_losses: NDArray[np.floating], candidate_losses: NDArray[np.floating], draws: NDArray[np.integer]
) -> Promotion:
    """Promote a candidate that is not worse than the served model beyond the uncertainty of their difference.

    Losses are per jet, (jets,), of the same validation jets in the same order; draws (1 + resamples, jets) are
    those of `jec_assets.evaluation.bootstrap.Resampling`. The uncertainty is the standard deviation of the mean
    difference over the resamples, each drawn for both models at once: what a jet adds to both losses cancels. Raises
    ValueError for no jets, unequal numbers of them or losses that aren't finite.
    """
    _check(candidate_losses, "candidate")
    _check(served_losses, "served")
    if served_losses.shape != candidate_losses.shape:
        raise ValueError(
            f"losses of {len(served_losses)} and {len(candidate_losses)} jets can't be compared: "
            "evaluate both models on the same jets"
        )
    differences = candidate_losses.astype(np.float64) - served_losses.astype(np.float64)
    difference, *resampled = means(differences, draws)
    # Jets of one event know no uncertainty: then none excuses a loss that is worse.
    uncertainty = float(np.std(resampled, ddof=1)) if np.isfinite(resampled).all() else 0.0
    promoted = bool(difference <= uncertainty)
    verdict = "not worse" if promoted else "worse"
    reason = f"{verdict} than the served model: loss {difference:+.2e} with an uncertainty of {uncertainty:.1e}"
    return Promotion(promoted, reason, float(difference), uncertainty)


def _check(losses: NDArray[np.floating], whose: str) -> None:
    if losses.ndim != 1 or len(losses) == 0:
        raise ValueError(f"the {whose} model's losses must be one per jet, (jets,), not {losses.shape}")
    if not np.isfinite(losses).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(losses))} of the {whose} model's losses are not finite")
