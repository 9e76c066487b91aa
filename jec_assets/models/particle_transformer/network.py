"""ParT: embedding of particles and pairs, blocks of attention, a class token, and the head.

H. Qu, C. Li, S. Qian, arXiv:2202.03772, Section 4 and Figure 3, with the jet's own features joined to the class token.
Belongs here: how the parts become a network.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from jec_assets.models.network import JetNetwork, head
from jec_assets.models.particle_transformer.blocks import ClassBlock, ParticleBlock
from jec_assets.models.particle_transformer.jet_blocks import ArrangedJets
from jec_assets.models.particle_transformer.pair_embedding import PairEmbedding
from jec_assets.models.particle_transformer.pair_features import Kinematics, pair_features
from jec_assets.models.particle_transformer.slot_pairs import SlotPairs
from jec_assets.models.row_norm import RowNorm
from jec_assets.models.slots import Slots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jec_assets.models.hyperparameters import ParticleTransformerHyperparameters
    from jec_assets.models.inputs import NetworkInputs
    from jec_assets.models.particle_transformer.jet_blocks import JetBlocks

TOKEN_SPREAD = 0.02  # of the class token's first values


class ParticleTransformer(JetNetwork):
    """See the module; MissingFeatureError where the inputs hold no log pT."""

    slots_at_once = 256

    def __init__(
        self, hyperparameters: ParticleTransformerHyperparameters, inputs: NetworkInputs, outputs: int
    ) -> None:
        super().__init__(inputs, outputs)
        width, heads = hyperparameters.units, hyperparameters.heads
        self.kinematics = Kinematics.of(inputs)
        self.embedding = ParticleEmbedding(inputs.particle_features, (width, 4 * width, width))
        self.pair_embedding = PairEmbedding((*[hyperparameters.pair_units] * hyperparameters.pair_layers, heads))
        blocks = nn.ModuleList(
            ParticleBlock(width, heads, hyperparameters.dropout) for _ in range(hyperparameters.blocks)
        )
        self.blocks = cast("Sequence[ParticleBlock]", blocks)
        class_blocks = nn.ModuleList(ClassBlock(width, heads) for _ in range(hyperparameters.class_blocks))
        self.class_blocks = cast("Sequence[ClassBlock]", class_blocks)
        self.token = nn.Parameter(torch.empty(width))
        self.norm = nn.LayerNorm(width)
        self.head = head(
            (width + inputs.jet_features, outputs),
            hyperparameters.head_layers,
            hyperparameters.head_units,
            hyperparameters.dropout,
        )
        self._reset()

    def forward(self, particles: Tensor, offsets: Tensor, jets: Tensor) -> Tensor:
        """See `JetNetwork.forward`."""
        arranged = ArrangedJets(offsets)
        tokens = self._tokens(particles.index_select(0, arranged.particles), arranged.blocks, jets.shape[0])
        return self._from_tokens(tokens.index_select(0, arranged.positions), jets)

    def forward_padded(self, particles: Tensor, particle_count: Tensor, jets: Tensor) -> Tensor:
        """See `JetNetwork.forward_padded`; for evaluation only, RuntimeError in training."""
        if self.training:
            raise RuntimeError("the padded computation is for evaluation: call eval() first")
        slots = Slots(particles, particle_count)
        pairs = SlotPairs(slots)
        momenta = self.kinematics.momenta(slots.rows())
        biases = pairs.biases(self.pair_embedding.forward_slots(pairs.features(momenta)))
        rows = self.embedding(self.standardize_particles(slots.rows()))
        for block in self.blocks:
            rows = block.forward_slots(rows, slots, biases)
        tokens = self.token.expand(jets.shape[0], -1)
        for class_block in self.class_blocks:
            tokens = class_block.forward_slots(tokens, rows, slots, pairs.mask)
        return self._from_tokens(self.norm(tokens), jets)

    def _tokens(self, particles: Tensor, jets: JetBlocks, count: int) -> Tensor:
        """Rows of particles, in physical units, to the normalized token of each jet, (jets, width)."""
        momenta = self.kinematics.momenta(particles)
        biases = jets.biases(self.pair_embedding(pair_features(momenta, *jets.pairs())))
        rows = self.embedding(self.standardize_particles(particles))
        for block in self.blocks:
            rows = block(rows, jets, biases)
        tokens = self.token.expand(count, -1)
        for class_block in self.class_blocks:
            tokens = class_block(tokens, rows, jets)
        normalized: Tensor = self.norm(tokens)
        return normalized

    def _from_tokens(self, tokens: Tensor, jets: Tensor) -> Tensor:
        output: Tensor = self.head(torch.cat([tokens, self.standardize_jets(jets)], dim=1))
        return output

    @torch.no_grad()
    def _reset(self) -> None:
        """Glorot's uniform weights and no biases where the paper's own layers are, as its code begins."""
        for part in (self.embedding, *self.blocks, *self.class_blocks):
            for module in part.modules():
                if isinstance(module, nn.Linear):
                    nn.init.xavier_uniform_(module.weight)
                    nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.token, std=TOKEN_SPREAD)


class ParticleEmbedding(nn.Module):
    """Batch normalization, then layers of layer normalization, linear and GELU, on each particle alike."""

    def __init__(self, features: int, units: Sequence[int]) -> None:
        super().__init__()
        widths = (features, *units)
        self.input_norm = RowNorm(features)
        self.norms = cast("Sequence[nn.LayerNorm]", nn.ModuleList(map(nn.LayerNorm, widths[:-1])))
        linears = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))
        self.linears = cast("Sequence[nn.Linear]", linears)

    def forward(self, particles: Tensor) -> Tensor:
        """(particles, features) to (particles, width)."""
        rows: Tensor = self.input_norm(particles)
        for norm, layer in zip(self.norms, self.linears, strict=True):
            rows = gelu(layer(norm(rows)))
        return rows
