"""Records in storage that an evaluation starts from, as the steps before publish them."""

from __future__ import annotations

from dataclasses import asdict

from jec_assets.jets.splits import SHARES, Split, SplitName
from jec_assets.search.best import BestModel
from jec_assets.search.provenance import InputDigests
from jec_assets.storage import Storage

FAMILIES = ("pfn", "particle_net")
INPUTS = InputDigests("train digest", "validation digest", "extended", "code")


def split_of(name: SplitName, digest: str) -> Split:
    return Split(name, digest, jets=1, events=1, available_jets=1, index_key="key", feature_set="extended")


def store_split(storage: Storage, name: SplitName, digest: str) -> None:
    storage.publish_json(f"splits/{name}.json", {**asdict(split_of(name, digest)), "files": []})


def store_best(storage: Storage, family: str, weights_digest: str, candidates: tuple[int, ...] = (0,)) -> BestModel:
    best = BestModel(
        family=family,
        trial=candidates[0],
        weights_key="key",
        weights_digest=weights_digest,
        parameters=1,
        validation_loss=0.1,
        inputs=INPUTS,
        candidates=candidates,
        stale=(),
        failed=(),
    )
    storage.publish_json(f"best_models/{family}.json", best.model_dump(mode="json"))
    return best


def store_inputs(storage: Storage) -> None:
    """All splits and best models, with digests called `first`."""
    for name in SHARES:
        store_split(storage, name, "first")
    for family in FAMILIES:
        store_best(storage, family, "first")
