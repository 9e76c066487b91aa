"""Each network's loss, gain, flavor dependence and resolution, as the reports keep them.

Belongs here: where in the numbers of other reports these stand. Does not belong here: how they are computed
(`jec_assets.evaluation`) and what is said of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jec_assets.evaluation.baselines import BASELINES
from jec_assets.evaluation.bins import INCLUSIVE, REGIONS
from jec_assets.evaluation.calibrated_jets import STANDARD
from jec_assets.evaluation.number import Number
from jec_assets.reports.report import ReportError
from jec_assets.reports.text import PERCENT, number_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jec_assets.evaluation.bins import Interval
    from jec_assets.reports.report import JsonValue, Report

SOURCES = ("loss", "flavor", "resolution")


@dataclass(frozen=True)
class Results:
    """What the reports `loss`, `flavor` and `resolution` say of the networks."""

    reports: Mapping[str, Report]

    @classmethod
    def of(cls, reports: Iterable[Report]) -> Results:
        """From reports in any order; `ReportError` where one of the three is missing."""
        named = {each.name: each for each in reports}
        for name in SOURCES:
            if name not in named:
                raise ReportError(f"there is no report {name!r} among {', '.join(named)}: hand it over with the others")
        return cls(named)

    @property
    def families(self) -> tuple[str, ...]:
        """Networks, in the order of the reports."""
        return tuple(name for name in _branch(self.reports["loss"], "gain") if name not in BASELINES)

    def loss(self, correction: str) -> Number:
        """Mean loss of a network or baseline on the test jets."""
        numbers, gain = self.reports["loss"].numbers, _number(self.reports["loss"], "gain", correction, STANDARD)
        value, uncertainty = _leaf(numbers, "loss", correction), _leaf(numbers, "loss_uncertainty", correction)
        if not isinstance(value, float):
            return Number.missing(gain.n, gain.note)
        return Number(value, uncertainty if isinstance(uncertainty, float) else None, gain.n, gain.note)

    def gain(self, family: str) -> Number:
        """(L_standard - L) / L, a share."""
        return _number(self.reports["loss"], "gain", family, STANDARD)

    def interval_loss(self, family: str, region: Interval, interval: Interval) -> Number:
        """Mean loss of a network on the test jets of a region and interval."""
        return _number(self.reports["loss"], "loss_by_interval", family, region.name, interval.name, "loss")

    def interval_gain(self, family: str, region: Interval, interval: Interval) -> Number:
        """(L_standard - L) / L on the test jets of a region and interval, a share."""
        return _number(self.reports["loss"], "loss_by_interval", family, region.name, interval.name, "gain")

    def alpha(self, family: str, region: Interval, interval: Interval) -> Number:
        """Improvement of the flavor dependence, a share."""
        return _number(self.reports["flavor"], "flavor", "alpha", family, region.name, interval.name)

    def beta(self, family: str, region: Interval, interval: Interval) -> Number:
        """Improvement of the resolution, a share."""
        return _number(
            self.reports["resolution"], "resolution", "intervals", "beta", family, region.name, interval.name
        )

    def headline(self, family: str) -> dict[str, Number]:
        """The few numbers that tell how good a network is, by the keys of HEADLINES."""
        return {
            "loss": self.loss(family),
            "gain": self.gain(family),
            **{f"alpha_{region.name}": self.alpha(family, region, INCLUSIVE) for region in REGIONS},
            **{f"beta_{region.name}": self.beta(family, region, INCLUSIVE) for region in REGIONS},
        }


HEADLINES = {
    "loss": "Loss",
    "gain": "Gain [%]",
    **{f"alpha_{region.name}": f"α {region.name} [%]" for region in REGIONS},
    **{f"beta_{region.name}": f"β {region.name} [%]" for region in REGIONS},
}


def headline_text(key: str, number: Number) -> str:
    """A headline number as in a table: shares in percent."""
    return number_text(number, 1.0 if key == "loss" else PERCENT)


def _branch(report: Report, *path: str) -> Mapping[str, JsonValue]:
    branch = _leaf(report.numbers, *path)
    if not isinstance(branch, dict):
        raise ReportError(f"report {report.name!r} has no numbers at {'/'.join(path)}: materialize it again")
    return branch


def _number(report: Report, *path: str) -> Number:
    try:
        return Number.from_json(_branch(report, *path))
    except ValueError as error:
        raise ReportError(f"report {report.name!r}, {'/'.join(path)}: {error}; materialize it again") from error


def _leaf(numbers: JsonValue, *path: str) -> JsonValue:
    for key in path:
        if not isinstance(numbers, dict) or key not in numbers:
            return None
        numbers = numbers[key]
    return numbers
