"""A number with its uncertainty, or the reason why there is none.

Belongs here: the one dataclass in which every result of this package travels. Does not belong here: how uncertainties
come about (`bootstrap.py`) and how numbers are printed (`jec_assets.reports.text`).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, TypeGuard

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

NO_JETS = "no jets"
ROUNDING = 1e-12  # of the value, or of 1: what floating-point arithmetic makes of resamples that are all the same


@dataclass(frozen=True)
class Number:
    """A statistic of `n` jets (or trials).

    value: None where the statistic is undefined; `note` then says why. Never NaN or infinite.
    uncertainty: one standard deviation, same unit as the value; None where it can't be estimated, `note` says why.
    """

    value: float | None
    uncertainty: float | None
    n: int
    note: str = ""

    @classmethod
    def of(cls, samples: NDArray[np.float64], n: int) -> Number:
        """From a statistic's value on the sample itself, samples[0], and on its resamples, samples[1:].

        The uncertainty is the standard deviation (one degree of freedom less) over those resamples in which the
        statistic is defined: a group of very few jets is missing from some of them, and jets of one event have none.
        """
        if n == 0:
            return cls.missing(0, NO_JETS)
        value = float(samples[0])
        if not np.isfinite(value):
            return cls.missing(n, f"n = {n}: undefined")
        resampled = samples[1:][np.isfinite(samples[1:])]
        if n == 1:
            return cls(value, None, n, "n = 1")
        if len(resampled) < 2:
            return cls(value, None, n, f"n = {n}: too few events")
        if np.ptp(resampled) <= ROUNDING * max(abs(value), 1.0):
            return cls(value, 0.0, n)
        return cls(value, float(np.std(resampled, ddof=1)), n)

    @classmethod
    def missing(cls, n: int, note: str) -> Number:
        """A number that isn't there, and why."""
        return cls(None, None, n, note)

    def as_json(self) -> dict[str, float | int | str | None]:
        """As a JSON object with the fields' names as keys."""
        return asdict(self)

    @classmethod
    def from_json(cls, entry: Mapping[str, object]) -> Number:
        """The number of which `as_json` made this; ValueError where it did not."""
        value, uncertainty, n, note = (entry.get(name) for name in ("value", "uncertainty", "n", "note"))
        if not (_is_real(value) and _is_real(uncertainty) and isinstance(n, int) and isinstance(note, str)):
            raise ValueError(f"{dict(entry)} is no number with an uncertainty")
        return cls(value, uncertainty, n, note)


def _is_real(part: object) -> TypeGuard[float | None]:
    return part is None or isinstance(part, int | float)
