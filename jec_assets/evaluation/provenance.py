"""What evaluations are made of, so that an artifact can be compared with the present.

Belongs here: digests of the present splits and best models, and the comparison. Does not belong here: which artifact is
made of what, which whoever publishes it knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.jets.splits import load_split_record
from jec_assets.search.best import load_best

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jec_assets.jets.splits import SplitName
    from jec_assets.storage import Storage


class StaleArtifactError(RuntimeError):
    """An artifact was made of something else than there is now; the message names the asset to materialize."""


def split_digest(storage: Storage, name: SplitName) -> str:
    """Digest of the present jets of a split."""
    return load_split_record(storage, name)[0].digest


def weights_digests(storage: Storage, families: Sequence[str]) -> dict[str, str]:
    """Digest of the weights of each family's present best model."""
    return {family: load_best(storage, family).weights_digest for family in families}


def require_current(asset: str, recorded: Mapping[str, object], present: Mapping[str, object]) -> None:
    """Raise StaleArtifactError unless all that is present was recorded as the asset was made; it may record more."""
    changed = [name for name, value in present.items() if recorded.get(name) != value]
    if changed:
        raise StaleArtifactError(f"{asset} was made of another {', another '.join(changed)}: materialize {asset} again")
