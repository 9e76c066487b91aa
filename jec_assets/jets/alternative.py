"""Jets of another generator, whose calibration shows how far it depends on the generator.

Belongs here: where they lie. Does not belong here: what is done with them, which is what is done with all jets.

They have a storage root of their own, `alternative/` below that of the nominal jets. Whatever finds its objects by key
works there unchanged: listing, filtering, the manifest, `publish_all_to_test`, `load_split`. No network learns from
these jets, so all of them are test jets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jec_assets.storage import Storage

if TYPE_CHECKING:
    from jec_assets.jets.manifest import Manifest

FOLDER = "alternative"


class SameJetsError(ValueError):
    """Nominal and alternative jets share files: comparing them would say nothing of generators."""


def alternative_storage(storage: Storage) -> Storage:
    """The storage of the alternative jets, below that of the nominal ones."""
    return storage.below(FOLDER)


def require_other_jets(nominal: Manifest, alternative: Manifest) -> None:
    """Raise SameJetsError where a file's jets are in both samples; digests tell, whatever the files' names."""
    shared = set(nominal.digests) & set(alternative.digests)
    if shared:
        raise SameJetsError(
            f"{len(shared)} of {len(alternative.digests)} alternative files hold jets of the nominal ones: "
            "set JEC_ALTERNATIVE_SOURCE to files of another generator (`jec simulate --tune monash --out ...`)"
        )
