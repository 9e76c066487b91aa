"""PYTHIA tunes: named sets of the soft-physics parameters that jets depend on.

Belongs here: one table of tunes with their settings and the reason to use each. Does not belong here: the hard process
or the decays (`generator.py`), which are the same for every tune.

The spread between two tunes' jets is the generator uncertainty of a calibration: same detector, another parton shower,
underlying event and hadronization.
"""

from __future__ import annotations

from dataclasses import dataclass

from jec_assets.simulation.errors import UnknownTuneError


@dataclass(frozen=True)
class Tune:
    """A PYTHIA tune: `settings` are lines for `Pythia.readString`, `reason` says when to use it."""

    name: str
    title: str
    settings: tuple[str, ...]
    reason: str


TUNES: dict[str, Tune] = {
    tune.name: tune
    for tune in (
        Tune(
            "cuetp8m1",
            "CUETP8M1 (CMS)",
            (
                "Tune:pp = 14",
                "Tune:ee = 7",
                "MultipartonInteractions:pT0Ref = 2.4024",
                "MultipartonInteractions:ecmPow = 0.25208",
                "MultipartonInteractions:expPow = 1.6",
            ),
            "nominal: the tune of the CMS RunIISummer16 jets (Eur. Phys. J. C 76 (2016) 155, Table 5)",
        ),
        Tune(
            "monash",
            "Monash 2013",
            ("Tune:pp = 14", "Tune:ee = 7"),
            "the base of CUETP8M1: the same shower, another underlying event (Eur. Phys. J. C 74 (2014) 3024)",
        ),
        Tune(
            "a14",
            "A14 NNPDF2.3LO (ATLAS)",
            ("Tune:pp = 21", "Tune:ee = 7"),
            "alternative: weaker final-state radiation, so narrower gluon jets (ATL-PHYS-PUB-2014-021)",
        ),
    )
}

NOMINAL_TUNE = "cuetp8m1"


def tune_named(name: str) -> Tune:
    """The tune of that name; `UnknownTuneError` lists the names there are."""
    try:
        return TUNES[name]
    except KeyError:
        raise UnknownTuneError(f"no tune is called {name!r}: choose one of {', '.join(TUNES)}") from None
