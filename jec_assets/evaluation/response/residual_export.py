"""Residual corrections as a correctionlib file, for analysts who apply them behind a network.

Belongs here: translating the curves into correctionlib's schema version 2. Does not belong here: what they mean and
where they come from (`residual.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.correction.export import response_correction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jec_assets.evaluation.response.residual import ResidualCorrection


def residuals_json(residuals: Mapping[str, ResidualCorrection], description: str) -> str:
    """The file's content: a correction per family under its name, from (JetPt, JetEta), JetPt = pT_cal in GeV.

    `description` says where they come from: the jets, and the networks' versions. The same gives the same text.
    """
    from correctionlib import schemav2

    content = schemav2.CorrectionSet(
        schema_version=2,
        description=description,
        corrections=[
            response_correction(
                family,
                f"residual correction of jets calibrated by {family}: median pT,gen / pT,cal at the calibrated pT, "
                "linear in log pT between tabulated points, held constant below the first and above the last",
                residual.abs_eta_edges,
                residual.curves,
            )
            for family, residual in residuals.items()
        ],
    )
    return content.model_dump_json(exclude_unset=True, indent=1) + "\n"
