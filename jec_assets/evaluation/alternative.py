"""The table of calibrated jets of another generator, beside that of the test jets.

Belongs here: reading it, and what it is made of. Does not belong here: making it, which is `calibrate.py`'s work in the
storage of the alternative jets, and comparing it (`response/generator.py`).
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from jec_assets.evaluation.calibrate import CalibratedTable, table_asset
from jec_assets.evaluation.provenance import require_current, split_digest, weights_digests
from jec_assets.jets.alternative import alternative_storage

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from jec_assets.storage import Storage

ASSET = "calibrated_alternative_jets"


def load_alternative_record(storage: Storage, families: Sequence[str]) -> CalibratedTable:
    """What the published table is made of: the present alternative jets and best models of these families.

    `storage` is that of the nominal jets. Raises what `calibrate.load_calibrated_record` does.
    """
    place = alternative_storage(storage)
    published = CalibratedTable(**place.read_json(f"{table_asset('test')}.json"))
    require_current(
        ASSET,
        {"alternative_jets": published.split_digest, "best_models": published.networks},
        {"alternative_jets": split_digest(place, "test"), "best_models": weights_digests(storage, families)},
    )
    return published


def load_alternative(storage: Storage, families: Sequence[str]) -> pl.DataFrame:
    """The published table; raises what `load_alternative_record` does."""
    import polars as pl

    key = load_alternative_record(storage, families).key
    return pl.read_parquet(BytesIO(alternative_storage(storage).read_bytes(key)))
