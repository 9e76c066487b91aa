"""weaver-core's Particle Transformer with the published hyperparameters, as a peer of ours.

Belongs here: its network with a head that takes the jet's features too, its inputs, and our weights by its names. Does
not belong here: what is compared. The environment must have weaver-core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from weaver.nn.model.ParticleTransformer import ParticleTransformer

from benchmarks.jets import JET_FEATURES, PARTICLE_FEATURES, POINTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.rounds import Arrays

LOG_PT = 0
WIDTH, HEAD = 128, (200, 200, 200)


class WeaversParT(nn.Module):
    """The Particle Transformer without its own head, then the head.

    for_inference: as weaver-core builds it for export. Its option `trim` is off: in training it drops particles at
    random.
    """

    def __init__(self, dropout: float, for_inference: bool = False) -> None:
        super().__init__()
        self.body = ParticleTransformer(
            input_dim=PARTICLE_FEATURES,
            use_pre_activation_pair=False,
            block_params={"dropout": dropout, "attn_dropout": dropout, "activation_dropout": dropout},
            fc_params=None,
            trim=False,
            for_inference=for_inference,
        )
        layers: list[nn.Module] = []
        for width, units in zip((WIDTH + JET_FEATURES, *HEAD), HEAD, strict=False):
            layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)]
        self.head = nn.Sequential(*layers, nn.Linear(HEAD[-1], 1))

    def forward(self, particles: Tensor, momenta: Tensor, mask: Tensor, jets: Tensor) -> Tensor:
        """Inputs as weaver-core's loader gives them."""
        output: Tensor = self.head(torch.cat([self.body(particles, momenta, mask), jets], dim=1))
        return output


def momenta(particles: NDArray[np.float32]) -> NDArray[np.float64]:
    """px, py, pz, E of massless particles, (jets, 4, slots)."""
    features = particles.astype(np.float64)
    pt, eta, phi = np.exp(features[:, LOG_PT]), features[:, POINTS[0]], features[:, POINTS[1]]
    return np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), pt * np.cosh(eta)], axis=1)


RENAMED = {
    "token": "cls_token",
    "class_blocks": "cls_blocks",
    "embedding.input_norm": "embed.input_bn",
    ".norm.": ".pre_attn_norm.",
    ".projection.": ".attn.in_proj.",
    ".output_norm.": ".post_attn_norm.",
    ".output.": ".attn.out_proj.",
    ".head_scale": ".c_attn",
    ".hidden_norm.": ".pre_fc_norm.",
    ".hidden.": ".fc1.",
    ".result_norm.": ".post_fc_norm.",
    ".result.": ".fc2.",
    ".residual_scale": ".w_resid",
}


def in_weavers_names(weights: Arrays) -> dict[str, NDArray[Any]]:
    """Ours by the names that weaver-core has for them."""
    renamed = {}
    for name, values in weights.items():
        theirs = _of_layers(name)
        for part, their_part in RENAMED.items():
            theirs = theirs.replace(part, their_part)
        renamed[theirs if theirs.startswith("head.") else f"body.{theirs}"] = values
    return renamed


def _of_layers(name: str) -> str:
    """Layers of the embeddings are numbered one after another: normalization, linear, GELU, or linear first."""
    part, _, rest = name.partition(".")
    kind, _, numbered = rest.partition(".")
    number, _, tensor = numbered.partition(".")
    if part == "embedding" and kind in ("norms", "linears"):
        return f"embed.embed.{3 * int(number) + (kind == 'linears')}.{tensor}"
    if part == "pair_embedding":
        place = 3 * int(number) + 1 if kind == "linears" else max(0, 3 * int(number) - 1)
        return f"pair_embed.embed.{place}.{tensor}"
    return name
