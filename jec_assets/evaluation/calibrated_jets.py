"""The evaluation table as arrays: jets, their true pT, and what each correction makes of them.

Belongs here: reading the table of calibrated jets, checking it, selecting rows. Does not belong here: statistics.

The table has one row per jet: `REQUIRED_COLUMNS` (momenta in GeV), a column `log_factor_<family>` per network, and
`quantile_16_<family>` and `quantile_84_<family>` for those that predict them. The standard correction is already in
jetPt: its log factor is 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.evaluation.responses import response

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

STANDARD = "standard"
LOG_FACTOR_PREFIX = "log_factor_"
QUANTILE_PREFIXES = ("quantile_16_", "quantile_84_")
REQUIRED_COLUMNS = (
    *("jetPt", "jetEta", "genJetPt", "genJetEta", "flavor", "target", "event_hash"),
    *("rhoAll", "Pileup_nPU", "eventWeight", "constituents"),
)


class CalibratedJetsError(ValueError):
    """The table of calibrated jets lacks a column or holds values that no calibrated jet can have."""


@dataclass(frozen=True)
class CalibratedJets:
    """Some jets; every array is (jets,).

    jet_pt, gen_pt: float64, GeV, positive; abs_eta, abs_gen_eta: float64, of the reconstructed and of the
    particle-level jet; flavor: int32, see `bins.FLAVORS`; target: float64, log(gen_pt / jet_pt); event: uint64, equal
    for jets of one event; rho: float64, GeV per unit area; pileup: float64, number of pileup interactions;
    constituents: int64, particles that networks see; event_weight: float64, turns the generated spectrum into a
    physical one;
    log_factors: float64 log(pT_corr / jet_pt) per correction, `standard` (zeros) first, then the families;
    quantiles: float64 (2, jets) per family that predicts them, where 16 % and 84 % of like jets' targets lie;
    weight: how much each jet counts in every statistic, float64; None: each alike.
    """

    jet_pt: NDArray[np.float64]
    gen_pt: NDArray[np.float64]
    abs_eta: NDArray[np.float64]
    abs_gen_eta: NDArray[np.float64]
    flavor: NDArray[np.int32]
    target: NDArray[np.float64]
    event: NDArray[np.uint64]
    rho: NDArray[np.float64]
    pileup: NDArray[np.float64]
    constituents: NDArray[np.int64]
    event_weight: NDArray[np.float64]
    log_factors: dict[str, NDArray[np.float64]]
    quantiles: dict[str, NDArray[np.float64]]
    weight: NDArray[np.float64] | None = None

    @classmethod
    def from_table(cls, table: pl.DataFrame) -> CalibratedJets:
        """Read the table; `CalibratedJetsError` names a missing column or one with impossible values."""
        missing = [name for name in REQUIRED_COLUMNS if name not in table.columns]
        if missing:
            raise CalibratedJetsError(
                f"the table of calibrated jets has no column {', '.join(missing)}: make it again from the test jets"
            )
        families = [name for name in table.columns if name.startswith(LOG_FACTOR_PREFIX)]
        log_factors = {STANDARD: np.zeros(len(table))}
        log_factors |= {name.removeprefix(LOG_FACTOR_PREFIX): _finite(table, name) for name in families}
        return cls(
            jet_pt=_positive(table, "jetPt"),
            gen_pt=_positive(table, "genJetPt"),
            abs_eta=np.abs(_finite(table, "jetEta")),
            abs_gen_eta=np.abs(_finite(table, "genJetEta")),
            flavor=table["flavor"].to_numpy().astype(np.int32),
            target=_finite(table, "target"),
            event=table["event_hash"].to_numpy().astype(np.uint64),
            rho=_finite(table, "rhoAll"),
            pileup=_finite(table, "Pileup_nPU"),
            constituents=table["constituents"].to_numpy().astype(np.int64),
            event_weight=_finite(table, "eventWeight"),
            log_factors=log_factors,
            quantiles=_quantiles(table),
        )

    def __len__(self) -> int:
        return len(self.gen_pt)

    @property
    def corrections(self) -> tuple[str, ...]:
        """Names of the corrections, `standard` first."""
        return tuple(self.log_factors)

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the networks' families, in the table's order."""
        return tuple(name for name in self.log_factors if name != STANDARD)

    def responses(self, correction: str) -> NDArray[np.float64]:
        """Response R = pT_corr / pT_gen of each jet under a correction, (jets,)."""
        return response(self.jet_pt, self.log_factors[correction], self.gen_pt)

    def weighted_by_event(self) -> CalibratedJets:
        """The same jets, each counting as much as its event's weight: a physical spectrum in place of the generated."""
        return replace(self, weight=self.event_weight)


def _quantiles(table: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
    low, high = QUANTILE_PREFIXES
    families = [name.removeprefix(low) for name in table.columns if name.startswith(low)]
    return {family: np.stack([_finite(table, low + family), _finite(table, high + family)]) for family in families}


def _finite(table: pl.DataFrame, name: str) -> NDArray[np.float64]:
    values = table[name].cast(float).to_numpy()
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise CalibratedJetsError(
            f"column {name} of the table of calibrated jets is missing, NaN or infinite for {bad} of {len(values)} "
            f"jets: look at their input features and at the network behind it"
        )
    return values


def _positive(table: pl.DataFrame, name: str) -> NDArray[np.float64]:
    values = _finite(table, name)
    bad = int(np.count_nonzero(values <= 0))
    if bad:
        raise CalibratedJetsError(
            f"column {name} of the table of calibrated jets isn't positive for {bad} of {len(values)} jets: "
            f"the selection must reject them"
        )
    return values
