"""Features of a jet without its orientation: the detector is folded, so that mirror images of a jet are one jet.

Belongs here: which features that concerns, and what becomes of them. Does not belong here: networks.

A detector at a symmetric collider measures a jet and its mirror images alike: the jet turned about the beam, mirrored
in the plane across the beam or in the one that holds beam and jet, with all charges reversed. What a network would have
to learn once for each image is left out or folded: particles' dEta counts from the jet away from the center of the
detector, dPhi without its sign; eta is |eta|, which particles are told too; azimuth, dTheta and charge are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from jec_assets.models.inputs import MissingFeatureError
from jec_assets.models.network import CLIP

if TYPE_CHECKING:
    from jec_assets.models.inputs import NetworkInputs
    from jec_assets.models.network import Standardizer


class FoldedFeatures(nn.Module):
    """Folds features and standardizes them; nothing in it is trained.

    MissingFeatureError where the inputs hold no eta of the jet.
    """

    kept_particles: Tensor
    kept_jets: Tensor

    def __init__(self, inputs: NetworkInputs) -> None:
        super().__init__()
        if inputs.jet_eta is None:
            raise MissingFeatureError("a jet's mirror images differ in its eta: add the jet feature eta to the set")
        self._eta, self._points = inputs.jet_eta, inputs.points
        for name, features, folded in (
            ("kept_particles", inputs.particle_features, {*inputs.points, *inputs.oriented}),
            ("kept_jets", inputs.jet_features, {inputs.jet_eta, *inputs.jet_oriented}),
        ):
            kept = torch.tensor([number for number in range(features) if number not in folded], dtype=torch.int64)
            self.register_buffer(name, kept, persistent=False)

    def jets(self, jets: Tensor, standardize: Standardizer) -> Tensor:
        """Physical features (jets, jet features) to (jets, folded features), |eta| first."""
        return torch.cat([self._abs_eta(jets, standardize), standardize(jets).index_select(1, self.kept_jets)], dim=1)

    def particles(self, particles: Tensor, sides: Tensor, standardize: Standardizer) -> Tensor:
        """Physical features (particles, particle features) to (particles, folded features).

        sides: (particles, 2), the row of `sides` that belongs to each particle's jet.
        """
        away, abs_eta = sides[:, :1], sides[:, 1:]
        eta, phi = (_scaled(particles, number, standardize) for number in self._points)
        kept = standardize(particles).index_select(1, self.kept_particles)
        return torch.cat([abs_eta, eta * away, phi.abs(), kept], dim=1)

    def sides(self, jets: Tensor, standardize: Standardizer) -> Tensor:
        """On which side of the detector, +1 or -1, and how far from its center each jet is: (jets, 2)."""
        away = torch.where(jets[:, self._eta : self._eta + 1] < 0, -1.0, 1.0)
        return torch.cat([away, self._abs_eta(jets, standardize)], dim=1)

    def _abs_eta(self, jets: Tensor, standardize: Standardizer) -> Tensor:
        return _scaled(jets, self._eta, standardize).abs()


def _scaled(features: Tensor, number: int, standardize: Standardizer) -> Tensor:
    """One feature over its scale, (rows, 1): 0 stays 0, about which mirror images lie."""
    return (features[:, number : number + 1] / standardize.scale[number]).clamp(-CLIP, CLIP)
