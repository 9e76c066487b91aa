"""A training step of the published Particle Transformer, against weaver-core's.

`python -m benchmarks.part_step_vs_weaver`: 64 jets with up to 100 particles (35 on average), one thread, dropout as
published. Ours computes real particles and pairs; weaver-core gets the jets padded to 100, with a mask, as its loader
would give them: it computes all slots, and embeds real pairs only. Its option `trim` is off: in training it drops
particles at random. The head takes the jet features too, which weaver-core's does not, so on both sides it is a plain
stack of torch's layers.

Both start from the same weights and moments. What they compute is compared in evaluation and in double precision: in
single precision weaver-core's mass of a pair is a difference of rounded numbers, and its outputs move by 1e-3. In
training weaver-core counts padding in the moments of the particles' features, so there the outputs cannot be equal.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.jets import (
    JET_FEATURES,
    LEARNING_RATE,
    PARTICLE_FEATURES,
    POINTS,
    copy_weights,
    padded,
    published,
    seasoned,
    synthetic_jets,
    tensors,
    training_step,
)
from benchmarks.rounds import Arrays, Claim, Side, load_arrays, run, save_arrays

JETS, SLOTS = 64, 100
LOG_PT = 0
WIDTH, HEAD, DROPOUT = 128, (200, 200, 200), 0.1
TOLERANCE = 1e-9


def prepare(folder: Path) -> None:
    """Jets, and the weights and moments of a network that has seen some."""
    sample = partial(synthetic_jets, JETS, SLOTS)
    save_arrays(folder / "weights.npz", seasoned("particle_transformer", [sample(seed) for seed in range(2, 6)]))
    save_arrays(folder / "jets.npz", sample(seed=1))


def ours(folder: Path) -> Side:
    """The project's network on packed jets."""
    import torch

    from jec_assets.training.optimizers import make_optimizer

    network = published("particle_transformer")
    copy_weights(network, load_arrays(folder / "weights.npz"))
    jets = tensors(load_arrays(folder / "jets.npz"))
    inputs = (jets["particles"], jets["offsets"], jets["jets"])
    optimizer = make_optimizer("Adam", network.parameters(), LEARNING_RATE)
    step = training_step(network, optimizer, inputs, jets["target"])

    def work() -> int:
        network.float().train()
        step()
        return JETS

    def results() -> Arrays:
        with torch.no_grad():
            outputs = network.double().eval()(inputs[0].double(), inputs[1], inputs[2].double())
            return {"outputs": outputs[:, 0].numpy()}

    return Side(work, results)


def peer(folder: Path) -> Side:
    """weaver-core's network on padded jets."""
    import torch
    from torch import Tensor, nn
    from weaver.nn.model.ParticleTransformer import ParticleTransformer

    class Weaver(nn.Module):
        """The Particle Transformer without its own head, then the head."""

        def __init__(self) -> None:
            super().__init__()
            self.body = ParticleTransformer(
                input_dim=PARTICLE_FEATURES,
                use_pre_activation_pair=False,
                block_params={"dropout": DROPOUT, "attn_dropout": DROPOUT, "activation_dropout": DROPOUT},
                fc_params=None,
                trim=False,
            )
            layers: list[nn.Module] = []
            for width, units in zip((WIDTH + JET_FEATURES, *HEAD), HEAD, strict=False):
                layers += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(DROPOUT)]
            self.head = nn.Sequential(*layers, nn.Linear(HEAD[-1], 1))

        def forward(self, particles: Tensor, momenta: Tensor, mask: Tensor, jets: Tensor) -> Tensor:
            """Inputs as weaver-core's loader gives them."""
            output: Tensor = self.head(torch.cat([self.body(particles, momenta, mask), jets], dim=1))
            return output

    network = Weaver()
    copy_weights(network, _in_weavers_names(load_arrays(folder / "weights.npz")))
    arrays = load_arrays(folder / "jets.npz")
    jets = tensors(arrays)
    dense, real = padded(arrays, SLOTS)
    momenta = torch.from_numpy(_momenta(dense) * real)
    particles, mask = torch.from_numpy(dense), torch.from_numpy(real)
    inputs = (particles, momenta.float(), mask, jets["jets"])
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    step = training_step(network, optimizer, inputs, jets["target"])

    def work() -> int:
        network.float().train()
        step()
        return JETS

    def results() -> Arrays:
        with torch.no_grad():
            outputs = network.double().eval()(particles.double(), momenta, mask, jets["jets"].double())
            return {"outputs": outputs[:, 0].numpy()}

    return Side(work, results)


def check(ours: Arrays, peer: Arrays) -> None:
    """Outputs in evaluation, in double precision, are equal to TOLERANCE."""
    difference = float(np.abs(ours["outputs"] - peer["outputs"]).max())
    assert difference < TOLERANCE, f"outputs differ by {difference}"
    assert ours["outputs"].std() > 1e3 * TOLERANCE, "outputs that are all the same prove nothing"


def _momenta(particles: NDArray[np.float32]) -> NDArray[np.float64]:
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


def _in_weavers_names(weights: Arrays) -> dict[str, NDArray[Any]]:
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


CLAIM = Claim("part_step_vs_weaver", prepare, ours, peer, check, rounds=7)

if __name__ == "__main__":
    run(CLAIM)
