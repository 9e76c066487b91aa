"""The standard correction as a correctionlib file, for analysts and for coffea.

Belongs here: translating the tables into correctionlib's schema version 2, and where they come from. Does not belong
here: the tables' meaning (`standard.py`).

The file holds `L1Offset` and `L2L3`, and the compound `L1L2L3` that applies one after the other and gives the whole
factor from (JetPt, JetEta, Rho, JetA), raw pT in GeV. correctionlib's formulas reproduce the interpolation exactly.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from jec_assets.correction.standard import SMALLEST_OFFSET_FACTOR

if TYPE_CHECKING:
    from correctionlib import schemav2

    from jec_assets.correction.standard import ResponseCurve, StandardCorrection

OFFSET, RESPONSE, COMPOUND = "L1Offset", "L2L3", "L1L2L3"
_REVISION = 1  # of the file's layout: names and inputs of its corrections

_INPUTS = {
    "JetPt": "transverse momentum before this level, GeV",
    "JetEta": "pseudorapidity",
    "Rho": "median transverse momentum per unit area in the event (rhoAll), GeV",
    "JetA": "catchment area",
}


@dataclass(frozen=True)
class Provenance:
    """Where a correction comes from: what made the jets, how many there were, and the versions involved."""

    source: str
    jets: int
    selection: str
    versions: dict[str, str]


def correctionlib_json(correction: StandardCorrection, provenance: Provenance) -> str:
    """The file's content: correctionlib JSON, schema version 2; the same tables and provenance give the same text."""
    from correctionlib import schemav2

    content = schemav2.CorrectionSet(
        schema_version=2,
        description=(
            f"Standard jet energy correction {correction.version} for anti-kT jets, R = 0.4, derived from simulated "
            f"jets with particle-level pT >= {correction.valid_from:g} GeV; below, the response is held constant. "
            "Data, as opposed to simulation, still need the residual correction. " + _details(correction, provenance)
        ),
        corrections=[_offset(correction), _response(correction)],
        compound_corrections=[_compound()],
    )
    return content.model_dump_json(exclude_unset=True, indent=1) + "\n"


def _details(correction: StandardCorrection, provenance: Provenance) -> str:
    """What a program may want to know, as JSON."""
    tables = {"digest": correction.digest, "valid_from_gen_pt": correction.valid_from}
    return json.dumps({**tables, **asdict(provenance)}, sort_keys=True)


def _offset(correction: StandardCorrection) -> schemav2.Correction:
    from correctionlib import schemav2

    inputs = ("JetPt", "JetEta", "Rho", "JetA")
    return schemav2.Correction(
        name=OFFSET,
        description="L1: max(1 - k(|eta|) rho A / pT, 1e-4)",
        version=_REVISION,
        inputs=[_variable(name) for name in inputs],
        output=_factor(),
        generic_formulas=[_formula(f"max(1-[0]*y*z/x,{SMALLEST_OFFSET_FACTOR})", ("JetPt", "Rho", "JetA"), ())],
        data=_in_abs_eta(
            correction.offset_edges,
            [
                schemav2.FormulaRef(nodetype="formularef", index=0, parameters=[slope])
                for slope in correction.offset_slopes
            ],
        ),
    )


def _response(correction: StandardCorrection) -> schemav2.Correction:
    return response_correction(
        RESPONSE,
        "L2L3: 1 / median response at the offset-corrected pT, linear in log pT between tabulated points, held "
        "constant below the first and above the last",
        correction.response_edges,
        correction.response,
    )


def response_correction(
    name: str, description: str, abs_eta_edges: tuple[float, ...], curves: tuple[ResponseCurve, ...]
) -> schemav2.Correction:
    """A factor from (JetPt, JetEta): a curve for each bin of |eta|; the last one also holds beyond its edge."""
    from correctionlib import schemav2

    return schemav2.Correction(
        name=name,
        description=description,
        version=_REVISION,
        inputs=[_variable(name) for name in ("JetPt", "JetEta")],
        output=_factor(),
        data=_in_abs_eta(abs_eta_edges, [_curve(curve) for curve in curves]),
    )


def _compound() -> schemav2.CompoundCorrection:
    from correctionlib import schemav2

    return schemav2.CompoundCorrection(
        name=COMPOUND,
        description="L1 on the raw pT, then L2L3 on what that gives: the whole factor",
        inputs=[_variable(name) for name in _INPUTS],
        output=_factor(),
        inputs_update=["JetPt"],
        input_op="*",
        output_op="*",
        stack=[OFFSET, RESPONSE],
    )


def _in_abs_eta(edges: tuple[float, ...], content: list[schemav2.Content]) -> schemav2.Transform:
    """Content in bins of |eta|; jets beyond the last edge belong to the last bin."""
    from correctionlib import schemav2

    binned = schemav2.Binning(nodetype="binning", input="JetEta", edges=list(edges), content=content, flow="clamp")
    return schemav2.Transform(
        nodetype="transform", input="JetEta", rule=_formula("abs(x)", ("JetEta",), None), content=binned
    )


def _curve(curve: ResponseCurve) -> schemav2.Binning:
    """Constant, then linear in log pT from point to point, then constant."""
    from correctionlib import schemav2

    x, y = np.log(curve.pts), np.asarray(curve.factors)
    slopes = np.diff(y) / np.diff(x)
    lines = [
        _formula("[0]+[1]*(log(x)-[2])", ("JetPt",), (float(start), float(slope), float(origin)))
        for start, slope, origin in zip(y[:-1], slopes, x[:-1], strict=True)
    ]
    return schemav2.Binning(
        nodetype="binning",
        input="JetPt",
        edges=["-inf", *curve.pts, "inf"],
        content=[curve.factors[0], *lines, curve.factors[-1]],
        flow="error",
    )


def _formula(expression: str, variables: tuple[str, ...], parameters: tuple[float, ...] | None) -> schemav2.Formula:
    from correctionlib import schemav2

    return schemav2.Formula(
        nodetype="formula",
        expression=expression,
        parser="TFormula",
        variables=list(variables),
        parameters=list(parameters) if parameters else None,
    )


def _variable(name: str) -> schemav2.Variable:
    from correctionlib import schemav2

    return schemav2.Variable(name=name, type="real", description=_INPUTS[name])


def _factor() -> schemav2.Variable:
    from correctionlib import schemav2

    return schemav2.Variable(name="factor", type="real", description="multiplies the jet's four-momentum")
