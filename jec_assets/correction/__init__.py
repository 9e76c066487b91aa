"""The standard correction: what an experiment applies before any network, from simulated jets.

Belongs here: deriving it (`derivation.py`), applying it (`standard.py`), and its file for analysts (`export.py`).
Does not belong here: where the jets come from (`jec_assets.simulation`, `jec_assets.jets`) and how well it does
(`jec_assets.evaluation`).

Jets of the CMS files are corrected already; simulated jets are corrected with this package before they are written.
"""

from jec_assets.correction.correction_file import AppliedCorrection, CorrectionFile
from jec_assets.correction.derivation import Binning, MatchedJets, derive
from jec_assets.correction.errors import CorrectionError, TooFewJetsError
from jec_assets.correction.export import Provenance, correctionlib_json
from jec_assets.correction.standard import StandardCorrection

__all__ = [
    "AppliedCorrection",
    "Binning",
    "CorrectionError",
    "CorrectionFile",
    "MatchedJets",
    "Provenance",
    "StandardCorrection",
    "TooFewJetsError",
    "correctionlib_json",
    "derive",
]
