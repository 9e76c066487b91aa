"""Applying networks to jets: the tables that every evaluation starts from.

Belongs here: predicting, and where the tables lie. Does not belong here: reading them as arrays (`calibrated_jets.py`)
and what is computed from them.

    calibrated_<split>_jets/<digest>.parquet
    calibrated_<split>_jets.json            the pointer: the table, and the digests of jets and networks it is made of
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import polars as pl

from jec_assets.evaluation.calibrated_jets import LOG_FACTOR_PREFIX, QUANTILE_PREFIXES
from jec_assets.evaluation.provenance import require_current, split_digest, weights_digests

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jec_assets.jets.dataset import SplitJets
    from jec_assets.jets.splits import Split, SplitName
    from jec_assets.models.network import JetNetwork
    from jec_assets.storage import Storage


@dataclass(frozen=True)
class CalibratedTable:
    """A published table. networks: digest of each family's weights."""

    key: str
    digest: str
    jets: int
    split_digest: str
    networks: dict[str, str]


def calibrate(jets: SplitJets, networks: Mapping[str, JetNetwork]) -> pl.DataFrame:
    """The jets' table with a column `log_factor_<family>` per network: predicted log(genJetPt / jetPt).

    A network that predicts quantiles adds `quantile_16_<family>` and `quantile_84_<family>`.
    """
    from jec_assets.models.prediction import on_best_device, predict_outputs

    columns = []
    for family, network in networks.items():
        with on_best_device(network):
            outputs = predict_outputs(network, jets.packed)
        names = (LOG_FACTOR_PREFIX, *QUANTILE_PREFIXES)[: outputs.shape[1]]
        columns += [pl.Series(f"{name}{family}", outputs[:, place]) for place, name in enumerate(names)]
    return jets.table.with_columns(columns)


def publish_calibrated(
    storage: Storage, table: pl.DataFrame, split: Split, networks: Mapping[str, str]
) -> CalibratedTable:
    """Publish a split's table under its digest, then its pointer; networks: digest of each family's weights."""
    buffer = BytesIO()
    table.write_parquet(buffer, compression="zstd")
    asset = table_asset(split.name)
    artifact = storage.publish_named_by_digest(asset, ".parquet", buffer.getvalue())
    published = CalibratedTable(artifact.key, artifact.digest, len(table), split.digest, dict(networks))
    storage.publish_json(f"{asset}.json", asdict(published))
    return published


def load_calibrated_record(storage: Storage, families: Sequence[str], split: SplitName = "test") -> CalibratedTable:
    """What the published table is made of: the split's present jets and the best models of these families.

    ArtifactMissingError where the table's asset was not materialized, StaleArtifactError where that was before the
    jets or a model changed.
    """
    asset = table_asset(split)
    published = CalibratedTable(**storage.read_json(f"{asset}.json"))
    require_current(
        asset,
        {f"{split}_jets": published.split_digest, "best_models": published.networks},
        {f"{split}_jets": split_digest(storage, split), "best_models": weights_digests(storage, families)},
    )
    return published


def load_calibrated(storage: Storage, families: Sequence[str], split: SplitName = "test") -> pl.DataFrame:
    """The published table; raises what `load_calibrated_record` does."""
    return pl.read_parquet(BytesIO(storage.read_bytes(load_calibrated_record(storage, families, split).key)))


def table_asset(split: SplitName) -> str:
    """The asset that publishes a split's table."""
    return f"calibrated_{split}_jets"
