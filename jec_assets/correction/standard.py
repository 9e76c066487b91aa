"""The standard correction as tables, and applying it.

Belongs here: the tables, their checks, and the factor that they give a jet. Does not belong here: deriving the tables
(`derivation.py`) and their file format (`export.py`).

It has the levels of the CMS correction (JINST 12 (2017) P02014, Sections 4 and 5):

- L1, the offset of pileup: pT,1 = c1 pT,raw with c1 = max(1 - k(|eta|) rho A / pT,raw, 1e-4)
- L2L3, the response of the detector: pT = c23(|eta|, pT,1) pT,1, where c23 is tabulated at some pT,1 in each bin of
  |eta|, linear in log pT,1 between them, and held constant beyond the first and the last

Momenta in GeV, densities rho in GeV per unit of area, areas A in units of eta times radians.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jec_assets.correction.errors import CorrectionError
from jec_assets.storage import digest_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SMALLEST_OFFSET_FACTOR = 1e-4


@dataclass(frozen=True)
class ResponseCurve:
    """L2L3 in one bin of |eta|: `factors` at transverse momenta `pts` (GeV, rising), at least one point."""

    pts: tuple[float, ...]
    factors: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.pts or len(self.pts) != len(self.factors):
            raise CorrectionError(f"a response curve needs as many factors as momenta, at least one: {self}")
        if self.pts[0] <= 0 or np.any(np.diff(self.pts) <= 0):
            raise CorrectionError(f"the momenta of a response curve must be positive and rise: {self.pts}")
        if not np.all(np.isfinite(self.factors)) or min(self.factors) <= 0:
            raise CorrectionError(f"the factors of a response curve must be positive numbers: {self.factors}")

    def __call__(self, pt: NDArray[np.float64]) -> NDArray[np.float64]:
        """c23 at offset-corrected transverse momenta (jets,)."""
        return np.interp(np.log(pt), np.log(self.pts), self.factors)

    def covers(self, pt: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Where c23 is interpolated rather than held constant, bool (jets,)."""
        return (pt >= self.pts[0]) & (pt <= self.pts[-1])


@dataclass(frozen=True)
class StandardCorrection:
    """L1 and L2L3 in bins of |eta|; the last bin also holds for jets beyond its edge.

    offset_edges: |eta|, (regions + 1,), from 0; offset_slopes: k, (regions,)
    response_edges: |eta|, (bins + 1,), from 0; response: one curve a bin
    valid_from: GeV, the particle-level pT from which on it was derived
    """

    offset_edges: tuple[float, ...]
    offset_slopes: tuple[float, ...]
    response_edges: tuple[float, ...]
    response: tuple[ResponseCurve, ...]
    valid_from: float

    def __post_init__(self) -> None:
        _check_edges("offset", self.offset_edges, len(self.offset_slopes))
        _check_edges("response", self.response_edges, len(self.response))
        if not np.all(np.isfinite(self.offset_slopes)):
            raise CorrectionError(f"the slopes of the offset must be numbers: {self.offset_slopes}")

    @classmethod
    def from_tables(cls, tables: dict[str, Any]) -> StandardCorrection:
        """The correction whose `tables` these are, read back from JSON; `CorrectionError` where they make no sense."""
        try:
            return cls(
                tuple(tables["offset_edges"]),
                tuple(tables["offset_slopes"]),
                tuple(tables["response_edges"]),
                tuple(ResponseCurve(tuple(curve["pts"]), tuple(curve["factors"])) for curve in tables["response"]),
                tables["valid_from"],
            )
        except KeyError as fault:
            raise CorrectionError(f"the tables of a standard correction lack {fault}: derive it again") from fault

    @property
    def tables(self) -> dict[str, Any]:
        """Everything it is made of, ready for JSON, which keeps every number to its last bit."""
        return asdict(self)

    @property
    def digest(self) -> str:
        """Digest of the tables: two corrections with the same digest give every jet the same factor."""
        return digest_of(self.tables)

    @property
    def version(self) -> str:
        """Short name of these tables, the first eight digits of their digest."""
        return self.digest[:8]

    def factor(self, raw_pt: ArrayLike, eta: ArrayLike, rho: ArrayLike, area: ArrayLike) -> NDArray[np.float64]:
        """What to multiply each jet's raw four-momentum with, float64 (jets,)."""
        raw, abs_eta = np.asarray(raw_pt, np.float64), np.abs(np.asarray(eta, np.float64))
        offset = self.offset_factor(raw, abs_eta, np.asarray(rho, np.float64), np.asarray(area, np.float64))
        return offset * self.response_factor(offset * raw, abs_eta)

    def offset_factor(
        self,
        raw_pt: NDArray[np.float64],
        abs_eta: NDArray[np.float64],
        rho: NDArray[np.float64],
        area: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """c1, float64 (jets,)."""
        slope = np.asarray(self.offset_slopes)[bin_of(abs_eta, self.offset_edges)]
        return np.maximum(1 - slope * rho * area / raw_pt, SMALLEST_OFFSET_FACTOR)

    def response_factor(self, pt: NDArray[np.float64], abs_eta: NDArray[np.float64]) -> NDArray[np.float64]:
        """c23 at offset-corrected transverse momenta, float64 (jets,)."""
        bins = bin_of(abs_eta, self.response_edges)
        factors = np.empty(len(pt))
        for index, curve in enumerate(self.response):
            inside = bins == index
            factors[inside] = curve(pt[inside])
        return factors


def bin_of(abs_eta: NDArray[np.float64], edges: tuple[float, ...]) -> NDArray[np.int64]:
    """The bin of each |eta|, half-open; what lies beyond the last edge belongs to the last bin."""
    return np.minimum(np.searchsorted(edges, abs_eta, side="right") - 1, len(edges) - 2)


def _check_edges(name: str, edges: tuple[float, ...], bins: int) -> None:
    if bins < 1 or len(edges) != bins + 1 or edges[0] != 0 or np.any(np.diff(edges) <= 0):
        raise CorrectionError(f"the |eta| edges of the {name} must rise from 0 and enclose its {bins} bins: {edges}")
