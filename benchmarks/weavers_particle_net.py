"""weaver-core's ParticleNet with the published hyperparameters, as a peer of ours.

Belongs here: its parts, put together as weaver-core's ParticleNetTagger does, with a head that takes the jet's features
too, and our weights by its names. Does not belong here: what is compared. The environment must have weaver-core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from weaver.nn.model.ParticleNet import FeatureConv, ParticleNet

from benchmarks.jets import JET_FEATURES, PARTICLE_FEATURES, POINTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.rounds import Arrays

NEIGHBORS, BLOCKS, LAYERS, UNITS, HEAD = 16, 3, 3, 50, (200, 200, 200)
DROPOUT = 0.0116
STEM = 32


class WeaversParticleNet(nn.Module):
    """Stem, ParticleNet without its own head, then the head.

    Its option `trim` is off: in training it drops particles at random.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = FeatureConv(PARTICLE_FEATURES, STEM)
        self.body = ParticleNet(
            input_dims=STEM,
            num_classes=1,
            conv_params=[(NEIGHBORS, (UNITS,) * LAYERS)] * BLOCKS,
            fc_params=[(units, DROPOUT) for units in HEAD],
            use_fusion=False,
            use_fts_bn=False,
            use_counts=True,
            trim=False,
        )
        self.body.fc = nn.Identity()
        layers: list[nn.Module] = []
        for width, units in zip((UNITS + JET_FEATURES, *HEAD), HEAD, strict=False):
            layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(DROPOUT)]
        self.head = nn.Sequential(*layers, nn.Linear(HEAD[-1], 1))

    def forward(self, particles: Tensor, mask: Tensor, jets: Tensor) -> Tensor:
        """Outputs (jets, 1) of (jets, features, slots), the mask of real particles, and jet features."""
        rows = self.stem(particles * mask) * mask
        means = self.body(particles[:, list(POINTS)], rows, mask)
        output: Tensor = self.head(torch.cat([means, jets], dim=1))
        return output


def in_weavers_names(weights: Arrays) -> dict[str, NDArray[Any]]:
    """Ours by the names that weaver-core has for them."""
    renamed = {}
    for name, values in weights.items():
        theirs = name.replace("stem.", "stem.conv.").replace("blocks.", "body.edge_convs.")
        for part, their_part in ((".linears.", ".convs."), (".norms.", ".bns.")):
            theirs = theirs.replace(part, their_part)
        renamed[theirs.replace(".shortcut.0.", ".sc.").replace(".shortcut.1.", ".sc_bn.")] = values
    return renamed
