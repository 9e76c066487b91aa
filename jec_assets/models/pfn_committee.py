"""PFN committee: small particle flow networks that see a jet without its orientation, and their mean.

Belongs here: members, and how they share the jets in training. Does not belong here: what is seen of a jet
(`folding.py`).

A network of the published size learns its training jets by heart before it has learned all there is to learn from them.
Three things here work against that. Members are small. They see only what a jet's energy can depend on. And in training
each member sees its own share of every batch, another one each epoch, so that members err differently, and their mean
errs less than any of them (L. Breiman, "Bagging predictors", Machine Learning 24 (1996) 123). A training step
costs as much as one member's, whatever their number.

Members sum over particles twice: each counted alike, as a PFN does, and each by its share of the jet's pT, as an EFN
does (P. T. Komiske, E. M. Metodiev, J. Thaler, arXiv:1810.05165, Eqs. 1.4 and 1.3). A jet's energy is a sum: what is
to be corrected is in the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from jec_assets.models import group
from jec_assets.models.folding import FoldedFeatures
from jec_assets.models.inputs import MissingFeatureError
from jec_assets.models.network import JetNetwork, head
from jec_assets.models.segments import segment_sum
from jec_assets.models.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jec_assets.models.hyperparameters import PFNCommitteeHyperparameters
    from jec_assets.models.inputs import NetworkInputs

# Of log(pT_gen / pT_reco), about as wide as its distribution: what members predict is of order 1.
TARGET_SCALE = 0.1
# Shares of pT add up to about 1 and particles to some tens: with this factor both sums are of like size.
SHARE_SCALE = 5.0


@dataclass(frozen=True)
class SeenJets:
    """What members are given: folded features of particles and jets, and shares (particles, 1) of the jet's pT."""

    particles: Tensor
    shares: Tensor
    jets: Tensor


class Member(nn.Module):
    """phi on every particle, both sums over the jet's particles, then the head on these and the jet's features."""

    def __init__(self, hyperparameters: PFNCommitteeHyperparameters, inputs: NetworkInputs, outputs: int) -> None:
        super().__init__()
        units = hyperparameters.phi_units
        layers: list[nn.Module] = []
        for width in (inputs.folded_particle_features, *[units] * (hyperparameters.phi_layers - 1)):
            layers += [nn.Linear(width, units), nn.ReLU()]
        self.phi = nn.Sequential(*layers)
        self.head = head(
            (2 * units + inputs.folded_jet_features, outputs),
            hyperparameters.head_layers,
            hyperparameters.head_units,
            hyperparameters.dropout,
        )

    def forward(self, seen: SeenJets, sum_over_jets: Callable[[Tensor], Tensor]) -> Tensor:
        """(jets, outputs); `sum_over_jets` maps (particles, units) to (jets, units)."""
        embedded = self.phi(seen.particles)
        sums = [sum_over_jets(embedded), sum_over_jets(embedded * seen.shares)]
        output: Tensor = self.head(torch.cat([*sums, seen.jets], dim=1))
        return TARGET_SCALE * output


class PFNCommittee(JetNetwork):
    """In evaluation the mean over all members, in training each member on its own share of the jets.

    MissingFeatureError where the inputs hold no share of pT or no eta of the jet.
    """

    def __init__(self, hyperparameters: PFNCommitteeHyperparameters, inputs: NetworkInputs, outputs: int) -> None:
        super().__init__(inputs, outputs)
        if inputs.log_share is None:
            raise MissingFeatureError("a particle counts by its share of pT: add log_relative_pt to the feature set")
        self.log_share = inputs.log_share
        self.folded = FoldedFeatures(inputs)
        members = nn.ModuleList(Member(hyperparameters, inputs, outputs) for _ in range(hyperparameters.members))
        self.members = cast("Sequence[Member]", members)

    def forward(self, particles: Tensor, offsets: Tensor, jets: Tensor) -> Tensor:
        """See `JetNetwork.forward`. In training the jets have to come in random order, as those of a batch do."""
        sides = self.folded.sides(jets, self.standardize_jets)
        sides = sides.repeat_interleave(offsets.diff(), dim=0, output_size=len(particles))
        seen = self._see(particles, sides, jets)
        if self.training:
            return self._by_shares(seen, offsets)
        return self._mean(seen, lambda rows: segment_sum(rows, offsets))

    def forward_padded(self, particles: Tensor, particle_count: Tensor, jets: Tensor) -> Tensor:
        """See `JetNetwork.forward_padded`; for evaluation only, RuntimeError in training."""
        if self.training:
            raise RuntimeError("the padded computation is for evaluation: call eval() first")
        slots = Slots(particles, particle_count)
        sides = slots.spread(self.folded.sides(jets, self.standardize_jets))
        return self._mean(self._see(slots.rows(), sides, jets), slots.sum)

    def _see(self, particles: Tensor, sides: Tensor, jets: Tensor) -> SeenJets:
        shares = particles[:, self.log_share : self.log_share + 1].clamp(max=1.0).exp()
        return SeenJets(
            self.folded.particles(particles, sides, self.standardize_particles),
            SHARE_SCALE * shares,
            self.folded.jets(jets, self.standardize_jets),
        )

    def _mean(self, seen: SeenJets, sum_over_jets: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.stack([member(seen, sum_over_jets) for member in self.members]).mean(dim=0)

    def _by_shares(self, seen: SeenJets, offsets: Tensor) -> Tensor:
        """Consecutive jets of all processes for each member, as many as for any other, give or take one.

        A member whose jets are all with other processes computes nothing here, and has a gradient of zeros.
        """
        own = len(seen.jets)
        before, jets = group.place(own, seen.jets)
        cuts = (jets * number // len(self.members) - before for number in range(len(self.members) + 1))
        bounds = [min(max(cut, 0), own) for cut in cuts]
        starts = offsets[bounds].tolist()
        outputs = []
        for number, member in enumerate(self.members):
            (first, last), (start, stop) = bounds[number : number + 2], starts[number : number + 2]
            share = SeenJets(seen.particles[start:stop], seen.shares[start:stop], seen.jets[first:last])
            outputs.append(member(share, partial(segment_sum, offsets=offsets[first : last + 1] - start)))
        return torch.cat(outputs)
